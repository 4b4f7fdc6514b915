"""`kmask prepare` as a user runs it, a process of its own with workers, on labelled pairs and on datasets: what is in
the files is in the shards."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
import random
from pathlib import Path
from typing import Any

import commands
import pytest

from data_prep.shards import Prepared

ROOT = Path(__file__).resolve().parents[2]
WORDS = [
    "the",
    "river",
    "rises",
    "in",
    "west",
    "rome",
    "rain",
    "opened",
    "station",
    "city",
    "york",
    "new",
    "of",
    "and",
    "is",
]
CLASSES = ["no", "maybe", "yes"]
Documents = dict[str, tuple[list[str], str]]
"""By id: the texts of the parts without white space, in lower case, and the class (empty: none)."""


def sentence(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words)).capitalize() + "."


def pairs() -> list[dict[str, str]]:
    """Labelled pairs, two of which are hard to write in CSV."""
    draw = random.Random(3)
    rows = [
        {"id": f"p{row}", "first": sentence(draw, 6), "second": sentence(draw, 9), "label": draw.choice(CLASSES)}
        for row in range(300)
    ]
    rows[50]["first"] = 'He said "the rain, the river" and left.'
    rows[51]["second"] = "A comma, a 5'' sign."
    return rows


def write_pairs(folder: Path, kind: str) -> str:
    """The pairs in one of the formats, with a line that cannot be used; the path as a configuration names it."""
    rows = [*pairs(), {"id": "bad", "first": "Rome.", "second": "Rain.", "label": "perhaps"}]
    if kind == "jsonl":
        (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return "p.jsonl"
    if kind == "tsv.gz":
        lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
        (folder / "p.tsv.gz").write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
        return "p.tsv.gz"
    with (folder / "p.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return "p.csv"


def texts() -> dict[str, str]:
    draw = random.Random(4)
    return {f"d{row}": " ".join(sentence(draw, 8) for _ in range(3)) for row in range(1100)}


def write_dataset(folder: Path, kind: str) -> str:
    """The texts as a folder of `datasets`."""
    import datasets

    found = datasets.Dataset.from_list([{"id": id, "text": text} for id, text in texts().items()])
    path = folder / "wiki"
    if kind == "saved":
        found.save_to_disk(path)
        return "wiki"
    path.mkdir()
    {"json": found.to_json, "csv": found.to_csv, "parquet": found.to_parquet}[kind](
        path / f"train.{kind if kind != 'json' else 'jsonl'}"
    )
    return "wiki"


def expected_pairs() -> Documents:
    return {row["id"]: ([bare(row["first"]), bare(row["second"])], row["label"]) for row in pairs()}


def expected_texts() -> Documents:
    return {id: ([bare(text)], "") for id, text in texts().items()}


def bare(text: str) -> str:
    return "".join(text.lower().split())


def kmask(folder: Path, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_DATASETS_CACHE": str(folder / "hf")}
    run = commands.run(*arguments, cwd=folder, env=environment)
    return run.returncode, run.stdout + run.stderr


def configure(folder: Path, tokenizer: Path, *corpora: dict[str, Any], **settings: Any) -> None:
    shared = {
        "output": "out",
        "vocabulary": {"path": str(tokenizer)},
        "heldout": 0.1,
        "part_bytes": 4000,
        "engine": {"kind": "local", "workers": 2},
    }
    (folder / "data.yaml").write_text(json.dumps({**shared, "corpora": list(corpora), **settings}))


def read_back(folder: Path) -> Documents:
    """What the shards hold."""
    prepared = Prepared.open(folder / "out")
    tokens = [token.removeprefix("##") for token in prepared.tokenizer.tokens]
    found: Documents = {}
    for split in ("train", "heldout"):
        classes = prepared.classes.get(split, ())
        for shard in prepared.shards(split):
            for row in range(len(shard)):
                ids = shard.token_ids.row(row)
                ends = shard.segment_ends.row(row).tolist() if classes else []
                edges = [0, *ends] if ends else [0, len(ids)]
                assert edges[-1] == len(ids)
                parts = ["".join(tokens[id] for id in ids[start:end]) for start, end in itertools.pairwise(edges)]
                id = shard.text_of("id", row)
                assert id not in found
                found[id] = parts, classes[shard.label[row]] if classes and shard.label[row] >= 0 else ""
    assert len(prepared.shards("train")) > 3 and prepared.shards("heldout")
    return found


PAIRS = {"kind": "pairs", "classes": CLASSES}


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv.gz"])
def test_labelled_pairs_come_back_from_the_shards(kind: str, tmp_path: Path, tokenizer_folder: Path) -> None:
    configure(tmp_path, tokenizer_folder, {**PAIRS, "paths": [write_pairs(tmp_path, kind)]})
    code, message = kmask(tmp_path, "prepare", "plan", "data.yaml")
    assert code == 0, message
    code, message = kmask(tmp_path, "prepare", "data.yaml")
    assert code == 3 and "1 document(s) set aside" in message and "unknown label" in message, message
    assert read_back(tmp_path) == expected_pairs()
    assert kmask(tmp_path, "prepare", "verify", "out")[0] == 0


@pytest.mark.parametrize("kind", ["saved", "json", "csv", "parquet"])
def test_datasets_come_back_from_the_shards(kind: str, tmp_path: Path, tokenizer_folder: Path) -> None:
    configure(
        tmp_path, tokenizer_folder, {"kind": "hub_dataset", "paths": [write_dataset(tmp_path, kind)]}, part_bytes=20_000
    )
    code, message = kmask(tmp_path, "prepare", "data.yaml")
    assert code == 0, message
    assert read_back(tmp_path) == expected_texts()


def test_pairs_and_a_dataset_in_one_folder_with_every_step(tmp_path: Path, tokenizer_folder: Path) -> None:
    sources = (
        {**PAIRS, "paths": [write_pairs(tmp_path, "csv")]},
        {"kind": "hub_dataset", "paths": [write_dataset(tmp_path, "json")]},
    )
    configure(tmp_path, tokenizer_folder, *sources, duplicates={}, discourse={})
    for arguments in (
        ["prepare", "plan", "data.yaml"],
        ["prepare", "data.yaml"],
        ["prepare", "data.yaml"],
        ["prepare", "report", "out"],
    ):
        code, message = kmask(tmp_path, *arguments)
        assert code == (3 if arguments[1] == "data.yaml" else 0), message
    assert read_back(tmp_path) == expected_pairs() | expected_texts()
    assert kmask(tmp_path, "show", "document", "out", "-n", "2")[0] == 0
