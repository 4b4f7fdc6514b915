"""What an evaluation found, on disk: one measurement of one model in a folder, one piece (a seed) in two files.

OUTPUT/MODEL/MEASURE/PIECE.npz    the outcome of every example, by metric
OUTPUT/MODEL/MEASURE/PIECE.json   metrics, values, what was measured (fingerprint); written last: it is there when
                                  the piece is whole
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.files import read_json, write_atomic, write_json
from pretrain.evaluation.metrics import Outcome


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one piece of a measurement found."""

    outcomes: Mapping[str, Outcome]
    """By the name of the figure; the first is the one that stands in tables."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else is worth keeping, as plain values: chosen settings, curves, counts."""


def save(folder: Path, piece: str, found: Found, fingerprint: str, seconds: float) -> None:
    """Write a piece."""
    content = io.BytesIO()
    np.savez_compressed(content, **{name: outcome.rows for name, outcome in found.outcomes.items()})  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / f"{piece}.npz", content.getvalue())
    figures = {
        name: {
            "metric": outcome.metric,
            "lower_is_better": outcome.lower_is_better,
            "value": outcome.value,
            "examples": len(outcome.rows),
        }
        for name, outcome in found.outcomes.items()
    }
    write_json(
        folder / f"{piece}.json",
        {"fingerprint": fingerprint, "seconds": round(seconds, 3), "figures": figures, "facts": dict(found.facts)},
    )


def fingerprint_of(folder: Path, piece: str) -> str:
    """What the piece on disk was measured from; empty: there is none."""
    try:
        return str(read_json(folder / f"{piece}.json")["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def load(folder: Path, piece: str) -> Found:
    """Read a piece again.

    Raises:
        ValueError: it is not there, or its two files do not belong together.
    """
    try:
        told = read_json(folder / f"{piece}.json")
        with np.load(folder / f"{piece}.npz", allow_pickle=False) as arrays:
            outcomes = {
                name: Outcome(
                    metric=figure["metric"], rows=arrays[name], lower_is_better=bool(figure["lower_is_better"])
                )
                for name, figure in told["figures"].items()
            }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / piece}: not a whole result of an evaluation ({error}); run `kmask eval` again"
        ) from None
    return Found(outcomes=outcomes, facts=told.get("facts", {}))


def pieces(folder: Path) -> list[str]:
    """The pieces of a measurement that are there, in the order of their names and numbers."""
    names = [file.stem for file in folder.glob("*.json")]
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in name.split("-")])
