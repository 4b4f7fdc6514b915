"""Models against a baseline in all figures: bootstrap (pretrain/evaluation/comparing.py), Holm's correction, and why
something was left out.

Holm's correction has two families for each model: the main figure of every measure, and all other figures. So a curve
over thirteen layers does not hide whether a model became better at its tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launch.reports.compared.reading import Results


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences to a baseline."""

    baseline: str
    others: Sequence[str]
    differences: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """comparing.Difference by measure, model and figure."""
    left_out: Sequence[str]
    """What was not compared, with the reason."""
    several: bool
    """Did a measurement have several pieces?"""
    main: int
    """Size of the largest family of main figures that were corrected together."""
    rest: int
    """That of the other figures."""


def compared(results: Results, baseline: str | None) -> Comparison:
    """Every model against ``baseline``, which is the first one where none is named.

    Raises:
        ValueError: there is nothing to compare with, or no such baseline.
    """
    models = list(results.folders)
    if len(models) < 2:
        raise ValueError(f"only {models[0]} has results there; a comparison needs two models")
    if baseline is not None and baseline not in models:
        raise ValueError(f"--baseline {baseline}: not one of {', '.join(models)}")
    first = models[0] if baseline is None else baseline
    found: dict[str, dict[str, dict[str, Any]]] = {}
    left_out = list(results.left_out)
    for measure in results.measures:
        found[measure], reasons = _measure(results, measure, first)
        left_out += reasons
    others = [model for model in models if model != first]
    sizes = [_correct(results, found, model) for model in others]
    several = any(one.pieces > 1 for models in found.values() for some in models.values() for one in some.values())
    return Comparison(
        baseline=first,
        others=others,
        differences=found,
        left_out=left_out,
        several=several,
        main=max(main for main, _ in sizes),
        rest=max(rest for _, rest in sizes),
    )


def _measure(results: Results, measure: str, baseline: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The differences of a measure by model, and what was left out."""
    from pretrain.evaluation.comparing import Sample, compare

    models = results.measures[measure]
    if baseline not in models:
        return {}, [f"{measure}: not measured for {baseline}, the baseline"]
    samples = {
        model: {
            figure: {
                name: Sample(piece.found.outcomes[figure], piece.found.examples)
                for name, piece in pieces.items()
                if figure in piece.found.outcomes
            }
            for figure in results.figures(measure)
            if any(figure in piece.found.outcomes for piece in pieces.values())
        }
        for model, pieces in models.items()
    }
    found: dict[str, dict[str, Any]] = {}
    left_out = []
    for model, differences in compare(samples, baseline).items():
        found[model] = {name: one for name, one in differences.items() if not isinstance(one, str)}
        reasons: dict[str, list[str]] = {}
        for name, one in differences.items():
            if isinstance(one, str):
                reasons.setdefault(one, []).append(name)
        for why, names in reasons.items():
            named = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            other = _other_settings(models[baseline], models[model])
            left_out.append(f"{measure} {named}: {model} is not compared with {baseline}: {why}{other}")
        left_out += _fewer_pieces(measure, model, found[model], models[baseline], models[model])
    return found, left_out


def _other_settings(first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Which settings and files of two measurements differ, in words."""
    one, two = (next(iter(pieces.values())).source for pieces in (first, other))
    names = [name for name in {**one.settings, **two.settings} if one.settings.get(name) != two.settings.get(name)]
    told = f"; other settings: {', '.join(names)}" if names else ""
    return told + ("; other contents of files" if list(one.files.values()) != list(two.files.values()) else "")


def _fewer_pieces(
    measure: str, model: str, found: Mapping[str, Any], first: Mapping[str, Any], other: Mapping[str, Any]
) -> list[str]:
    common = len(set(first) & set(other))
    if not found or common == len(first) == len(other):
        return []
    return [
        f"{measure}: differences of {model} are over the {common} pieces that both have ({len(first)} and {len(other)})"
    ]


def _correct(results: Results, found: dict[str, dict[str, dict[str, Any]]], model: str) -> tuple[int, int]:
    """Holm's correction of a model's figures: the main ones together, all others together. Returns how many."""
    from pretrain.evaluation.comparing import holm

    sizes = []
    for main in (True, False):
        family = {
            (measure, figure): one
            for measure, models in found.items()
            for figure, one in models.get(model, {}).items()
            if (figure == results.main(measure)) == main
        }
        for (measure, figure), one in holm(family).items():
            found[measure][model][figure] = one
        sizes.append(len(family))
    return sizes[0], sizes[1]
