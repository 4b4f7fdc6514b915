"""The best checkpoint of a run: the lowest domain loss among those that have not forgotten more than is allowed.

    judged(best, settings, step, values)   after an evaluation    ->  what is the best now, and is it this step?
    best_step(folder)                      for eval and export    ->  its step, from the newest checkpoint

    figure   2.9 2.4 2.2 2.1 2.0      control  1.7 1.7 1.75 1.8 1.9,  tolerance .1
    at step    0 100 200 300 400      ->  300: at 400 the control loss has risen by .2

Every rank has the same figures, so every rank decides alike. What is the best is part of every checkpoint; the best one
is saved when it is found and never pruned while it is the best. Step 0 is what the others are compared with, and no
candidate: it is what the run began from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrain.run_parts import Best
from pretrain.state.checkpoint import Note, latest
from pretrain.state.names import candidates


def judged(
    best: Mapping[str, Any], settings: Best, step: int, values: Mapping[str, float], candidate: bool = True
) -> tuple[dict[str, Any], bool]:
    """What is the best after an evaluation, and whether it is this step.

    Args:
        best: before; empty when nothing was measured.
        candidate: may it be this step?
    """
    names = {"figure": settings.figure, "control": settings.control}
    if {name: best.get(name) for name in names} != names:
        best = names  # nothing was measured, or other figures count now
    found = dict(best)
    if settings.control and "begin" not in found and settings.control in values:
        found |= {"begin": values[settings.control], "begin_step": step}
    if not candidate or settings.figure not in values:
        return found, False
    value, control = values[settings.figure], values.get(settings.control)
    if settings.control and not (control is not None and control <= found["begin"] + settings.tolerance):
        return found, False
    if not value < found.get("value", float("inf")):
        return found, False
    return {**found, "step": step, "value": value, "control_value": control}, True


def best_step(folder: Path, note: Note) -> int:
    """The step of the best checkpoint of a run.

    Raises:
        ValueError: there is none, with the reason.
    """
    newest = latest(folder / "checkpoints", note)
    if newest is None:
        raise ValueError(f"{folder} holds no checkpoint yet")
    best = newest.state.best
    if not best:
        raise ValueError(f"{folder}: no best checkpoint is kept; set checkpoints.best, or give --step")
    if "step" not in best:
        rise = f", or every one raised {best['control']} too far above {best['begin']:.4f}" if "begin" in best else ""
        raise ValueError(f"{folder}: no checkpoint is the best yet: none was measured after the beginning{rise}")
    if best["step"] not in (int(path.name[-8:]) for path in candidates(folder / "checkpoints")):
        raise ValueError(f"{folder}: the best checkpoint, that of step {best['step']}, is not there any more")
    return int(best["step"])
