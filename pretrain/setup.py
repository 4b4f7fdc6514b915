"""What happens before the first step of a stage: what does its model look like, and what does it start from?

start_model(run, ...)      the first stage: freshly initialised, or read from a BERT or ERNIE at model.path (once:
                           afterwards checkpoints hold everything; from a run or an export: beginning.py)
begin_stage(...)           model of all learned tasks, weights by name, grown tables and new heads, engine with Adam's
                           memory
saved_model(run, found)    the model of a checkpoint, for evaluation and export
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from data_prep.files import staged_folder
from pretrain.config import Run
from pretrain.engine import Engine
from pretrain.forgetting import TABLE, begin_weights, factors, parts_of
from pretrain.model import PretrainingModel
from pretrain.network.architectures import HEAD
from pretrain.network.kinds import restored
from pretrain.optimization import layer_factors
from pretrain.processes.heartbeat import doing
from pretrain.processes.world import World
from pretrain.stages.checks import check_positions
from pretrain.stages.schedule import planned_tasks
from pretrain.state import importing as exchange
from pretrain.state.checkpoint import Checkpoint, Snapshot
from pretrain.state.growing import fitted
from pretrain.state.new_words import grown, vocabulary_tables
from pretrain.state.untrained import POOLER


def keep_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer into the run, so that an export needs no shards."""
    if not target.exists():
        with staged_folder(target) as staging:
            for file in source.iterdir():
                shutil.copyfile(file, staging / file.name)


def learned_tasks(run: Run, before: Sequence[str], stage: int) -> list[str]:
    """Tasks that have a head in this stage: those learned before, then the stage's new ones in the order of the run."""
    return list(dict.fromkeys([*before, *active_tasks(run, stage)]))


def active_tasks(run: Run, stage: int) -> list[str]:
    """The tasks of a stage, in the order of the run."""
    return [name for name in run.tasks if name in run.stages[stage].tasks]


def task_rows(run: Run, learned: Sequence[str]) -> int:
    """Rows of the task table: as many as the tasks learned so far need."""
    return 1 + max(run.task_ids[task] for task in learned)


def start_model(run: Run, tokenizer: Tokenizer, stage: int = 0) -> tuple[PretrainingModel, Mapping[str, Any], str]:
    """The model that a run begins with, what it was read from (empty: nothing), and a line that says so.

    Raises:
        ValueError: model.path cannot be read, or reads shorter samples than the run has.
    """
    learned = [name for name in run.tasks if name in planned_tasks(run.stages, stage)]
    objectives = {name: run.tasks[name] for name in learned}
    if not run.model.path:
        config = run.model.config(len(tokenizer.tokens), task_rows(run, learned), tokenizer.special_ids["[PAD]"])
        return PretrainingModel(config, objectives, active_tasks(run, stage), run.seed), {}, ""
    pretrained = exchange.read_pretrained(Path(run.model.path), tokenizer)
    config = exchange.encoder_config(pretrained.config, task_rows(run, learned), run.model)
    check_positions(run.batches, config.max_position_embeddings, run.model.path)

    def build(config: Any) -> PretrainingModel:
        return PretrainingModel(config, objectives, active_tasks(run, stage), run.seed, run.model.adapter)

    tensors = pretrained.tensors
    if pretrained.words.tokens:
        tensors = grown(tensors, pretrained.words, vocabulary_tables(build, config))
        config.vocab_size = max(config.vocab_size, pretrained.words.rows)
    model = build(config)
    new = load_weights(model, tensors)
    if TABLE in new:
        with torch.no_grad():
            model.get_parameter(TABLE)[0] = 0  # the row of task 0: the model computes what the folder does
    names, untrained = dict(model.named_parameters()), tuple(item for item in pretrained.untrained if item == HEAD)
    source = {
        "path": run.model.path,
        "config": dict(pretrained.config),
        "masked_lm": HEAD + "transform.dense.weight" in pretrained.tensors.keys() & names.keys(),
        "pooler": POOLER + "dense.weight" not in new and POOLER not in pretrained.untrained,
        "parts": parts_of(name for name in pretrained.tensors if name in names and not name.startswith(untrained)),
    }
    return model, source, _told(run, pretrained, model, new)


def build_model(run: Run, stage: int, tokenizer: Tokenizer) -> PretrainingModel:
    """The model of a stage as a run would begin with it."""
    return start_model(run, tokenizer, stage)[0]


