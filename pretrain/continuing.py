"""May a run go on with this configuration? Every setting is compared with those of the checkpoint.

    compare(state, run, resolved, fingerprints)  ->  Changes(allowed=["optimization.lr: 0.0001 -> 5e-05"],
        refused=["seed: 1 -> 2"])

Allowed are settings that decide nothing about what weights and cursors mean (FREE) and stages that have not ended.
Whatever is not listed is refused: a new setting is frozen until somebody has thought about it. A task's own settings
are frozen from the moment its head exists, but for its weight.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from pretrain.config import Run
from pretrain.state.checkpoint import State

BATCH_FREE = ("batch.rows_per_step", "batch.rows_per_process", "batch.warmup*")
FREE = (
    "output",
    "threads",
    "data_workers",
    "model.path",
    "model.optimizer",
    "model.drop",
    "model.dropout",
    "model.attention_dropout",
    *BATCH_FREE,
    "optimization.*",
    "engine.*",
    "evaluation.*",
    "checkpoints.*",
    "tracking.*",
    "stability.*",
    "masking.*",
    "tasks.*.weight",
    "tasks.*.folders*",
)
KEPT = ("optimization.algorithm",)
"""Settings that FREE would allow and that may not change: what one optimiser remembers is nothing to the other. A new
run may begin from this one (`model.path`) with `model.optimizer: reset`."""
ABSENT = "not set"
NAMED = ("tasks", "masking")
"""Below these, a key that is new is the user's; elsewhere it is a setting that the checkpoint's version did not know
yet."""


class Changes(NamedTuple):
    """Differences from the configuration of a checkpoint, one line each with both values."""

    allowed: list[str]
    refused: list[str]


def check_continues(state: State, run: Run, resolved: Mapping[str, Any], fingerprints: Mapping[str, str]) -> list[str]:
    """The changes that are allowed, as lines to print.

    Raises:
        ValueError: something changed that must not; names each key with both values.
    """
    changes = compare(state, run, resolved, fingerprints)
    if changes.refused:
        lines = "\n  ".join(changes.refused)
        written = run.schedule is not None and any(line.startswith("stages") for line in changes.refused)
        how = "\nThe schedule wrote these stages; a list under `stages` keeps those that ended as they were."
        raise ValueError(
            f"{run.output} was trained with other settings and cannot continue with these:\n  {lines}\nUndo them, or "
            f"choose a new output.{how if written else ''}"
        )
    return changes.allowed


def compare(state: State, run: Run, resolved: Mapping[str, Any], fingerprints: Mapping[str, str]) -> Changes:
    """All differences between the checkpoint's configuration and this one."""
    stages = _stages(state, resolved["stages"], resolved["batch"])
    allowed, refused = (
        stages.allowed,
        [*_order_of_tasks(state, resolved), *_folders(state, fingerprints), *stages.refused],
    )
    future = tuple(
        f"tasks.{task}." for task in {**state.config["tasks"], **resolved["tasks"]} if task not in state.learned
    )
    for key, before, now in differences(_ordinary(state.config), _ordinary(resolved)):
        free = key not in KEPT and any(fnmatch.fnmatchcase(key, pattern) for pattern in FREE)
        free = free or f"{key}.".startswith(future)
        (allowed if free else refused).append(f"{key}: {shown(before)} -> {shown(now)}")
    folders, folders_now = _by_name(state.config["data"]), _by_name(resolved["data"])
    for key, before, now in differences(folders, folders_now, "data", new=True):
        allowed.append(f"{key}: {shown(before)} -> {shown(now)}")
    if folders.keys() == folders_now.keys() and list(folders) != list(folders_now):
        allowed.append(
            f"data: the order {list(folders)} -> {list(folders_now)} (rows of equal claim come in this order)"
        )
    return Changes(allowed, refused)


def _ordinary(config: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but lists whose items have rules of their own; the algorithm that was the only one, where it is not
    said."""
    found = {key: value for key, value in config.items() if key not in ("data", "stages", "schedule")}
    return found | {"optimization": {"algorithm": "adamw", **config.get("optimization", {})}}


def _by_name(data: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        item["name"] or str(item["path"]).rstrip("/").rsplit("/", 1)[-1]: {
            "weight": item["weight"],
            "path": item["path"],
        }
        for item in data
    }


def differences(before: Any, now: Any, path: str = "", new: bool = False) -> Iterator[tuple[str, Any, Any]]:
    """(dotted key, value before, value now) of every leaf that differs; keys that were unknown before count only if
    ``new``."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in [*before, *(key for key in now if new and key not in before)]:
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key, ABSENT), now.get(key, ABSENT), inner, new or inner in NAMED)
    elif before != now:
        yield path, before, now


