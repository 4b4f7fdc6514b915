"""What every measure keeps to: a new file in the folder is asked the same as soon as it exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bert_folders import write_bert

from launch.settings.components import decode, field_docs, plain
from launch.settings.kinds import find_kind, kinds
from launch.settings.yaml_files import Source
from pretrain.evaluation.measures import Measure
from pretrain.evaluation.results import Found, load, save
from pretrain.evaluation.results import Source as Measured
from pretrain.evaluation.subjects import Subject, open_subject
from pretrain.suite import Suite

CPU = torch.device("cpu")
KINDS = kinds(Measure)


@pytest.fixture(scope="module")
def subject(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("measured") / "bert"
    write_bert(folder, prepared / "tokenizer")
    return open_subject("bert", folder)


@pytest.fixture(scope="module")
def settings(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each kind is told, beside its name."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "task.tsv").write_text("text\tlabel\n" + "".join(f"北京{n}\t{n % 2}\n" for n in range(40)))
    (folder / "pairs.jsonl").write_text('{"sentence_good": "他在北京", "sentence_bad": "在他北京"}\n')
    (folder / "facts.jsonl").write_text(
        "".join(
            f'{{"sub_label": "{a}", "obj_label": "{b}", "predicate_id": "P1", "masked_sentence": "{a}是[MASK]。"}}\n'
            for a, b in (("国", "京"), ("人", "北"))
        )
    )
    task = {"kind": "classification", "train": str(folder / "task.tsv"), "dev": 0, "test": 0.3}
    return {
        "cloze": {"data": str(prepared), "units": 3, "longest": 32},
        "minimal_pairs": {"paths": [str(folder / "pairs.jsonl")], "longest": 32},
        "questions": {"questions": {"kind": "trex", "paths": [str(folder / "facts.jsonl")]}, "longest": 32},
        "fine_tuning": {"task": task, "seeds": [1], "longest": 16, "training": {"epochs": 1}},
        "probe": {"data": str(prepared), "tokens": 200, "longest": 32},
    }


def made(kind: str, settings: dict[str, dict[str, Any]]) -> Measure:
    """The measure as a suite names it."""
    assert kind in settings, f"{kind}: what should a test tell it?"
    value = {"output": "out", "models": {"a": "b"}, "measures": {"m": {"kind": kind, **settings[kind]}}}
    suite: Suite = decode(Suite, Source(value, {}))
    return suite.measures["m"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_measure_says_what_it_is(kind: str, settings: dict[str, dict[str, Any]]) -> None:
    measure = made(kind, settings)
    assert type(measure) is find_kind(Measure, kind)
    told = plain(measure)
    assert told.pop("kind") == kind and set(told) <= set(field_docs(type(measure)))
    assert not measure.PIECES or isinstance(told[measure.PIECES], list)
    pieces, files = list(measure.pieces()), list(measure.files())
    assert pieces and len(set(pieces)) == len(pieces) and not any("/" in piece for piece in pieces)
    assert files and all(file.is_file() for file in files)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_measure_finds_is_the_same_again_and_can_be_kept(
    kind: str, settings: dict[str, dict[str, Any]], subject: Subject, tmp_path: Path
) -> None:
    measure = made(kind, settings)
    measure.check(subject)
    piece = measure.pieces()[0]
    with torch.random.fork_rng():
        found = measure.measure(subject, piece, CPU, lambda text: None)
    again = made(kind, settings).measure(subject, piece, CPU, lambda text: None)
    save(tmp_path, piece, found, Measured(fingerprint="x", settings={}, files={}), 1.0)
    kept = load(tmp_path, piece).found
    assert found.outcomes and same(found, again) and same(found, kept) and kept.facts == plain(found.facts)


def same(one: Found, other: Found) -> bool:
    """Equal outcomes of every example, in the same order of figures."""
    return list(one.outcomes) == list(other.outcomes) and all(
        a.metric == b.metric and np.array_equal(a.rows, b.rows)
        for a, b in zip(one.outcomes.values(), other.outcomes.values(), strict=True)
    )