def _told(run: Run, pretrained: exchange.Pretrained, model: PretrainingModel, new: Sequence[str]) -> str:
    """path: 101 tensors read; new: heads.span_boundary (12), embeddings.task_type_embeddings (1); not used: ernie.x
    (1)"""
    names = {name for name, _ in model.named_parameters()}
    unused = sorted(name for name in pretrained.tensors if name not in names)

    def grouped(items: Sequence[str]) -> str:
        counts = Counter(".".join(item.removeprefix("ernie.").split(".")[:2]) for item in items)
        return ", ".join(f"{name} ({count})" for name, count in counts.items()) or "nothing"

    line = (
        f"{run.model.path}: {len(names) - len(new)} of {len(names)} tensors of the model read; new: {grouped(new)}; "
        f"left unused: {grouped(unused)}"
    )
    own = [name for name, task in run.tasks.items() if task.HAS_TASK_ID]
    without = [f"this encoder knows no tasks: {', '.join(own)} have no task embedding"] if TABLE not in names else []
    words = [pretrained.words.told()] if pretrained.words.tokens else []
    return "; ".join([line, *pretrained.notes, *(without if own else ()), *words])


def grown_model(run: Run, stage: int, snapshot: Snapshot) -> PretrainingModel:
    """The model of a stage with everything that was learned before; new heads and table rows as initialised."""
    learned = learned_tasks(run, snapshot.state.learned, stage)
    shape = dict(snapshot.state.encoder)
    if "task_type_vocab_size" in shape:
        shape["task_type_vocab_size"] = max(shape["task_type_vocab_size"], task_rows(run, learned))
    config = restored(shape, (run.model.dropout, run.model.attention_dropout))
    check_positions(run.batches, config.max_position_embeddings, "the model of the checkpoint")
    objectives = {name: run.tasks[name] for name in learned}
    model = PretrainingModel(config, objectives, active_tasks(run, stage), run.seed, run.model.adapter)
    load_weights(model, snapshot.tensors)
    return model


def saved_model(run: Run, found: Checkpoint) -> PretrainingModel:
    """The model of a checkpoint, as it was when it was saved, with the heads of all learned tasks."""
    learned = found.state.learned
    objectives = {name: run.tasks[name] for name in learned}
    model = PretrainingModel(restored(found.state.encoder), objectives, learned, run.seed, run.model.adapter)
    missing = load_weights(model, found.weights())
    if missing:
        raise ValueError(
            f"checkpoint {found.folder} lacks {', '.join(missing[:3])}; it does not belong to this configuration"
        )
    return model.eval()


def _weights(model: PretrainingModel) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().float().cpu().clone() for name, parameter in model.named_parameters()}


@torch.no_grad()
def load_weights(model: PretrainingModel, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Copy weights by name; tables with fewer rows fill the first ones. Returns the names that were not found.

    Raises:
        ValueError: a tensor has another shape than its parameter.
    """
    missing = []
    for name, parameter in model.named_parameters():
        if name not in tensors:
            missing.append(name)
            continue
        try:
            parameter.copy_(fitted(tensors[name], parameter.data))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return missing


def begin_stage(
    run: Run,
    stage: int,
    model: PretrainingModel,
    snapshot: Snapshot | None,
    world: World,
    say: Callable[[str], None],
    old: Collection[str] = (),
    fresh: bool = False,
) -> Engine:
    """The engine of a stage, holding everything the snapshot knows.

    Args:
        old: parts of the model that existed before the stage (forgetting.py).
        fresh: does the stage begin here?
    """
    doing("model")
    tensors = snapshot.tensors if snapshot else {}
    steps = {name.removesuffix("#step"): int(value) for name, value in tensors.items() if name.endswith("#step")}
    new = [name for name in active_tasks(run, stage) if snapshot and name not in snapshot.state.learned]
    if new:
        say(f"new heads: {', '.join(new)} (their Adam begins at step 0)")
    names = [name for name, _ in model.named_parameters()]
    joining = [run.tasks[name] for name in active_tasks(run, stage) if f"heads.{name}" not in old]
    grows = any(task.HAS_TASK_ID for task in joining)
    lower = factors(names, old, run.optimization.old_parameters, grows)
    layers = layer_factors(names, run.optimization.layer_decay)
    lower |= {name: factor * lower.get(name, 1.0) for name, factor in layers.items()}
    begin = begin_weights(tensors or _weights(model), old, fresh) if run.optimization.average_stages else {}
    batch = run.batch_of(run.stages[stage])
    rows, accumulation = batch.rows_per_process, batch.accumulation(world.size)
    engine = Engine(model, run.engine, run.optimization, rows, accumulation, world, steps, lower)
    engine.memory.kept |= {name: tensor.clone() for name, tensor in begin.items()}
    engine.train()
    if snapshot:
        engine.memory.restore(tensors)
        engine.memory.set_loss_scale(snapshot.state.loss_scale)
    return engine
