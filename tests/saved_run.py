"""A run folder as training would leave it, made in-process without training: for tests of what comes after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from launch.settings.components import plain, read_config
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.setup import build_model, keep_tokenizer
from pretrain.state.checkpoint import Snapshot, State
from pretrain.state.store import Store

TASKS = ["knowledge_masking", "span_boundary", "sentence_reordering"]


def toy_state(
    run: Run, step: int, encoder: Mapping[str, Any], fingerprints: Mapping[str, str], **changes: Any
) -> State:
    """A state in the second stage, two steps after the first ended; ``changes`` are fields of it."""
    values: dict[str, Any] = {
        "step": step,
        "stage": 1,
        "cursors": {},
        "shares": {},
        "done": [
            {"name": "one", "steps": step - 2, "tasks": {"knowledge_masking": 1.0, "span_boundary": 0.0}},
            {
                "name": "two",
                "steps": 2,
                "tasks": {"knowledge_masking": 1.0, "span_boundary": 0.0, "sentence_reordering": 1.0},
            },
        ],
        "learned": TASKS,
        "fingerprints": dict(fingerprints),
        "config": plain(run),
        "encoder": dict(encoder),
        "seen": {"tokens": 12345.0, "seconds": 6.0, "skipped": 0.0, "pooled": 40.0},
    }
    return State(**{**values, **changes})


def save_run(file: Path, steps: tuple[int, ...] = (6,), overrides: tuple[str, ...] = (), **changes: Any) -> Path:
    """The run folder of a configuration (tiny.TINY_RUN) with a checkpoint of each of ``steps``; ``changes`` are fields
    of their states."""
    run = read_config(Run, file, list(overrides))
    corpus, folder = Corpus(run=run), Path(run.output)
    keep_tokenizer(corpus.tokenizer.folder, folder / "tokenizer")
    model = build_model(run, 1, Tokenizer(folder=folder / "tokenizer"))
    for step in steps:
        tensors = {name: parameter.detach() + 0.001 * step for name, parameter in model.named_parameters()}
        memory = {f"{name}#step": torch.tensor(float(step)) for name in tensors}
        encoder = {name: value for name, value in model.config.to_dict().items() if not name.startswith("_")}
        state = toy_state(run, step, encoder, corpus.fingerprints, **changes)
        Store(folder / "checkpoints", len(steps), print).save(Snapshot(state=state, tensors={**tensors, **memory}))
    return folder
