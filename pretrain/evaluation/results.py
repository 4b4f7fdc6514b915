"""What an evaluation found, on disk: one measurement of one model in a folder, one piece (a seed) in two files.

OUTPUT/MODEL/MEASURE/PIECE.npz    the outcome of every example, by figure
OUTPUT/MODEL/MEASURE/PIECE.json   metrics, values, what was measured (Source), sha256 of the other file; written last:
                                  it is there when the piece is whole
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.files import read_json, sha256_json, write_atomic, write_json
from pretrain.evaluation.metrics import Outcome

DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one piece of a measurement found."""

    outcomes: Mapping[str, Outcome]
    """By the name of the figure; the first is the one that stands in tables."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else is worth keeping, as plain values: chosen settings, curves, counts."""
    examples: str = ""
    """A hash of the examples, where they can be the same under other settings or files, or others under the same;
    empty: they are the same where settings and contents of files are."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a piece was measured from."""

    fingerprint: str
    """Of everything: model, settings, files. The same for all pieces of a measurement."""
    settings: Mapping[str, Any]
    """Of the measure, as plain values."""
    files: Mapping[str, str]
    """sha256 of the contents, by path."""

    @property
    def examples(self) -> str:
        """What tells examples apart where the measure does not: settings, without where the files lie, and contents."""
        places = {str(place) for path in self.files for place in (Path(path), *Path(path).parents)}
        return sha256_json({"settings": _without(self.settings, places), "files": list(self.files.values())})


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece as it lies on disk."""

    found: Found
    """With ``examples`` filled in."""
    source: Source
    seconds: float


def _without(value: Any, places: Set[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(item, places) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, places) for item in value]
    return "" if isinstance(value, str) and str(Path(value)) in places else value


def save(folder: Path, piece: str, found: Found, source: Source, seconds: float) -> None:
    """Write a piece."""
    content = io.BytesIO()
    np.savez_compressed(content, *(outcome.rows for outcome in found.outcomes.values()))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / f"{piece}.npz", content.getvalue())
    figures = {
        name: {
            "metric": outcome.metric,
            "lower_is_better": outcome.lower_is_better,
            "value": outcome.value if math.isfinite(outcome.value) else None,
            "examples": len(outcome.rows),
        }
        for name, outcome in found.outcomes.items()
    }
    told = {
        "fingerprint": source.fingerprint,
        "settings": dict(source.settings),
        "files": dict(source.files),
        "examples": found.examples or source.examples,
        "outcomes_sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        "seconds": round(seconds, 3),
        "figures": figures,
        "facts": dict(found.facts),
    }
    write_json(folder / f"{piece}.json", told)


def fingerprint_of(folder: Path, piece: str) -> str:
    """What the whole piece on disk was measured from; empty: there is none."""
    try:
        return load(folder, piece).source.fingerprint
    except ValueError:
        return ""


def load(folder: Path, piece: str) -> Piece:
    """Read a piece again.

    Raises:
        ValueError: it is not there, or its two files do not belong together.
    """
    try:
        told, content = read_json(folder / f"{piece}.json"), (folder / f"{piece}.npz").read_bytes()
        if told["outcomes_sha256"] != hashlib.sha256(content).hexdigest():
            raise ValueError(f"{piece}.json and {piece}.npz do not belong together")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            outcomes = {
                name: Outcome(
                    metric=figure["metric"],
                    rows=arrays[f"arr_{number}"],
                    lower_is_better=bool(figure["lower_is_better"]),
                )
                for number, (name, figure) in enumerate(told["figures"].items())
            }
        source = Source(
            fingerprint=str(told["fingerprint"]), settings=dict(told["settings"]), files=dict(told["files"])
        )
        found = Found(outcomes=outcomes, facts=dict(told["facts"]), examples=str(told["examples"]))
        return Piece(found=found, source=source, seconds=float(told["seconds"]))
    except DAMAGED as error:
        raise ValueError(
            f"{folder / piece}: not a whole result of an evaluation ({error}); run `kmask eval` again"
        ) from None


def pieces(folder: Path) -> list[str]:
    """The pieces of a measurement that are there, in the order of their names and numbers."""
    names = [file.stem for file in folder.glob("*.json")]
    return sorted(names, key=_parts)


def _parts(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in name.split("-")]