def _order_of_tasks(state: State, resolved: Mapping[str, Any]) -> list[str]:
    """Rows of the task table hang on the order: everything up to the last learned task stays where it is."""
    before, now = list(state.config["tasks"]), list(resolved["tasks"])
    fixed = max((before.index(task) + 1 for task in state.learned), default=0)
    if before[:fixed] == now[:fixed]:
        return []
    lines = ["tasks: the two tables differ where the checkpoint has learned (new tasks join at the end):"]
    tables = [_table("checkpoint", state.config["tasks"]), _table("configuration", resolved["tasks"])]
    width = max(map(len, tables[0])) + 4
    for number, (old, new) in enumerate(zip_longest(*tables, fillvalue="-")):
        mark = " " if not number else "=" if old == new else "≠" if number <= fixed else "+"
        lines.append(f"  {number or '':>4} {old:{width}}{mark} {new}")
    learned = f"{', '.join(state.learned)} were learned and must keep their places"
    return ["\n  ".join([*lines, f"  {learned}; put the tasks back into the order of the checkpoint"])]


def _table(title: str, tasks: Mapping[str, Any]) -> list[str]:
    """The tasks of a configuration with their kinds, in order, below a title."""
    kinds = {name: str(task["kind"]) for name, task in tasks.items()}
    return [title, *(name if name == kind else f"{name} ({kind})" for name, kind in kinds.items())]


def _folders(state: State, fingerprints: Mapping[str, str]) -> list[str]:
    refused = []
    for name, digest in fingerprints.items():
        content, _, order = digest.partition(" ")
        if name in state.fingerprints:
            before, _, order_before = state.fingerprints[name].partition(" ")
            if before != content:
                refused.append(f"data {name}: its shards changed ({before[:12]} -> {content[:12]})")
            elif order and order != order_before:
                refused.append(
                    f"data {name}: this version of kmask reads windows in another order than the one that began; "
                    "finish with that one, or export"
                )
            continue
        known = {old: found.partition(" ")[0] for old, found in state.fingerprints.items()}
        old = next((old for old, found in known.items() if found == content and old not in fingerprints), None)
        if old is not None:
            refused.append(
                f"data {name}: this folder was called {old!r}, and the order of its windows hangs on the name; give "
                f"it `name: {old}`"
            )
    return refused


def _stages(state: State, now: Sequence[Mapping[str, Any]], batch: Mapping[str, Any]) -> Changes:
    """Stages that ended are history; the present one keeps its name, the steps that are done and the lengths of its
    samples and rows; later ones are free."""
    before, present = state.config["stages"], len(state.done) - 1
    changes = Changes([], [])
    if len(now) <= present:
        names = ", ".join(str(item["name"]) for item in state.done)
        return Changes([], [f"stages: {present + 1} were trained ({names}), {len(now)} are listed"])
    for index in range(max(len(before), len(now))):
        was, stage = (items[index] if index < len(items) else ABSENT for items in (before, now))
        was, stage = _with_batches(was, stage, state.config["batch"], batch)
        for key, old, value in differences(was, stage, f"stages.{index}", new=True):
            done = state.done[index]["steps"] if index <= present else 0
            of_batch = key.removeprefix(f"stages.{index}.")
            if any(fnmatch.fnmatchcase(of_batch, pattern) for pattern in BATCH_FREE):
                changes.allowed.append(f"{key}: {shown(old)} -> {shown(value)}")
            elif index < present:
                changes.refused.append(f"{key}: {shown(old)} -> {shown(value)} (this stage has ended)")
            elif index == present and (key.endswith(".name") or of_batch.startswith("batch")):
                changes.refused.append(f"{key}: {shown(old)} -> {shown(value)} (this stage has begun)")
            elif index == present and key.endswith(".steps") and value < done:
                changes.refused.append(f"{key}: {shown(old)} -> {shown(value)} ({done} steps of it are done)")
            else:
                changes.allowed.append(f"{key}: {shown(old)} -> {shown(value)}")
    return changes


def _with_batches(was: Any, now: Any, before: Mapping[str, Any], batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """A stage as it was and as it is, with the batch that its steps see where only one of both has its own.

    Args:
        before, batch: the run's, then and now.
    """
    pair = [dict(stage) if isinstance(stage, Mapping) else stage for stage in (was, now)]
    own = [isinstance(stage, Mapping) and stage.get("batch") for stage in pair]
    for stage, mine, whole in zip(pair, own, (before, batch), strict=True):
        if isinstance(stage, dict):
            stage["batch"] = (mine or {"warmup": None, **whole}) if any(own) else None
    return pair[0], pair[1]


def shown(value: Any) -> str:
    """A value in a message."""
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
