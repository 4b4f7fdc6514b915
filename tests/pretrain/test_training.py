"""Training through the command line: bitwise continuation after kill -9, a new stage, what is told and what is refused.

Equal losses whatever shards the optimiser, and ZeRO 2 after kill -9: test_batch_schedule_ranks.py."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import commands
import pytest
import torch

Kmask = Callable[..., subprocess.CompletedProcess[str]]


def values(run: Path) -> dict[int, list[float]]:
    """Everything in the training lines that must be equal bit for bit."""
    wanted = ("loss/", "accuracy/", "grad_norm", "lr", "masked_share")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        line["step"]: [line[key] for key in sorted(line) if key.startswith(wanted)]
        for line in lines
        if line["event"] == "train"
    }


def train(
    kmask: Kmask, file: Path, output: Path, *overrides: str, processes: int = 1
) -> subprocess.CompletedProcess[str]:
    done = kmask("train", file, f"output={output}", *overrides, "--processes", processes)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.parametrize(
    ("zero_stage", "precision", "algorithm"),
    [
        (0, "fp32", "adamw"),
        (0, "bf16", "muon"),
        (1, "bf16", "adamw"),
        (3, "bf16", "adamw"),
    ],
)
def test_continuing_after_kill_9_is_bitwise_equal_to_not_being_killed(
    kmask: Kmask, tiny_run: Path, tmp_path: Path, zero_stage: int, precision: str, algorithm: str
) -> None:
    settings = [
        f"optimization.algorithm={algorithm}",
        f"engine.zero_stage={zero_stage}",
        f"engine.precision={precision}",
        "evaluation.every=0",
        "checkpoints.keep=100",
    ]
    train(kmask, tiny_run, tmp_path / "whole", *settings, processes=2)
    killed = tmp_path / "killed"
    start = ("train", tiny_run, f"output={killed}", *settings, "--processes", 2)
    commands.killed(*start, when=lambda: saved(killed, 2), started=zero_stage == 1)
    assert wait_for_no_rank(killed), "a rank survived its launcher"
    done = max(int(folder.name[-8:]) for folder in (killed / "checkpoints").glob("step-*"))
    second = train(kmask, tiny_run, killed, *settings, processes=2)
    if done < 8:
        assert f"continuing at step {done}" in second.stderr
    assert values(killed) == values(tmp_path / "whole")
    assert_same_weights(tmp_path / "whole", killed)


def saved(run: Path, step: int) -> bool:
    """Is there a checkpoint of this step?"""
    return (run / f"checkpoints/step-{step:08d}").exists()


def wait_for_no_rank(run: Path) -> bool:
    """True as soon as no process mentions this run any more."""
    for _ in range(100):
        lines = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if readable(file)]
        if not any(str(run).encode() in line and b"launch.cli" in line for line in lines):
            return True
        time.sleep(0.1)
    return False


def readable(file: Path) -> bool:
    try:
        file.read_bytes()
    except OSError:
        return False
    return True


def assert_same_weights(one: Path, two: Path) -> None:
    from pretrain.state.checkpoint import latest

    first, second = (latest(run / "checkpoints", print) for run in (one, two))
    assert first is not None and second is not None
    left, right = first.tensors(), second.tensors()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_the_second_stage_grows_the_task_table_and_keeps_what_was_learned(
    kmask: Kmask, tiny_run: Path, tmp_path: Path
) -> None:
    from pretrain.state.checkpoint import load

    run = tmp_path / "run"
    train(kmask, tiny_run, run, "checkpoints.keep=100", "evaluation.every=0")
    before, after = (load(run / "checkpoints" / f"step-{step:08d}") for step in (4, 6))
    table = "ernie.embeddings.task_type_embeddings.weight"
    assert before.tensors()[table].shape[0] == 1 and after.tensors()[table].shape[0] == 2
    assert (
        "heads.sentence_reordering.weight" not in before.tensors()
        and "heads.sentence_reordering.weight" in after.tensors()
    )
    assert after.state.stage == 1 and "demo/sentence_reordering" in after.state.cursors
    weight = "ernie.encoder.layer.0.output.dense.weight"
    moved = (after.tensors()[weight] - before.tensors()[weight]).abs().max()
    assert 0 < moved < 0.01  # went on from where it was


def test_a_task_can_be_added_to_a_finished_run(kmask: Kmask, tiny_run: Path, tmp_path: Path) -> None:
    text = tiny_run.read_text()
    shorter = tmp_path / "short.yaml"
    shorter.write_text(
        "\n".join(line for line in text.splitlines() if "name: two" not in line and "sentence_reordering:" not in line)
        + "\n"
    )
    train(kmask, shorter, tmp_path / "run", "evaluation.every=0")
    done = train(kmask, tiny_run, tmp_path / "run", "evaluation.every=0")
    assert "continuing at step 4 of 8" in done.stderr and "sentence_reordering" in done.stderr
    again = train(kmask, tiny_run, tmp_path / "run", "evaluation.every=0")
    assert "8 of 8" in again.stderr


def test_sigterm_saves_and_ends_with_code_5(tiny_run: Path, tmp_path: Path, kmask: Kmask) -> None:
    run = tmp_path / "run"
    settings = ["stages.0.steps=100000", "checkpoints.every=100000", "evaluation.every=0"]
    process = commands.start(
        *("train", tiny_run, f"output={run}", *settings, "--processes", 2),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 5, errors[-2000:]
    assert "stopped on request" in errors and "Traceback" not in errors
    assert list((run / "checkpoints").glob("step-*"))


def test_metrics_tell_loss_and_accuracy_per_task_and_kind(kmask: Kmask, tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(kmask, tiny_run, run, "tracking.sinks=[wandb,csv]")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["event"] == "train"]
    last, last_tasks = trained[-1], ("knowledge_masking", "span_boundary")
    for name in (
        "knowledge_masking",
        "span_boundary",
        *(f"{task}/{kind}" for task in last_tasks for kind in ("character", "word", "entity")),
    ):
        assert f"loss/{name}" in last and 0 <= last[f"accuracy/{name}"] <= 1
    assert any(
        line.get("targets/sentence_reordering") and 0 <= line["accuracy/sentence_reordering"] <= 1 for line in trained
    )
    for task in last_tasks:
        kinds = sum(last[f"targets/{task}/{kind}"] for kind in ("character", "word", "phrase", "entity"))
        assert kinds == last[f"targets/{task}"] > 0
    assert not [name for name in last if name.startswith("loss/sentence_reordering/")]
    assert {
        "tokens_per_second",
        "loader_wait",
        "grad_norm",
        "lr",
        "real_share",
        "masked_share",
        "tokens",
    } <= last.keys()
    held = [line for line in lines if line["event"] == "evaluation"]
    assert [line["step"] for line in held] == [0, 4, 4, 8] and held[1]["targets/knowledge_masking"] == held[0][
        "targets/knowledge_masking"
    ]
    assert (
        held[1]["loss/knowledge_masking"] == held[2]["loss/knowledge_masking"]
    )  # a task that joins changes no figure of another
    assert 0 < held[2]["majority/sentence_reordering"] < 1
    assert list((run / "wandb").glob("offline-run-*"))


def test_a_truncated_checkpoint_is_passed_over_for_the_one_before(kmask: Kmask, tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(kmask, tiny_run, run, "stages.1.steps=2", "evaluation.every=0")
    model = run / "checkpoints/step-00000006/model.safetensors"
    model.write_bytes(model.read_bytes()[:1000])
    done = train(kmask, tiny_run, run, "evaluation.every=0")
    assert "cut short" in done.stderr and "continuing at step 4" in done.stderr and "Traceback" not in done.stderr
    for folder in (run / "checkpoints").glob("step-*"):
        (folder / "state.json").write_text("{")
    broken = kmask("train", tiny_run, f"output={run}", "--processes", 1)
    assert broken.returncode == 2 and "no usable checkpoint" in broken.stderr and "Traceback" not in broken.stderr


def test_what_cannot_continue_is_refused_with_the_difference(kmask: Kmask, tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(kmask, tiny_run, run, "evaluation.every=0", "stages.1.steps=1")
    for override, message in (
        ("seed=2", "seed: 1 -> 2"),
        ("model.hidden=64", "hidden"),
        ("batch.max_sample_tokens=32", "64 -> 32"),
    ):
        refused = kmask("train", tiny_run, f"output={run}", override, "--processes", 1)
        assert refused.returncode == 2 and message in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.0.path=/nowhere"], "kmask prepare"),
        (["engine.precision=fp16"], "fp16 needs a GPU"),
        (["batch.rows_per_step=3", "batch.rows_per_process=2"], "cannot be divided"),
        (["masking.strategy.units=[product]"], "level 'product'"),
        (["optimization.lr=-1"], "lr: -1"),
        (["stages.0.tasks.nonsense=1"], "nonsense"),
        (["model.heads=3"], "does not divide"),
        (["model.path=/nowhere"], "no config.json"),
    ],
)
def test_impossible_settings_get_one_clear_message(
    kmask: Kmask, tiny_run: Path, overrides: list[str], message: str
) -> None:
    done = kmask("train", tiny_run, *overrides, "--processes", 1)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and done.stderr.count("error:") == 1 and "Traceback" not in done.stderr


def test_torchrun_and_srun_variables_are_understood() -> None:
    from launch.processes.rank import adopt_slurm, first_host, is_rank

    assert first_host("gpu[03-05,9],x1") == "gpu03" and first_host("a,b") == "a" and first_host("one") == "one"
    slurm = {
        "SLURM_PROCID": "3",
        "SLURM_NTASKS": "4",
        "SLURM_LOCALID": "1",
        "SLURM_NODELIST": "n[1-2]",
        "SLURM_JOB_ID": "42",
    }
    with mock.patch.dict(os.environ, slurm, clear=True):
        assert is_rank()
        adopt_slurm()
        assert [os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")] == [
            "3",
            "4",
            "1",
            "n1",
            "22562",
        ]
    with mock.patch.dict(os.environ, {}, clear=True):
        assert not is_rank()
