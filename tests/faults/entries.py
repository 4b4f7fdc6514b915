"""The list of all faults. A new one is one more entry: what is done, and what has to follow."""

from __future__ import annotations

import socket

import damage as d
import intrusions
import poison
from faults import Fault, Scene

UNUSABLE = r"(?i)(altered|damaged|cut short|not usable|corrupt|sha256)"
VERIFY = "kmask prepare verify"
CANNOT_SAVE = r"(?i)no space|space left|disk|file too large|quota|(cannot|could not) (be )?(writ|sav)"
HOST = socket.gethostname().replace(".", r"\.")
ELSEWHERE = ".staging-step-00000012-otherhost-4242-0123456789ab"


def in_checkpoint(what: str, file: str, how: d.How, step: int) -> Fault:
    """Damage to a file of the newest checkpoint: passed over for the one before, and the step is saved again."""
    place = {9: "stage end", 12: "mid-stage"}[step]
    return Fault(
        name=f"{what} in {file}, {place}",
        step=step,
        inject=d.damaged(file, how),
        says=(f"step-{step:08d}", UNUSABLE),
        resumes=step - 3,
        check=d.saved_again(step),
    )


def changed_setting(override: str, key: str, old: str, new: str) -> Fault:
    """A setting that a run keeps: refused with both values, nothing touched."""
    says = (rf"{key}\D*\b{old}\b.*\b{new}\b",)

    def inject(scene: Scene) -> None:
        scene.overrides.append(override)
        scene.where = override

    return Fault(name=f"changed {key}", inject=inject, codes=(2,), says=says, unchanged=True)


FAULTS = (
    *(
        in_checkpoint(what, file, how, step)
        for what, how in (("flipped bit", d.flip), ("truncation", d.truncate))
        for file in ("model.safetensors", "optimizer.safetensors", "state.json")
        for step in (12, 9)
    ),
    in_checkpoint("flipped cursor", "state.json", d.flip_in_cursor, 12),
    Fault(
        name="step-00000014-good beside",
        inject=d.beside("step-00000014-good", d.copied),
        check=d.still_there("step-00000014-good"),
    ),
    Fault(
        name="foreign file in checkpoints",
        inject=d.beside("notes.txt", d.scribbled),
        check=d.still_there("notes.txt"),
    ),
    Fault(
        name="foreign file named step-",
        inject=d.beside("step-notes.txt", d.scribbled),
        check=d.still_there("step-notes.txt"),
    ),
    Fault(
        name="empty step-00000012",
        step=9,
        inject=d.beside("step-00000012", d.emptied, keep=100),
        check=d.saved_again(12),
    ),
    Fault(name="staging of another host", inject=d.beside(ELSEWHERE, d.staged_elsewhere)),
    Fault(name="half a line in metrics", inject=d.half_line),
    Fault(name="2,000 changed bytes in a shard", inject=d.shard(d.change_ids), codes=(2,), says=(VERIFY,)),
    Fault(name="truncated shard", inject=d.shard(d.truncate), codes=(2,), says=(VERIFY,)),
    Fault(name="corrupted list offset in a shard", inject=d.shard(d.change_offset), codes=(2,), says=(VERIFY,)),
    Fault(name="second training", during=intrusions.second_training, says=(rf"{HOST}\D.*\b\d+\b",)),
    Fault(name="disk full (file size limit)", during=intrusions.limited_files, codes=(0, 2), says=(CANNOT_SAVE,)),
    Fault(
        name="disk full (tmpfs)",
        inject=intrusions.small_disk,
        during=intrusions.full_disk,
        codes=(0, 2),
        says=(CANNOT_SAVE,),
    ),
    changed_setting("seed=2", "seed", "1", "2"),
    changed_setting("stages.0.steps=8", "steps", "9", "8"),
    changed_setting("tasks.sentence_reordering.segments=4", "segments", "3", "4"),
    changed_setting("tasks.span_boundary.position_size=16", "position_size", "8", "16"),
    Fault(name="NaN once", play=poison.once, modes=("zero0", "zero1", "zero2", "zero3")),
    Fault(name="NaN for ever", play=poison.forever, modes=("zero0", "zero1", "zero2", "zero3")),
)
