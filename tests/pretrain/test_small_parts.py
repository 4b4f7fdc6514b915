"""Schedules, stages, metrics and checkpoints: the small parts of training."""

from __future__ import annotations

import itertools
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from launch.config import read_config
from pretrain import checkpoint
from pretrain.config import Run
from pretrain.optimization import SCHEDULES, Optimization, parameter_groups
from pretrain.sampling import Cursor, MicroBatchSpec, Sampler
from pretrain.schedule import Stage, learned_tasks, position, total_steps
from pretrain.settings import DeepSpeed, deepspeed_config
from pretrain.tracking import Tracker, Tracking, Window, readable
from pretrain.trainer import Trainer
from pretrain.world import World

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
    assert end["linear"] == pytest.approx(0.1) and end["cosine"] == pytest.approx(0.1) and end["wsd"] == pytest.approx(0.1)
    assert end["noam"] == pytest.approx((10 / 100) ** 0.5)
    assert Optimization(lr=1.0, schedule="wsd", warmup=10).rate(89, 100) == 1.0


def test_biases_and_norms_have_no_weight_decay_and_frozen_parameters_no_optimizer() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 2))
    module[2].requires_grad_(False)
    groups = parameter_groups(module.named_parameters(), 0.1)
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [(0.1, 1), (0.0, 3)]


def test_a_step_belongs_to_its_stage_and_the_end_to_the_last() -> None:
    assert [position(STAGES, step)[:2] for step in range(6)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert total_steps(STAGES) == 5 and learned_tasks(STAGES, 1) == ["knowledge_masking", "sentence_reordering"]


@pytest.mark.parametrize("precision", ["bf16_parameters", "fp16"])
def test_half_precision_copies_need_zero(precision: str) -> None:
    with pytest.raises(ValueError, match="zero_stage 1 or more"):
        DeepSpeed(zero_stage=0, precision=precision)


def test_defaults_that_changed_between_deepspeed_versions_are_written_out() -> None:
    config = deepspeed_config(DeepSpeed(zero_stage=2), Optimization(clip=0), 2, 4, 8)
    assert config["gradient_clipping"] == 0 and config["train_batch_size"] == 64
    assert config["zero_optimization"]["overlap_comm"] is False


def test_stats_become_means_per_task_and_kind() -> None:
    stats = torch.zeros(1, 5, 3)
    stats[0, 0] = torch.tensor([12.0, 3.0, 6.0])
    stats[0, 1] = torch.tensor([4.0, 2.0, 4.0])
    stats[0, 4] = torch.tensor([8.0, 1.0, 2.0])
    values = readable(stats, ["knowledge_masking"])
    assert values["loss/knowledge_masking"] == 2 and values["accuracy/knowledge_masking"] == 0.5
    assert values["loss/character"] == 1 and values["loss/entity"] == 4 and "loss/word" not in values


def test_a_failing_tracker_never_ends_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import wandb

    def broken(**_: Any) -> None:
        raise RuntimeError("no disk")

    monkeypatch.setattr(wandb, "init", broken)
    tracker = Tracker(Tracking(), tmp_path, 0, {})
    tracker.log("train", 1, {"loss": 1.0})
    tracker.close()
    assert "wandb is off for this run" in capsys.readouterr().out
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["loss"] == 1.0


def test_a_resumed_run_forgets_the_lines_it_will_write_again(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste')
    Tracker(Tracking(wandb="disabled"), tmp_path, 2, {})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'


def make_state(step: int) -> checkpoint.State:
    return checkpoint.State(
        step=step, cursors={"a/b": Cursor(1, 2, 3, 4)}, stage=0, fingerprints={"a": "f"}, config={"seed": 1}, encoder={}, seen={"tokens": 1.0, "seconds": 2.0}
    )


def test_checkpoints_round_trip_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    tensors = {"w": torch.arange(4.0), "w#exp_avg": torch.ones(4)}
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, tensors, make_state(step), keep=2)
    assert [folder.name for folder in sorted(tmp_path.iterdir())] == ["step-00000002", "step-00000003"]
    found = checkpoint.latest(tmp_path, print)
    assert found is not None and found.state == make_state(3)
    assert all(torch.equal(found.tensors()[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("damage", ["altered", "cut", "missing", "no state"])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path, damage: str) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, {"w": torch.arange(4.0), "w#exp_avg": torch.ones(4)}, make_state(step), keep=2)
    file = tmp_path / "step-00000002" / ("state.json" if damage == "no state" else "optimizer.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()
    if damage in ("altered", "cut"):
        file.write_bytes(content if damage == "altered" else content[:-10])
    told: list[str] = []
    found = checkpoint.latest(tmp_path, told.append)
    assert found is not None and found.state.step == 1 and "step-00000002" in told[0]


def test_a_table_with_fewer_rows_is_extended_and_nothing_else() -> None:
    grown = checkpoint.fitted(torch.ones(2, 3), torch.Size([4, 3]), None)
    assert grown.tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert checkpoint.fitted(None, torch.Size([2]), None).tolist() == [0, 0]


class Interrupted(World):
    """A world in which the signal to stop arrives while the ranks' numbers are added up."""

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        signal.raise_signal(signal.SIGUSR1)
        return values


def test_a_signal_that_arrives_after_the_ranks_agreed_stops_all_of_them_at_the_next_step(tiny_run: Path) -> None:
    """A rank that stopped at once would save while the others go on to the next step, and all would wait for ever."""
    run = read_config(Run, tiny_run, [])
    trainer = Trainer(run, {}, Interrupted(0, 1, torch.device("cpu")), lambda event, step, values: None)
    previous = signal.signal(signal.SIGUSR1, lambda *_: setattr(trainer.progress, "asked", True))
    maker = trainer.corpus.maker(run.stages[0], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    batches, window = [maker[MicroBatchSpec(0, rows, 0.0)]], Window(list(maker.objectives))
    try:
        trainer._scale(maker, batches, window)
        assert not trainer.progress.stopping
        trainer._scale(maker, batches, window)
        assert trainer.progress.stopping
    finally:
        signal.signal(signal.SIGUSR1, previous)
