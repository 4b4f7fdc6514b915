"""Steps that were left out or whose loss jumped: written down, told, and what the settings say is done about them.

Verdict (stability.py)  ->  a line of metrics, the step's rows in skipped.jsonl, a note  ->  end, go back, or go on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pretrain.feed.sampling import Cursor, Sampler
from pretrain.saving import Surroundings
from pretrain.stability import Guard, Verdict


def judged(
    around: Surroundings, stage: int, verdict: Verdict, guard: Guard, rows: Callable[[], list[dict[str, Any]]]
) -> None:
    """Write a step down that was left out or jumped, and do what the settings say about it.

    Args:
        rows: the rows of the step, looked up by the one process that writes them.

    Raises:
        ValueError: the run ends because of it.
    """
    progress, tracker = around.progress, around.tracker
    name = "spike" if verdict.spike else "skipped"
    progress.skipped += not verdict.applied
    if tracker:
        reason = verdict.reason
        seen = {"stage": around.run.stages[stage].name, "reason": reason, "in_a_row": guard.in_a_row}
        tracker.log(name, progress.step, seen)
        tracker.rows.append({"step": progress.step, "event": name, "reason": reason, "rows": rows()})
    around.note(f"step {progress.step}: {verdict.reason}" + ("" if verdict.spike else "; left out by all processes"))
    if verdict.stop:
        around.give_up(
            f"{guard.in_a_row} steps in a row had no finite loss or gradient; in the last one, {verdict.reason}"
        )
    if verdict.spike and around.run.stability.on_spike == "rollback":
        around.settle()
        if progress.saved < 0:
            around.note("there is no checkpoint to go back to yet")
        elif guard.may_roll_back():
            progress.going_back = True
        else:
            around.give_up(
                f"the loss jumps again after {around.run.stability.rollbacks} rollbacks; in step {progress.step}, "
                f"{verdict.reason}"
            )


def rows_of_step(sampler: Sampler, before: Mapping[str, Cursor], step: int) -> list[dict[str, Any]]:
    """The rows of a step of the run, which began at ``before``."""
    rows, _ = sampler.step(before, step)
    return [
        {
            "stream": row.stream,
            "epoch": row.epoch,
            "windows": np.stack(row.windows.columns, 1).tolist(),
            "documents": sorted(set(sampler.streams[row.stream].source.texts(row.windows).document_ids)),
        }
        for row in rows
    ]
