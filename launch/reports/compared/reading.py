"""What evaluations found, read from disk for tables and pages.

[OUTPUT] or [OUTPUT/start, OUTPUT/ours]  ->  folders_of   {"start": OUTPUT/start, "ours": OUTPUT/ours}
                                         ->  read_results Results: measurements by measure, model and piece
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.reports.run.run_folders import labels

ORDER = "suite.json"
Pieces = Mapping[str, Any]
"""results.Piece by name."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that was found for some models."""

    folders: Mapping[str, Path]
    """By model, in the order of tables."""
    paths: Mapping[str, str]
    """Where the models lie, as far as is known."""
    measures: Mapping[str, Mapping[str, Pieces]]
    """By measure and model."""
    left_out: Sequence[str]
    """What is on disk and could not be used, with the reason."""

    def figures(self, measure: str) -> list[str]:
        """Names of its figures; the first stands for it."""
        pieces = [piece for model in self.measures[measure].values() for piece in model.values()]
        return list(dict.fromkeys(name for piece in pieces for name in piece.found.outcomes))

    def values(self, measure: str, figure: str, model: str) -> list[float]:
        """Its value in every piece."""
        found = self.measures[measure].get(model, {}).values()
        return [piece.found.outcomes[figure].value for piece in found if figure in piece.found.outcomes]

    def main(self, measure: str) -> str:
        """The figure that stands for a measure."""
        return self.figures(measure)[0]


def kept_order(output: Path) -> dict[str, dict[str, Any]]:
    """What suites kept about their results; empty where there is nothing, or nothing that can be read."""
    from data_prep.files import read_json

    try:
        value = read_json(output / ORDER)
        return {field: dict(value[field]) for field in ("models", "measures")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def folders_of(targets: Sequence[Path]) -> dict[str, Path]:
    """The folder of each model's results, by the name that tells them apart.

    Raises:
        ValueError: a target is no folder of results.
    """
    found: list[Path] = []
    for target in targets:
        if not target.is_dir():
            raise ValueError(f"{target}: no such folder (looked from {Path.cwd()})")
        inside = [path for path in sorted(target.iterdir()) if path.is_dir() and _measures(path)]
        if _measures(target):
            found.append(target)
        elif inside:
            order = list(kept_order(target).get("models", ()))
            found += sorted(inside, key=lambda path: order.index(path.name) if path.name in order else len(order))
        else:
            raise ValueError(
                f"{target}: no results of an evaluation there; give OUTPUT or OUTPUT/MODEL of a suite that "
                "`kmask eval SUITE.yaml` has measured"
            )
    return dict(zip(labels(found), found, strict=True))


def _measures(folder: Path) -> list[Path]:
    """Folders of measurements of a model."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".") and any(path.glob("*.npz"))
    ]


def read_results(
    folders: Mapping[str, Path], wanted: Mapping[str, Mapping[str, Sequence[str]]] | None = None
) -> Results:
    """All measurements of some models.

    Args:
        wanted: pieces by model and measure; None: whatever is there.

    Raises:
        ValueError: a model has nothing; a wanted piece is not whole.
    """
    from pretrain.evaluation.results import load, pieces

    found: dict[str, dict[str, Pieces]] = {}
    left_out, paths, order = [], {}, list[str]()
    for model, folder in folders.items():
        kept = kept_order(folder.parent)
        paths[model] = str(kept.get("models", {}).get(folder.name, ""))
        order += kept.get("measures", {})
        names = {path.name: pieces(path) for path in _measures(folder)} if wanted is None else wanted[model]
        for measure, some in names.items():
            try:
                whole = {piece: load(folder / measure, piece) for piece in some}
            except ValueError as error:
                if wanted is not None:
                    raise
                left_out.append(str(error))
                continue
            if len({piece.source.fingerprint for piece in whole.values()}) > 1:
                left_out.append(f"{folder / measure}: its pieces are of different settings; run `kmask eval` again")
            elif whole:
                found.setdefault(measure, {})[model] = whole
    if not found:
        raise ValueError("\n".join(["no whole results of an evaluation", *left_out]))
    measures = {measure: found[measure] for measure in dict.fromkeys([*order, *found]) if measure in found}
    return Results(folders=dict(folders), paths=paths, measures=measures, left_out=left_out)
