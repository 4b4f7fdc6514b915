"""Prepared folders for objectives: the example corpus, and pairs, logs, dialogues, triples and marked sentences made of its clauses by keys.

Folders(root, given).of("log")   ->   a folder that is prepared when it is first asked for
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.engines import Engine
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from launch.settings.components import decode, load

ROOT = Path(__file__).resolve().parent.parent
CORPORA: dict[str, dict[str, Any]] = {
    "pairs": {"kind": "pairs", "classes": ["no", "yes"]},
    "log": {"kind": "search_log"},
    "dialogues": {"kind": "dialogues", "roles": ["Q", "R"]},
    "triples": {"kind": "triples"},
    "discourse": {"kind": "jsonl"},
}
MARKERS = {
    "zh": ("但是，", "因此，", "例如，", "此外，"),
    "en": ("However, ", "Therefore, ", "For example, ", "Moreover, "),
}
ROWS = 600


@dataclass(frozen=True, kw_only=True)
class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Prepared folders below ``root``."""

    root: Path
    given: Path | None = None
    """A prepared folder in place of the example corpus."""

    @cached_property
    def _made(self) -> dict[str, Path]:
        return {}

    def of(self, kind: str) -> Path:
        """The folder of `text`, or of a key of ``CORPORA``."""
        if kind not in self._made:
            self._made[kind] = self.given if kind == "text" and self.given else self._prepared(kind)
        return self._made[kind]

    def _prepared(self, kind: str) -> Path:
        folder = self.root / kind
        settings = [f"output={folder / 'data'}", "heldout=0.3", "part_bytes=200000", "vocabulary.size=3000"]
        source = load(ROOT / "configs/data/demo.yaml", settings)
        paths = [str(ROOT / f"examples/corpus/{code}.jsonl") for code in ("zh", "en")]
        if kind != "text":
            folder.mkdir(parents=True)
            paths = [str(folder / "rows.jsonl")]
            rows = (json.dumps(row, ensure_ascii=False) + "\n" for row in made(kind))
            Path(paths[0]).write_text("".join(rows), encoding="utf-8")
            source.value["vocabulary"] = {"path": str(self.of("text") / "tokenizer")}
        source.value["corpora"] = [{**CORPORA.get(kind, {"kind": "jsonl"}), "paths": paths}]
        if kind == "discourse":
            source.value["discourse"] = {"label": "sense"}
        for annotator in source.value["annotators"]:
            annotator["paths"] = [str(ROOT / path) for path in annotator["paths"]]
        prepare(replace(decode(Preparation, source), engine=Here()), lambda progress: None)
        return folder / "data"


def clauses(code: str) -> list[str]:
    """Clauses of the examples in a language, of 8 to 60 characters."""
    lines = (ROOT / f"examples/corpus/{code}.jsonl").read_text("utf-8").splitlines()
    found = [part.strip() for line in lines for part in re.split(r"[。，；.;,\n]", json.loads(line)["text"])]
    return sorted({part for part in found if 8 <= len(part) <= 60})


def made(kind: str) -> Iterator[dict[str, Any]]:
    """Rows of a kind of corpus; nothing in them tells their label."""
    rng, texts = np.random.default_rng(7), {code: clauses(code) for code in MARKERS}
    for number in range(ROWS):
        code = "zh" if number % 2 else "en"

        def text(code: str = code) -> str:
            return texts[code][int(rng.integers(len(texts[code])))]

        row: dict[str, Any] = {"id": f"{kind}-{number}", "lang": code}
        if kind == "pairs":
            yield row | {"first": text(), "second": text(), "label": ("no", "yes")[int(rng.integers(2))]}
        elif kind == "log":
            titles = [{"title": text(), "clicked": bool(rng.integers(2))} for _ in range(1 + int(rng.integers(3)))]
            yield row | {"query": text(), "titles": titles}
        elif kind == "dialogues":
            turns = [{"role": "QR"[int(rng.integers(2))], "text": text()} for _ in range(3 + int(rng.integers(8)))]
            yield row | {"turns": turns}
        elif kind == "triples":
            head, relation, tail = text()[:12], text()[:12], text()[:12]
            yield row | {"text": f"{head} {text()} {tail}", "triples": [[head, relation, tail]]}
        else:
            end = "。" if code == "zh" else ". "
            marker = MARKERS[code][int(rng.integers(len(MARKERS[code])))]
            yield row | {"text": f"{text()}{end}{marker}{text()}{end}"}
