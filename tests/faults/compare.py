"""Are two runs the same? Checkpoints by the bytes of their tensors, metrics by all that is not time.

runs_differ(one, two)        "" or what differs: tensors of the newest step of both, cursors, then lines of metrics
lines_differ(one, two)       metrics only, of as many steps as ``one`` has
digest(folder)               every file's hash, to see that nothing was touched
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TIME_LIKE = ("time", "seconds", "tokens_per_second", "loader_wait", "tflops", "mfu", "memory_gib")
EVENTS = ("train", "evaluation")
TENSOR_FILES = ("model.safetensors", "optimizer.safetensors")
STEP_FOLDER = re.compile(r"step-\d{8}")


def metrics(run: Path) -> list[dict[str, Any]]:
    """All lines of metrics that are JSON, in order; none when there is no file yet."""
    lines = []
    if (run / "metrics.jsonl").is_file():
        for line in (run / "metrics.jsonl").read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue  # cut short by a kill
            if isinstance(value, dict):
                lines.append(value)
    return lines


def timeless(line: dict[str, Any]) -> dict[str, Any]:
    """A line without what may differ between equal runs."""
    return {name: value for name, value in line.items() if name not in TIME_LIKE and not name.startswith("loader")}


def lines_differ(one: Path, two: Path, upto: int = 10**12, events: Sequence[str] = EVENTS) -> str:
    """The first difference between the train and evaluation lines of two runs up to a step; "" when there is none."""
    left, right = (list(map(timeless, selected(run, upto, events))) for run in (one, two))
    seen = set()
    for line, expected in zip(left, right, strict=False):
        if place(line) != place(expected):
            how = "stands twice" if place(line) in seen else f"stands where `{place(expected)}` is expected"
            return f"metrics: `{place(line)}` {how}"
        if names := sorted(name for name in line.keys() | expected.keys() if line.get(name) != expected.get(name)):
            values = f"{line.get(names[0])}, expected {expected.get(names[0])}"
            return f"metrics: `{place(line)}`: {names[0]} is {values}"
        seen.add(place(line))
    return f"metrics: {len(left)} lines, expected {len(right)}" if len(left) != len(right) else ""


def selected(run: Path, upto: int = 10**12, events: Sequence[str] = EVENTS) -> list[dict[str, Any]]:
    """The lines of some events up to a step."""
    return [line for line in metrics(run) if line.get("event") in events and line["step"] <= upto]


def place(line: dict[str, Any]) -> str:
    """Which line it is."""
    return " ".join(str(line.get(name, "")) for name in ("event", "stage", "step"))


def done(run: Path) -> int:
    """The last step that metrics tell of."""
    return max((line["step"] for line in metrics(run) if line.get("event") == "train"), default=0)


def step_folders(run: Path) -> list[Path]:
    """Complete checkpoints by name, oldest first."""
    folder = run / "checkpoints"
    found = sorted(folder.glob("step-*")) if folder.is_dir() else []
    named = [item for item in found if STEP_FOLDER.fullmatch(item.name)]
    return [item for item in named if all((item / name).is_file() for name in TENSOR_FILES)]


def tensors_differ(one: Path, two: Path) -> str:
    """What differs between the tensors of two checkpoints, bit by bit; "" when nothing does."""
    import torch
    from safetensors.torch import load_file

    for file in TENSOR_FILES:
        if (one / file).read_bytes() == (two / file).read_bytes():
            continue
        left, right = load_file(one / file), load_file(two / file)
        if left.keys() != right.keys():
            return f"{file}: tensors {sorted(left.keys() ^ right.keys())[:3]} in one only"
        for name, value in left.items():
            other = right[name]
            if value.shape != other.shape or value.dtype != other.dtype:
                shapes = [f"{item.dtype} {tuple(item.shape)}" for item in (value, other)]
                return f"{file}: {name} is {shapes[0]}, expected {shapes[1]}"
            if not torch.equal(value.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8)):
                worst = (value.double() - other.double()).abs().max().item()
                return f"{file}: {name} differs by up to {worst:.3g}"
    return ""


def checkpoints_differ(one: Path, two: Path) -> str:
    """Tensors, and the cursors where both states tell them."""
    found = tensors_differ(one, two)
    cursors = [json.loads((folder / "state.json").read_text()).get("cursors") for folder in (one, two)]
    if not found and None not in cursors and cursors[0] != cursors[1]:
        return f"cursors {cursors[0]}, expected {cursors[1]}"
    return found


def newest_differ(one: Path, two: Path) -> str:
    """What differs between the newest checkpoints of two runs; "" when they are equal."""
    left, right = (step_folders(run) for run in (one, two))
    if not left or not right or left[-1].name != right[-1].name:
        found, wanted = (folders[-1].name if folders else "none" for folders in (left, right))
        return f"newest checkpoint {found}, expected {wanted}"
    return checkpoints_differ(left[-1], right[-1])


def runs_differ(one: Path, two: Path, events: Sequence[str] = EVENTS) -> str:
    """What differs between two finished runs; "" when they are equal."""
    return "; ".join(filter(None, (newest_differ(one, two), lines_differ(one, two, events=events))))


def infinite(checkpoint: Path) -> str:
    """The first tensor of a checkpoint that is not finite everywhere; "" when all are."""
    import torch
    from safetensors.torch import load_file

    for file in TENSOR_FILES:
        for name, value in load_file(checkpoint / file).items():
            if not torch.isfinite(value).all():
                return f"{checkpoint.name}/{file}: {name} is not finite"
    return ""


def digest(folder: Path, leave_out: Callable[[Path], bool] = lambda path: False) -> dict[str, str]:
    """The hash of every file below a folder, by relative path."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and not leave_out(file.relative_to(folder)))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
