"""A run within this process, and the ids that its steps were given; losses jump where a test wants them to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from launch.settings.components import plain
from pretrain.config import Run
from pretrain.engine import Engine
from pretrain.processes.world import World
from pretrain.stability import Guard, Verdict
from pretrain.trainer import Trainer

Ids = dict[int, list[list[int]]]
"""Of the micro-batches, by step."""


def ids_of(
    run: Run,
    world: World,
    patch: pytest.MonkeyPatch,
    spikes: Mapping[int, int] | None = None,
    asked: Callable[[int], bool] = lambda step: False,
) -> Ids:
    """Train; a step that was done again counts as it was done last.

    Args:
        spikes: how often the loss jumps in a step, by its number.
        asked: is the run asked to stop when so many steps are done?
    """
    seen: Ids = {}
    left = dict(spikes or {})
    train_step, look = Engine.train_step, Guard.look

    def spy(engine: Engine, batches: Any, *rest: Any, **more: Any) -> Any:
        seen[made.progress.step + 1] = [batch.input_ids[0].tolist() for batch in batches]
        return train_step(engine, batches, *rest, **more)

    def judge(guard: Guard, *rest: Any) -> Verdict:
        step = made.progress.step
        if left.get(step, 0):
            left[step] -= 1
            return Verdict(applied=True, reason="a jump", spike=True)
        return look(guard, *rest)

    with patch.context() as patched:
        patched.setattr(Engine, "train_step", spy)
        patched.setattr(Guard, "look", judge)
        made = Trainer(run, plain(run), world, lambda *_: None, asked=lambda: asked(made.progress.step))
        made.train()
    return seen
