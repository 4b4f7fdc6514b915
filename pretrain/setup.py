"""What happens before the first step of a stage: may this run continue, what does its model look like, what does it start from?

check_continues(saved state, run)      frozen settings and shards must be those the checkpoint was made with
begin_stage(...)                       model of the stage's tasks, weights by name, grown tables and new heads, engine
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from data_prep.files import staged_folder
from pretrain import exchange
from pretrain.checkpoint import Checkpoint, State, fitted
from pretrain.config import FROZEN, Run
from pretrain.corpus import Corpus
from pretrain.engine import Engine
from pretrain.loading import BatchMaker
from pretrain.model import PretrainingModel
from pretrain.objectives import Objective
from pretrain.sampling import Sampler, micro_batches
from pretrain.schedule import learned_tasks
from pretrain.world import World


def check_continues(state: State, run: Run, resolved: Mapping[str, Any], fingerprints: Mapping[str, str]) -> None:
    """Raise ValueError when the checkpoint and the configuration do not belong together."""
    differences = [f"{key}: {_at(state.config, key)} -> {_at(resolved, key)}" for key in FROZEN if _at(state.config, key) != _at(resolved, key)]
    before = list(state.config["tasks"])
    if before != list(run.tasks)[: len(before)]:
        differences.append(f"tasks: {before} -> {list(run.tasks)} (new tasks join at the end)")
    for name, digest in state.fingerprints.items():
        if name in fingerprints and fingerprints[name] != digest:
            differences.append(f"data {name}: its shards changed ({digest[:12]} -> {fingerprints[name][:12]})")
    if differences:
        lines = "\n  ".join(differences)
        raise ValueError(f"{run.output} was trained with other settings and cannot continue with these:\n  {lines}\nUndo them, or choose a new output.")


def _at(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def keep_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer into the run folder, so that an export needs no prepared folder."""
    if not target.is_dir():
        with staged_folder(target) as staging:
            for file in source.iterdir():
                shutil.copyfile(file, staging / file.name)


def task_rows(run: Run, stage: int) -> int:
    """Rows of the task table in a stage: as many as the tasks learned so far need."""
    return 1 + max(run.task_ids[task] for task in learned_tasks(run.stages, stage))


def stage_objectives(run: Run, stage: int) -> dict[str, Objective]:
    """The tasks of a stage, in the order of the run."""
    return {name: task for name, task in run.tasks.items() if name in run.stages[stage].tasks}


def build_model(run: Run, stage: int, tokenizer: Tokenizer) -> PretrainingModel:
    """The model of a stage, freshly initialised or read from ``model.path``."""
    pretrained = exchange.read_pretrained(Path(run.model.path), tokenizer) if run.model.path else None
    if pretrained:
        config = exchange.encoder_config(pretrained.config, task_rows(run, stage), run.model)
        if config.max_position_embeddings < run.batch.max_sample_tokens:
            raise ValueError(f"batch.max_sample_tokens = {run.batch.max_sample_tokens}, but {run.model.path} reads at most {config.max_position_embeddings}")
    else:
        config = run.model.config(len(tokenizer.tokens), task_rows(run, stage), tokenizer.special_ids["[PAD]"])
    model = PretrainingModel(config, stage_objectives(run, stage), run.seed)
    if pretrained:
        load_weights(model, pretrained.tensors)
    return model


def saved_model(run: Run, found: Checkpoint) -> PretrainingModel:
    """The model of a checkpoint, as it was when it was saved."""
    from transformers import ErnieConfig

    model = PretrainingModel(ErnieConfig(**found.state.encoder), stage_objectives(run, found.state.stage), run.seed)
    missing = load_weights(model, found.tensors(optimizer=False))
    if missing:
        raise ValueError(f"checkpoint {found.folder} lacks {', '.join(missing[:3])}; it does not belong to this configuration")
    return model.eval()


@torch.no_grad()
def load_weights(model: PretrainingModel, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Copy weights by name; tables with fewer rows fill the first ones. Returns the names that were not found."""
    missing = []
    for name, parameter in model.named_parameters():
        if name in tensors:
            parameter.copy_(fitted(tensors[name], parameter.shape, parameter.data))
        else:
            missing.append(name)
    return missing


def begin_stage(run: Run, stage: int, corpus: Corpus, maker: BatchMaker, found: Checkpoint | None, world: World) -> Engine:
    """The engine of a stage, holding everything the checkpoint knows."""
    model = build_model(run, stage, corpus.tokenizer)
    tensors = found.tensors() if found else {}
    if found:
        load_weights(model, tensors)
    accumulation = run.batch.accumulation(world.size)
    engine = Engine(model, run.engine, run.optimization, run.batch.rows_per_process, accumulation, world)
    engine.train()
    if found:
        sampler = Sampler(streams=maker.streams, rows_per_step=run.batch.rows_per_step)
        spec = next(micro_batches(sampler, {}, range(1), 1, run.batch.rows_per_process, world.rank, world.size, {}))
        engine.restore(tensors, found.state.step, maker[spec].to(world.device), dict.fromkeys(maker.objectives, 0.0))
    return engine
