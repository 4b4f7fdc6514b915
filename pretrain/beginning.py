"""How a new run begins from another run, or from an export: what it learned comes back by the names of its tasks.

    begin_from(run, resolved, tokenizer)  ->  Snapshot of step 0     encoder, old heads, rows of the task table where
                                                                     this configuration wants them, Adam's memory if it
                                                                     is to be kept
                                              None                   model.path is empty, or a BERT or ERNIE folder

Whatever would not go on as it was is refused before training: another tokenizer or shape, other settings of an old task
(its classes are among them), a task that was forgotten to be listed. Afterwards the run's own checkpoints hold
everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from data_prep.encoding import Tokenizer
from pretrain.adapted import settled_adapter
from pretrain.config import Run
from pretrain.forgetting import TABLE, parts_of
from pretrain.model import PretrainingModel, initial
from pretrain.network.kinds import restored
from pretrain.optimization import MOMENTS
from pretrain.origin_checks import check_algorithm, check_heads, check_shape, check_tasks, check_tokenizer, task_ids
from pretrain.processes.world import World
from pretrain.setup import learned_tasks, task_rows
from pretrain.state.checkpoint import Snapshot, State
from pretrain.state.names import NAME
from pretrain.state.new_words import NewWords, grown, vocabulary_tables
from pretrain.state.origins import Origin, read_origin


def check_elsewhere(run: Run) -> None:
    """Raise ValueError when a run is told to begin from its own folder."""
    path = Path(run.model.path).resolve()
    whose = path.parent if path.name == "checkpoints" else path.parent.parent if NAME.fullmatch(path.name) else path
    if run.model.path and whose == Path(run.output).resolve():
        raise ValueError(
            f"output: {run.output} is the run that model.path names; a new run needs a folder of its own (a run goes "
            "on by itself when it is started again, without --continue-from)"
        )


class Begun(NamedTuple):
    """Where a new run begins."""

    snapshot: Snapshot
    told: Sequence[str]
    """What the user should know."""


def begin_from(run: Run, resolved: Mapping[str, Any], tokenizer: Tokenizer) -> Begun | None:
    """What a new run begins with, when ``model.path`` is a run or an export of kmask.

    Args:
        resolved: the configuration as plain values, with what tasks learned from their folders.
        tokenizer: of the shards.

    Raises:
        ValueError: what was learned there does not fit this configuration; every reason with both values.
    """
    path = run.model.path
    if not path:
        return None
    origin = read_origin(Path(path), run.model.optimizer == "keep")
    if origin is None:
        if run.model.optimizer == "keep" or run.model.drop:
            what = "model.drop" if run.model.drop else "model.optimizer: keep"
            raise ValueError(f"{what}: {path} is no run of kmask; it has neither tasks nor Adam's moments")
        return None
    origin = settled_adapter(origin, resolved["model"].get("adapter"))
    words = check_tokenizer(origin, tokenizer)
    check_shape(origin, run.model)
    check_algorithm(origin, run)
    before = task_ids(origin, run)
    check_tasks(origin, before, run, resolved)
    learned = [task for task in origin.learned if task not in run.model.drop]
    check_heads(origin, run, learned)
    if words.tokens:
        origin = _with_words(origin, words, run, learned)
    tensors = {
        name: tensor
        for name, tensor in origin.tensors.items()
        if not (name.startswith("heads.") and name.split(".")[1] in run.model.drop)
    }
    tensors |= _table(origin, before, run, learned)
    state = _state(origin, resolved, learned, tensors)
    return Begun(Snapshot(state=state, tensors=tensors), [*origin.notes, _told(origin, run, learned)])


def _with_words(origin: Origin, words: NewWords, run: Run, learned: Sequence[str]) -> Origin:
    """The origin with a row for every new word of the shards."""
    objectives = {task: run.tasks[task] for task in learned}
    names = vocabulary_tables(
        lambda shape: PretrainingModel(shape, objectives, learned, run.seed), restored(origin.encoder)
    )
    rows = max(origin.encoder["vocab_size"], words.rows)
    return replace(
        origin,
        encoder={**origin.encoder, "vocab_size": rows},
        tensors=grown(origin.tensors, words, names),
        notes=[*origin.notes, words.told()],
    )


def _state(
    origin: Origin, resolved: Mapping[str, Any], learned: Sequence[str], tensors: Mapping[str, torch.Tensor]
) -> State:
    """Step 0 of a run that has learned something already."""
    return State(
        step=0,
        stage=0,
        cursors={},
        shares={},
        done=[],
        learned=learned,
        fingerprints={},
        config=resolved,
        encoder={**origin.encoder, **({"task_type_vocab_size": len(tensors[TABLE])} if TABLE in tensors else {})},
        seen={"tokens": 0.0, "seconds": 0.0, "skipped": 0.0, "pooled": origin.seen["pooled"]},
        source={**origin.record(), "parts": parts_of(tensors)},
        loss_scale=origin.loss_scale,
    )


def begin_together(run: Run, resolved: Mapping[str, Any], tokenizer: Tokenizer, world: World) -> Begun | None:
    """``begin_from`` on every rank, from the same checkpoint, or on none; a collective.

    Raises:
        ValueError: on every rank, what one of them found wrong.
    """
    fault: Exception | None = None
    begun = None
    try:
        begun = begin_from(run, resolved, tokenizer)
    except (ValueError, OSError) as error:
        fault = error
    world.all_or_none(fault)
    found = begun.snapshot.state.source["fingerprint"] if begun else "0"
    world.agree(int(found[:15], 16), "the checkpoint that model.path names (it may just have been replaced)")
    return begun


def _told(origin: Origin, run: Run, learned: Sequence[str]) -> str:
    shape = origin.encoder
    adam = "Adam's moments and step counts kept" if run.model.optimizer == "keep" else "Adam begins anew"
    left = f"; left behind: {', '.join(run.model.drop)}" if run.model.drop else ""
    return (
        f"begins from step {origin.step:,} of the {origin.kind} {origin.path} ({origin.fingerprint[:12]}): "
        f"{shape['num_hidden_layers']} layers of width {shape['hidden_size']}, heads of {', '.join(learned)}{left}; "
        f"{adam}"
    )


def _table(origin: Origin, before: Mapping[str, int], run: Run, learned: Sequence[str]) -> dict[str, torch.Tensor]:
    """The task table and its moments with every old task's row where this configuration wants it.

    Row 0 stays. A row that no task of the origin has (a table that came from an ERNIE) stays too; those of new tasks
    are as initialised, their moments as those of a row that joins (state/growing.py). An encoder that knows no tasks
    has no table.
    """
    if TABLE not in origin.tensors:
        return {}
    old = origin.tensors[TABLE]
    moves = {0: 0} | {before[task]: run.task_ids[task] for task in learned if before[task] < len(old)}
    free = [row for row in range(len(old)) if row not in before.values() and row not in moves]
    moves |= {row: row for row in free if row not in moves.values()}
    size = max(task_rows(run, learned_tasks(run, learned, 0)), 1 + max(moves.values()))
    there, here = list(moves), list(moves.values())
    found = {}
    for name in (TABLE, *(f"{TABLE}#{moment}" for moment in MOMENTS)):
        if name not in origin.tensors:
            continue
        value = origin.tensors[name]
        table = torch.zeros(size, value.shape[1])
        if name == TABLE:
            table = initial(TABLE, table.shape, run.seed)
        elif name.endswith(MOMENTS[1]):
            table = value[there].mean(0).expand(table.shape).clone()
        table[here] = value[there]
        found[name] = table
    return found
