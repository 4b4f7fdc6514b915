"""Schedules, stages, metrics and checkpoints: the small parts of training."""

from __future__ import annotations

import itertools
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from launch.settings.components import read_config
from pretrain.config import Run
from pretrain.feed.sampling import MicroBatchSpec, Sampler
from pretrain.metrics.sums import Sums, readable
from pretrain.optimization import SCHEDULES, Optimization, parameter_groups
from pretrain.processes.world import World
from pretrain.settings import DeepSpeed, deepspeed_config
from pretrain.stages.schedule import Stage, planned_tasks, position, total_steps
from pretrain.tracking import Tracker, Tracking

STAGES = [
    Stage(name="a", steps=3, tasks={"knowledge_masking": 1}),
    Stage(name="b", steps=2, tasks={"knowledge_masking": 1, "sentence_reordering": 1}),
]


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_warms_up_to_the_peak_and_never_exceeds_it(name: str) -> None:
    rates = [Optimization(lr=2.0, schedule=name, warmup=10).rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert max(rates) == pytest.approx(2.0) and min(rates) >= 0
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(rates[10:]))


def test_schedules_end_where_they_say() -> None:
    end = {name: Optimization(lr=1.0, schedule=name, warmup=10, final_share=0.1).rate(99, 100) for name in SCHEDULES}
    assert (
        end["linear"] == pytest.approx(0.1) and end["cosine"] == pytest.approx(0.1) and end["wsd"] == pytest.approx(0.1)
    )
    assert end["noam"] == pytest.approx((10 / 100) ** 0.5)
    assert Optimization(lr=1.0, schedule="wsd", warmup=10).rate(89, 100) == 1.0


def test_biases_and_norms_have_no_weight_decay_and_frozen_parameters_no_optimizer() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 2))
    module[2].requires_grad_(False)
    groups = parameter_groups(module.named_parameters(), 0.1, {})
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [(0.1, 1), (0.0, 3)]
    older = parameter_groups(module.named_parameters(), 0.1, {"0.weight": 5, "0.bias": 5})
    assert [(group["weight_decay"], len(group["params"])) for group in older] == [(0.1, 1), (0.0, 1), (0.0, 2)]


def test_a_step_belongs_to_its_stage_and_the_end_to_the_last() -> None:
    assert [position(STAGES, step)[:2] for step in range(6)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert total_steps(STAGES) == 5 and planned_tasks(STAGES, 1) == ["knowledge_masking", "sentence_reordering"]


@pytest.mark.parametrize("precision", ["bf16_parameters", "fp16"])
def test_half_precision_copies_need_zero(precision: str) -> None:
    with pytest.raises(ValueError, match="zero_stage 1 or more"):
        DeepSpeed(zero_stage=0, precision=precision)


def test_defaults_that_changed_between_deepspeed_versions_are_written_out() -> None:
    config = deepspeed_config(DeepSpeed(zero_stage=2), Optimization(clip=0), 2, 4, 8)
    assert config["gradient_clipping"] == 0 and config["train_batch_size"] == 64
    assert config["zero_optimization"]["overlap_comm"] is False


def test_stats_become_means_per_task_and_group() -> None:
    rows = [[12.0, 3.0, 6.0], [4.0, 2.0, 4.0], [0.0, 0.0, 0.0], [8.0, 1.0, 2.0], [9.0, 1.0, 3.0]]
    values = readable(torch.tensor(rows), {"first": ("character", "word", "entity"), "second": ()})
    assert values["loss/first"] == 2 and values["accuracy/first"] == 0.5 and values["targets/first"] == 6
    assert values["loss/first/character"] == 1 and values["loss/first/entity"] == 4 and "loss/first/word" not in values
    assert (
        values["targets/first/word"] == 0
        and values["loss/second"] == 3
        and not [name for name in values if name.startswith("loss/second/")]
    )


def test_sums_of_a_window_come_back_by_task_and_those_of_another_shape_are_dropped() -> None:
    groups = {"first": ("a", "b"), "second": ()}
    sums = Sums(groups, {})
    sums.stats += torch.arange(12.0).view(4, 3)
    kept = json.loads(json.dumps(sums.kept()))
    again = Sums({"second": (), "first": ("a", "b")}, kept)
    assert torch.equal(again.stats, sums.stats[[3, 0, 1, 2]])
    assert not Sums({"first": ("a",)}, kept).stats.any()
    assert not Sums(groups, {"tasks": ["first"], "stats": [[[1.0, 1.0, 1.0]] * 3], "real": 5.0}).stats.any()


def test_a_failing_tracker_never_ends_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    told: list[str] = []

    def broken(**_: Any) -> None:
        raise RuntimeError("no disk")

    monkeypatch.setattr(wandb, "init", broken)
    tracker = Tracker(Tracking(), tmp_path, {}, {}, told.append)
    tracker.log("train", 1, {"loss": 1.0})
    tracker.close()
    assert "wandb is off for this run" in told[0]
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["loss"] == 1.0


def test_a_resumed_run_forgets_the_lines_it_will_write_again(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste')
    Tracker(Tracking(sinks=[]), tmp_path, {"metrics": 2}, {}, print)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'


class Interrupted(World):
    """A world in which the signal to stop arrives while the ranks' numbers are added up."""

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        signal.raise_signal(signal.SIGUSR1)
        return values


def test_a_signal_that_arrives_after_the_ranks_agreed_stops_all_of_them_at_the_next_step(tiny_run: Path) -> None:
    """A rank that stopped at once would save while the others go on to the next step, and all would wait for ever."""
    from types import SimpleNamespace

    from pretrain.corpus import Corpus
    from pretrain.progress import Progress
    from pretrain.stage import StageLoop
    from pretrain.step_batches import StepBatches

    run = read_config(Run, tiny_run, [])
    maker = Corpus(run=run).maker(run.stages[0], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    asked: list[int] = []
    loop = StageLoop.__new__(StageLoop)
    loop.progress, loop.world, loop.maker = Progress(), Interrupted(0, 1, torch.device("cpu")), maker
    loop.sums = Sums({name: objective.groups for name, objective in maker.objectives.items()}, {})
    known = {"asked": lambda: bool(asked), "trouble": lambda patience: None, "learn": lambda outcome: None}
    loop.around = SimpleNamespace(**known, writer=SimpleNamespace(outcome=lambda: 0))  # type: ignore[assignment]
    previous = signal.signal(signal.SIGUSR1, lambda *_: asked.append(1))
    batches = StepBatches(maker, iter([MicroBatchSpec(0, rows, 0.0)]), run, loop.world, 1)
    ready = batches.fetch()
    try:
        counts = loop._agree(ready)
        assert asked and not loop.progress.stopping and not counts.bad
        assert counts.real == ready.batches[0].real_tokens and counts.targets == ready.batches[0].counts
        loop._agree(ready)
        assert loop.progress.stopping
    finally:
        signal.signal(signal.SIGUSR1, previous)
