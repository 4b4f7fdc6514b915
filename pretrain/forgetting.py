"""What was there before a stage, and what is done so that the stage does not forget it.

parts of a model     ernie.embeddings, ernie.encoder, ernie.pooler, heads.NAME, the task table by itself, and the
                     adapter
old_parts(...)       those that existed before a stage began: they may take a lower rate (Optimization.old_parameters)
averaged(...)        the end of a stage, with old parameters as the running mean of stage ends
                     (Optimization.average_stages)

stage ends 4, 10, 13 of one parameter, each reached from the mean before it  ->  4, 7, 9
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import torch

from pretrain.network.adapters import is_own

TABLE = "ernie.embeddings.task_type_embeddings.weight"
TABLE_PART = TABLE.removesuffix(".weight")
BEGIN = "#begin"
"""Ends the names of the weights with which a stage began."""


def part_of(name: str) -> str:
    """The part of the model that a parameter belongs to."""
    if is_own(name):
        return "ernie.adapter"
    return TABLE_PART if name == TABLE else ".".join(name.split(".")[:2])


def parts_of(names: Iterable[str]) -> list[str]:
    """The parts of some parameters, each once, in order."""
    return list(dict.fromkeys(part_of(name) for name in names if "#" not in name))


def old_parts(present: Iterable[str], pooler: bool) -> list[str]:
    """Parts that existed before a stage.

    Args:
        present: parts whose weights there are.
        pooler: was it trained, or read from somewhere? Before its first sentence-level task it holds initial weights.
    """
    return [part for part in present if part != "ernie.pooler" or pooler]


def factors(names: Iterable[str], old: Collection[str], factor: float, grows: bool) -> dict[str, float]:
    """Factors of the learning rate by parameter, of those that have one.

    Args:
        grows: does the stage add a row to the task table? Then the table takes the whole rate.
    """
    lower = set(old) - ({TABLE_PART} if grows else set())
    return {name: factor for name in names if part_of(name) in lower} if factor != 1 else {}


def begin_weights(tensors: Mapping[str, torch.Tensor], old: Collection[str], fresh: bool) -> dict[str, torch.Tensor]:
    """``NAME#begin`` of a stage: of old parameters when it begins (``fresh``), else what the checkpoint of its middle
    holds."""
    if not fresh:
        return {name: tensor for name, tensor in tensors.items() if name.endswith(BEGIN)}
    return {name + BEGIN: tensor for name, tensor in tensors.items() if "#" not in name and part_of(name) in old}


def averaged(
    tensors: Mapping[str, torch.Tensor], ends: Mapping[str, int], rows: Sequence[int]
) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """The end of a stage with the running mean in place of every parameter that has a ``NAME#begin``, and of how many
    ends each part is the mean now.

    Args:
        ends: of how many ends each part was the mean when the stage began; 1 when absent.
        rows: of the task table, those that existed before the stage.
    """
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith(BEGIN)}
    counts = dict.fromkeys(parts_of(found), 1)
    for name in [name for name in found if name + BEGIN in tensors]:
        part = part_of(name)
        counts[part] = ends.get(part, 1) + 1
        found[name] = _mean(tensors[name + BEGIN], found[name], counts[part], rows if name == TABLE else None)
    return found, counts


def rows_before(old: Collection[str], task_ids: Mapping[str, int]) -> list[int]:
    """Rows of the task table that existed before a stage: row 0 and those of old tasks."""
    return sorted({0, *(row for task, row in task_ids.items() if f"heads.{task}" in old)})


def _mean(begin: torch.Tensor, end: torch.Tensor, count: int, rows: Sequence[int] | None) -> torch.Tensor:
    """The mean of ``count`` ends, of which ``begin`` is that of all but the last."""
    if rows is None:
        return begin + (end - begin) / count
    found = end.clone()
    there = [row for row in rows if row < len(begin)]
    found[there] = begin[there] + (end[there] - begin[there]) / count
    return found
