"""The corpus of the demo: equal bytes every time, no held-out wording in training, every name in the lexicons, the same
facts in both languages."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tiny import ROOT

from data_prep.preparing.plan import Preparation
from launch.settings.components import read_config

FACTS = ("continent", "capital", "largest", "river", "language", "currency")


@pytest.fixture(scope="module")
def world() -> ModuleType:
    """examples/world.py as a module."""
    found = importlib.util.spec_from_file_location("world", ROOT / "examples/world.py")
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script writes."""
    folder = tmp_path_factory.mktemp("world")
    write(folder)
    return folder


def write(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(len(folder.name))}
    subprocess.run([sys.executable, ROOT / "examples/world.py", folder], check=True, env=environment)


def read(folder: Path, language: str) -> list[dict[str, str]]:
    lines = (folder / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_files_are_the_same_bytes_every_time(written: Path, tmp_path: Path) -> None:
    write(tmp_path / "again-elsewhere")
    names = sorted(path.name for path in written.iterdir())
    assert names == ["en.jsonl", "entities.en.tsv", "entities.zh.tsv", "zh.jsonl"]
    for name in names:
        assert (written / name).read_bytes() == (tmp_path / "again-elsewhere" / name).read_bytes()


def test_held_out_are_the_documents_that_preparation_keeps_apart(world: ModuleType) -> None:
    preparation = read_config(Preparation, ROOT / "configs/data/world.yaml", [])
    assert preparation.heldout == world.HELDOUT
    from masking.keyed import hash_keys, uniform_array

    names = [document["id"] for language in world.LANGUAGES for document in world.documents(language)]
    apart = {name for name in names if world.is_held_out(name)}
    assert len(set(names)) == len(names) and 0.1 < len(apart) / len(names) < 0.2
    assert apart == {
        name for name, draw in zip(names, uniform_array(hash_keys("heldout", names), 0), strict=True) if draw < 0.15
    }


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_held_out_sentence_about_a_fact_stands_in_training(world: ModuleType, written: Path, language: str) -> None:
    training = "\n".join(item["text"] for item in read(written, language) if not world.is_held_out(item["id"]))
    heldout = "\n".join(item["text"] for item in read(written, language) if world.is_held_out(item["id"]))
    told = 0
    for facts in world.countries():
        for kind in FACTS:
            if not facts[f"{kind}.{language}"]:
                continue
            trained, kept = world.wordings(facts["country.en"], language, kind)
            assert len(trained) == 4 and kept not in trained
            held = world.sentence(kept, facts, language, kind)
            known = [world.sentence(text, facts, language, kind) for text in trained]
            assert held not in training and not any(text in heldout for text in known)
            assert kind == "largest" or any(text in training for text in known)
            told += held in heldout
    assert told > 200


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_lexicon_holds_every_name_of_the_text(world: ModuleType, written: Path, language: str) -> None:
    lexicon = dict(
        line.split("\t") for line in (written / f"entities.{language}.tsv").read_text(encoding="utf-8").splitlines()
    )
    for facts in world.countries():
        for kind, label in world.TYPES.items():
            if surface := facts[f"{kind}.{language}"]:
                assert lexicon[surface] == label, surface
    if language == "en":  # a capital letter inside a sentence begins a name
        text = "\n".join(item["text"] for item in read(written, language))
        inside = set(re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text))
        assert inside and not {word for word in inside if not any(word in surface.split() for surface in lexicon)}


def test_both_languages_tell_the_same_facts(world: ModuleType) -> None:
    countries = world.countries()
    assert len(countries) >= 60 and len({facts["country.en"] for facts in countries}) == len(countries)
    for kind in ("country", *FACTS):
        for facts in countries:
            assert bool(facts[f"{kind}.en"]) == bool(facts[f"{kind}.zh"]), (facts["country.en"], kind)
    for kind in ("country", "continent", "capital", "river", "language"):  # one name in each language, both ways
        pairs = {(facts[f"{kind}.en"], facts[f"{kind}.zh"]) for facts in countries}
        assert len({en for en, _ in pairs}) == len({zh for _, zh in pairs}) == len(pairs), kind
    assert all(facts["coast"] in ("land", "sea", "island") for facts in countries)


def test_a_portrait_tells_its_facts_in_order_and_ties_some_with_markers(world: ModuleType, written: Path) -> None:
    for language in world.LANGUAGES:
        by_name = {facts["country.en"].lower().replace(" ", "-"): facts for facts in world.countries()}
        markers = [mark for row in world.table("links.tsv") if row[0] == language for mark in row[2].split("/") if mark]
        linked = 0
        for item in read(written, language):
            facts = by_name[item["id"].removeprefix(f"{language}-").rpartition("-")[0]]
            told = [facts[f"{kind}.{language}"] for kind in ("capital", "river", "currency")]
            places = [item["text"].rfind(name) for name in told]
            assert places[0] >= 0 and places == sorted(places), item["text"]
            linked += sum(item["text"].count(mark) for mark in markers)
        assert linked > 1000
