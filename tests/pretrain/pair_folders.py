"""Prepared folders of labelled pairs, search logs, dialogues and triples, made of the sentences of the example corpus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tiny import ROOT

from data_prep.engines import Engine
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from launch.settings.components import decode, load

CORPORA: dict[str, dict[str, Any]] = {
    "pairs": {"kind": "pairs", "classes": ["no", "yes"], "allow_unlabelled": True},
    "log": {"kind": "search_log"},
    "dialogues": {"kind": "dialogues", "roles": ["Q", "R"]},
    "triples": {"kind": "triples"},
}


@dataclass(frozen=True, kw_only=True)
class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


def sentences() -> list[str]:
    """Clauses of the examples, of 5 to 60 characters."""
    lines = [
        line
        for code in ("zh", "en")
        for line in (ROOT / f"examples/corpus/{code}.jsonl").read_text("utf-8").splitlines()
    ]
    found = [part.strip() for line in lines for part in re.split(r"[。，；.;,\n]", json.loads(line)["text"])]
    return sorted({part for part in found if 5 <= len(part) <= 60})


def rows(kind: str, count: int) -> list[dict[str, Any]]:
    """So many pairs, queries, dialogues or texts with a triple; nothing in them tells their label."""
    rng, texts = np.random.default_rng(7), sentences()

    def text() -> str:
        return texts[int(rng.integers(len(texts)))]

    made: list[dict[str, Any]] = []
    for number in range(count):
        identity = f"{kind}-{number}"
        if kind == "pairs":
            second = " ".join(text() for _ in range(1 + 30 * (number % 29 == 0)))
            row = {"first": text(), "second": second, "label": ("no", "yes", "yes")[int(rng.integers(3))]}
            made.append({"id": identity, **row, **({"label": ""} if number % 17 == 0 else {})})
        elif kind == "log":
            titles = [{"title": text(), "clicked": bool(rng.integers(2))} for _ in range(1 + int(rng.integers(3)))]
            made.append({"id": identity, "query": texts[number % (count // 2)], "titles": titles})
        elif kind == "triples":
            made.append({"id": identity, "text": text(), "triples": [[text()[:8], text()[:6], text()[:8]]]})
        else:
            turns = [{"role": "QR"[int(rng.integers(2))], "text": text()} for _ in range(1 + int(rng.integers(14)))]
            made.append({"id": identity, "turns": turns})
    return made


def folder_of(kind: str, prepared: Path, target: Path, count: int = 400, **settings: Any) -> Path:
    """A prepared folder of a kind of documents, with the tokenizer of ``prepared``."""
    target.mkdir(parents=True)
    file = target / "rows.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(kind, count)), encoding="utf-8")
    source = load(
        ROOT / "configs/data/demo.yaml",
        [
            f"output={target / 'data'}",
            f"vocabulary.path={prepared / 'tokenizer'}",
            "heldout=0.3",
            "part_bytes=20000",
        ],
    )
    source.value["corpora"] = [{**CORPORA[kind], "paths": [str(file)], **settings}]
    for place, names in ((0, ("entities.zh.tsv", "entities.en.tsv")), (1, ("phrases.zh.txt", "phrases.en.txt"))):
        source.value["annotators"][place]["paths"] = [str(ROOT / "examples/lexicons" / name) for name in names]
    prepare(replace(decode(Preparation, source), engine=Here()), lambda progress: None)
    return target / "data"
