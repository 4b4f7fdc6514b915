"""`kmask train --dry-run` and `kmask launch --dry-run`: what a start would refuse is refused in its words, and every
number is a real one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from in_process import Result, command
from saved_run import save_run
from tiny import ROOT

from launch.settings.components import plain, read_config
from launch.shell.formatting import byte_size
from pretrain import preflight as module
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.preflight import Place, Preflight, preflight

Kmask = Callable[..., Result]


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kmask:
    """Run `kmask <arguments>` in this process, on a machine without GPUs, in a terminal of 80 columns."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    return command(monkeypatch, capsys)


def planned(file: Path, *overrides: str, processes: int = 1, local: int = 1) -> Preflight:
    run = read_config(Run, file, list(overrides))
    return preflight(run, plain(run), Place(processes, local))


def tree(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*"))


# --- what is shown
# -------------------------------------------------------------------------------------------------------------------


def test_a_new_run_is_described_the_commands_come_last_and_nothing_is_written(
    kmask: Kmask, tiny_run: Path, tmp_path: Path
) -> None:
    before = tree(tmp_path)
    done = kmask("train", tiny_run, "--processes", 2, "--dry-run")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    text = " ".join(done.out.split())
    for part in (
        "run new, 8 steps",
        "processes 2 on this machine; each takes 2 micro-batches a step of 1 row",
        "stage `one`: 4 steps, 0 to 4 knowledge_masking 100% 16 rows new span_boundary every row new",
        "stage `two`: 4 steps, 4 to 8 knowledge_masking 50% 8 rows span_boundary every row sentence_reordering 50% 8 rows new",
        "tokens 1,024 a step (4 rows of 256), 8,192 in 8 steps",
        "documents held out",
        "evaluation every 4 steps on up to 2 rows a task and folder",
        "precision fp32",
        "rate 0.001 at its peak after 2 steps of warm-up, then linear to 0, anew in each stage",
        "(ZeRO 1, 2 processes)",
        "an estimate",
        "every 2 steps; up to 3 at a time",
    ):
        assert part in text, part
    begin = lines.index("would start 2 processes")
    assert len(lines) == begin + 3 and all(f"RANK={rank} " in lines[begin + 1 + rank] for rank in range(2))
    assert max(len(line) for line in lines[:begin] if str(tmp_path) not in line) <= 80  # a path is never broken
    assert tree(tmp_path) == before


def test_a_run_that_goes_on_shows_its_step_and_the_allowed_changes(
    kmask: Kmask, tiny_run: Path, tmp_path: Path
) -> None:
    save_run(tiny_run, machine={"processes": 1, "precision": "fp32"})
    before = tree(tmp_path)
    done = kmask("train", tiny_run, "optimization.lr=5e-4", "--processes", 2, "--dry-run")
    text = " ".join(done.out.split())
    assert done.code == 0, done.err
    assert "would go on at step 6 of 8, from" in text and "step-00000006" in text
    assert "`one`: 4 steps, 0 to 4, done" in text and "`two`: 4 steps, 4 to 8, 2 of them done" in text
    assert "changed optimization.lr: 0.001 -> 0.0005 changed processes: 1 -> 2" in text
    assert tree(tmp_path) == before


def test_a_finished_run_says_that_a_start_would_do_nothing(kmask: Kmask, tiny_run: Path) -> None:
    save_run(tiny_run, steps=(8,))
    done = kmask("train", tiny_run, "--processes", 1, "--dry-run")
    assert (
        done.code == 0
        and "finished: all 8 steps are done" in done.out
        and "would do nothing" in " ".join(done.out.split())
    )


def test_precision_is_shown_with_its_reason(kmask: Kmask, tiny_run: Path) -> None:
    done = kmask("train", tiny_run, "engine.precision=auto", "--processes", 1, "--dry-run")
    assert (
        "precision     bf16 (auto: the processor has" in done.out
        or "precision     fp32 (auto: the processor has no" in done.out
    )


def test_a_stage_that_is_all_warm_up_is_pointed_out(kmask: Kmask, tiny_run: Path) -> None:
    done = kmask("train", tiny_run, "optimization.warmup=4", "--processes", 1, "--dry-run")
    assert done.code == 0 and "stage one: all of its 4 steps are warm-up" in " ".join(done.out.split())


# --- numbers
# -------------------------------------------------------------------------------------------------------------------------


def test_parameters_and_checkpoint_bytes_are_those_of_a_real_model_and_its_files(
    tiny_run: Path, tmp_path: Path
) -> None:
    """The second stage pauses a task: its moments stay in the file."""
    import torch
    from safetensors.torch import save_file

    from pretrain.setup import start_model

    overrides = ["stages.1.tasks={knowledge_masking: 1, sentence_reordering: 1}"]
    run = read_config(Run, tiny_run, overrides)
    found = planned(tiny_run, *overrides)
    known: set[str] = set()
    for index, stage in enumerate(found.stages):
        model, _, _ = start_model(run, Corpus(run=run).tokenizer, index)
        named = dict(model.named_parameters())
        known |= {name for name, parameter in named.items() if parameter.requires_grad}
        assert stage.sizes and stage.sizes.parameters == sum(parameter.numel() for parameter in named.values())
        assert stage.sizes.trained == sum(parameter.numel() for parameter in named.values() if parameter.requires_grad)
        heads = {
            task: sum(p.numel() for name, p in named.items() if name.startswith(f"heads.{task}."))
            for task in model.objectives
        }
        assert stage.sizes.heads == heads and stage.sizes.encoder == stage.sizes.parameters - sum(heads.values())
        adam = {f"{name}#{part}": named[name].detach().clone() for name in known for part in ("exp_avg", "exp_avg_sq")}
        adam |= {f"{name}#step": torch.tensor(3) for name in known}
        save_file(
            {name: parameter.detach().clone() for name, parameter in named.items()},
            tmp_path / f"model-{index}.safetensors",
        )
        save_file(adam, tmp_path / f"adam-{index}.safetensors")
        assert stage.sizes.checkpoint == sum(
            (tmp_path / f"{name}-{index}.safetensors").stat().st_size for name in ("model", "adam")
        )
    assert (
        found.stages[0].sizes
        and found.stages[1].sizes
        and found.stages[1].sizes.parameters > found.stages[0].sizes.parameters
    )


def test_the_sizes_of_a_run_that_goes_on_are_those_of_its_checkpoint(tiny_run: Path) -> None:
    file = save_run(tiny_run) / "checkpoints/step-00000006/model.safetensors"
    (stage,) = [stage.sizes for stage in planned(tiny_run).stages if stage.sizes]
    header = 8 + int.from_bytes(file.read_bytes()[:8], "little")
    assert 4 * stage.parameters == file.stat().st_size - header


def test_tokens_and_epochs_are_those_of_the_sampler(tiny_run: Path) -> None:
    from pretrain.feed.sampling import MicroBatchSpec, Sampler

    steps = "stages=[{name: one, steps: 60, tasks: {knowledge_masking: 1, span_boundary: 0}}]"
    found, run = planned(tiny_run, steps), read_config(Run, tiny_run, [steps])
    maker = Corpus(run=run).maker(run.stages[0], "train", run.masking)
    sampler, cursors, read = Sampler(streams=maker.streams, rows_per_step=run.batch.rows_per_step), {}, 0
    for step in range(60):
        rows, cursors = sampler.step(cursors)
        read += sum(int(row.windows.tokens_W.sum()) for row in rows)
        if not step:
            assert (
                len(maker.packed(MicroBatchSpec(0, rows, 0.0)).original_T)
                == run.batch.rows_per_step * run.batch.row
                == 1024
            )
    (folder,) = found.folders
    assert folder.tokens == sum(
        int(shard.token_ids.offsets_D1[-1]) for shard in Corpus(run=run).prepared["demo"].shards("train")
    )
    assert folder.epochs == pytest.approx(read / folder.tokens, rel=0.02)
    assert folder.heldout == sum(len(shard) for shard in Corpus(run=run).prepared["demo"].shards("heldout")) > 0


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_estimate_of_activations_is_near_what_autograd_saves(
    tiny_run: Path, precision: str, dropout: float
) -> None:
    """The gradient of the logits (4 bytes for each) comes later than the tensors that are saved."""
    import torch

    from pretrain.feed.sampling import Cursor, MicroBatchSpec
    from pretrain.setup import start_model

    shape = f"model={{layers: 3, hidden: 256, heads: 4, max_positions: 64, dropout: {dropout}}}"
    overrides = [shape, "engine.zero_stage=0", f"engine.precision={precision}"]
    run = read_config(Run, tiny_run, overrides)
    corpus = Corpus(run=run)
    model, _, _ = start_model(run, corpus.tokenizer)
    maker = corpus.maker(run.stages[0], "train", run.masking)
    row, _ = next(iter(maker.streams.values())).next(Cursor())
    batch = maker[MicroBatchSpec(0, [row], 0.0)]
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        model(batch, dict.fromkeys(maker.objectives, 1.0))
    seen = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    gradient = 4 * sum(batch.counts.values()) * len(corpus.tokenizer.tokens)
    assert planned(tiny_run, *overrides).stages[0].activations == pytest.approx(seen + gradient, rel=0.2)


def test_memory_is_shared_out_as_zero_does(tiny_run: Path) -> None:
    def of(zero_stage: int, precision: str, processes: int) -> tuple[float, ...]:
        found = planned(
            tiny_run, f"engine.zero_stage={zero_stage}", f"engine.precision={precision}", processes=processes, local=0
        )
        return tuple(round(part / found.sizes.parameters, 1) for part in found.memory)

    assert of(0, "fp32", 4) == (4, 4, 8)
    assert of(1, "fp32", 1) == (8, 4, 8) and of(1, "fp32", 4) == (5, 4, 2) and of(1, "bf16", 4) == (5, 4, 2)
    assert of(2, "fp32", 4) == (5, 1, 2) and of(3, "fp32", 4) == (2, 1, 2)
    assert (
        of(1, "bf16_parameters", 2) == (4, 6, 4)
        and of(2, "bf16_parameters", 2) == (4, 2, 4)
        and of(3, "bf16_parameters", 2) == (3, 2, 4)
    )
    assert of(1, "fp16", 2) == (4, 4, 4)


def test_sizes_are_written_for_people() -> None:
    assert [byte_size(count) for count in (900, 6_299_724, 1_234_567_890, 45_000_000_000)] == [
        "0.9 kB",
        "6.30 MB",
        "1.23 GB",
        "45.0 GB",
    ]


# --- what is refused, in the words of a real start
# -----------------------------------------------------------------------------------


def started(file: Path, overrides: list[str]) -> str:
    """What a real start in this process says to a configuration that it refuses."""
    import torch

    from pretrain.processes.world import World
    from pretrain.trainer import Trainer

    with pytest.raises((ValueError, OSError)) as caught:
        run = read_config(Run, file, overrides)
        Trainer(run, plain(run), World(0, 1, torch.device("cpu")), lambda event, step, values: None).train()
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("optimzation.lr=1", "optimzation: unknown key; did you mean `optimization`?"),
        ("masking.strategy.kind=whole_units", "unknown kind 'whole_units'"),
        ("tasks.mine.kind=no.such.module", "unknown kind 'no.such.module'"),
        ("stages.0.tasks.nonsense=1", "trains 'nonsense', which is not in tasks"),
        ("optimization.lr=-1", "lr: -1"),
        ("data.0.path=/nowhere", "/nowhere holds no manifest.json: run `kmask prepare` first"),
        ("masking.strategy.units=[product]", "hides level 'product'"),
        ("masking={strategy: {kind: macbert, similar_words: /nowhere.tsv}}", "/nowhere.tsv"),
        ("model.path=/nowhere", "no config.json there"),
        ("batch={rows_per_step: 3, rows_per_process: 2, max_sample_tokens: 64}", "cannot be divided by 1 processes"),
    ],
)
def test_what_a_start_refuses_is_refused_in_the_same_words(
    kmask: Kmask, tiny_run: Path, tmp_path: Path, override: str, part: str
) -> None:
    before = tree(tmp_path)
    done = kmask("train", tiny_run, override, "--processes", 1, "--dry-run")
    assert (done.code, done.out) == (2, "") and part in done.err
    assert tree(tmp_path) == before
    assert done.err.strip() == f"error: {started(tiny_run, [override])}"


def test_a_changed_seed_is_refused_in_the_same_words(kmask: Kmask, tiny_run: Path) -> None:
    save_run(tiny_run)
    done = kmask("train", tiny_run, "seed=2", "--processes", 1, "--dry-run")
    assert (
        done.code == 2 and "seed: 1 -> 2" in done.err and done.err.strip() == f"error: {started(tiny_run, ['seed=2'])}"
    )


def test_fp16_without_a_gpu_is_refused_in_the_same_words(kmask: Kmask, tiny_run: Path) -> None:
    from pretrain.engine import join
    from pretrain.settings import DeepSpeed

    done = kmask("train", tiny_run, "engine.precision=fp16", "--processes", 1, "--dry-run")
    with pytest.raises(ValueError, match="fp16 needs a GPU") as caught:
        join(DeepSpeed(precision="fp16"))
    assert done.code == 2 and done.err.strip() == f"error: {caught.value}"


def test_a_folder_that_another_training_writes_into_is_refused_in_the_same_words(
    kmask: Kmask, tiny_run: Path, tmp_path: Path
) -> None:
    from pretrain.processes.lock import held

    with held(tmp_path / "run", 0, print):
        done = kmask("train", tiny_run, "--processes", 1, "--dry-run")
        with (
            pytest.raises(ValueError, match="another training") as caught,
            held(tmp_path / "run", -1, lambda text: None),
        ):
            pass
    assert done.code == 2 and done.err.strip() == f"error: {caught.value}"
    assert kmask("train", tiny_run, "--processes", 1, "--dry-run").code == 0


def test_a_shard_that_is_missing_is_refused(kmask: Kmask, tiny_run: Path, prepared: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(prepared, tmp_path / "data")
    next((tmp_path / "data/parts").rglob("train.arrow")).unlink()
    done = kmask("train", tiny_run, f"data.0.path={tmp_path / 'data'}", "--processes", 1, "--dry-run")
    assert done.code == 2 and "1 shard(s) missing" in done.err


def test_three_processes_do_not_divide_four_rows(kmask: Kmask, tiny_run: Path) -> None:
    done = kmask("train", tiny_run, "--processes", 3, "--dry-run")
    assert done.code == 2 and "cannot be divided by 3 processes" in done.err and done.out == ""


def test_a_full_disk_is_refused_and_checkpoints_that_are_there_count_as_room(
    kmask: Kmask, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = 3 * planned(tiny_run).sizes.checkpoint
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=need - 1))
    done = kmask("train", tiny_run, "--processes", 1, "--dry-run")
    assert done.code == 2 and "3 checkpoints (checkpoints.keep: 2, and the one being written)" in done.err
    assert kmask("train", tiny_run, "checkpoints.keep=1", "--processes", 1, "--dry-run").code == 0
    save_run(tiny_run)
    assert kmask("train", tiny_run, "--processes", 1, "--dry-run").code == 0


def test_an_output_that_is_a_file_or_closed_is_refused(
    kmask: Kmask, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = kmask("train", tiny_run, f"output={tiny_run}/run", "--processes", 1, "--dry-run")
    assert done.code == 2 and f"output: {tiny_run} is a file" in done.err
    monkeypatch.setattr(module.os, "access", lambda path, mode: not mode & os.W_OK)
    assert "no permission to write" in kmask("train", tiny_run, "--processes", 1, "--dry-run").err


def test_a_plug_in_that_builds_wrong_samples_is_found_before_its_stage(
    kmask: Kmask, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/overlong.py").write_text(
        '"""Makes samples that are too long."""\n'
        "from dataclasses import dataclass, replace\nimport numpy as np\n"
        "from pretrain.objectives.sentence_reordering import SentenceReordering\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Overlong(SentenceReordering):\n"
        '    """Too long."""\n\n'
        "    def build(self, text, key, name, specials):\n"
        "        made = super().build(text, key, name, specials)\n"
        "        arrays = {name: np.tile(getattr(made, name), 99) for name in ('token_ids_T', 'maskable_T', 'segment_ids_T')}\n"
        "        return replace(made, **arrays, place_T=None)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    done = kmask("train", tiny_run, "tasks.sentence_reordering={kind: mine.overlong}", "--processes", 1, "--dry-run")
    assert done.code == 2 and "task 'sentence_reordering' (Overlong) made a sample of" in done.err


# --- other machines
# ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """Two machines with two slots each."""
    (tmp_path / "hosts").write_text("a slots=2\nb slots=2\n")
    (tmp_path / "cluster.yaml").write_text(f"kind: hostfile\npath: {tmp_path / 'hosts'}\n")
    return tmp_path / "cluster.yaml"


def test_processes_of_all_machines_are_counted_and_theirs_decide_the_precision(
    kmask: Kmask, tiny_run: Path, cluster: Path, tmp_path: Path
) -> None:
    done = kmask("launch", cluster, tiny_run, "engine.precision=auto", "--dry-run")
    text = " ".join(done.out.split())
    assert (
        done.code == 0
        and "processes 4 on 2 machines" in text
        and "auto: the machines that train decide; this one would take it" in text
    )
    assert "--hostfile" in done.out.splitlines()[-1]
    done = kmask("launch", cluster, tiny_run, "engine.precision=fp16", "--dry-run")
    assert done.code == 0 and "precision fp16: every machine needs a GPU" in done.out
    (tmp_path / "hosts").write_text("a slots=4\nb slots=4\n")
    done = kmask("launch", cluster, tiny_run, "--dry-run")
    assert done.code == 2 and "cannot be divided by 8 processes" in done.err


def test_under_torchrun_rank_0_tells_for_all(kmask: Kmask, tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    done = kmask("train", tiny_run, "--dry-run")
    assert (
        done.code == 0 and "4 of which 2 on this machine" in done.out and "none to start" in done.out.splitlines()[-1]
    )
    monkeypatch.setenv("RANK", "1")
    done = kmask("train", tiny_run, "--dry-run")
    assert (done.code, done.out, done.err) == (0, "", "")


BLOCKER = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())
"""


def test_on_a_login_node_without_torch_the_commands_are_shown_and_the_checks_are_skipped(
    tiny_run: Path, cluster: Path, tmp_path: Path
) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/sitecustomize.py").write_text(BLOCKER)
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(tmp_path / "hidden"), "CUDA_VISIBLE_DEVICES": ""}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "launch.cli", *map(str, arguments)]
        return subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    for file in (cluster, ROOT / "configs/cluster/local.yaml"):
        done = run("launch", file, tiny_run, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert (
            "nothing was checked" in done.stdout
            and "torch" in done.stdout
            and "-m launch." in done.stdout.splitlines()[-1].replace("--module", "-m")
        )
    done = run("train", tiny_run, "--dry-run")
    assert done.returncode == 2 and "torch cannot be imported here" in done.stderr and "Traceback" not in done.stderr


# --- what we ship
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["base", "demo", "spanbert_base_en", "pmi_base_en"])
def test_every_configuration_that_we_ship_would_start(kmask: Kmask, prepared: Path, tmp_path: Path, name: str) -> None:
    done = kmask(
        "train",
        ROOT / f"configs/pretrain/{name}.yaml",
        f"data.0.path={prepared}",
        f"output={tmp_path / 'run'}",
        "--dry-run",
    )
    assert done.code == 0, done.err
    assert "warm-up (" not in done.out


@pytest.mark.parametrize("recipe", ["zh", "en"])
def test_every_recipe_would_start_and_is_as_the_defaults_are(
    kmask: Kmask, prepared: Path, tmp_path: Path, recipe: str
) -> None:
    assert kmask("init", recipe, tmp_path / "my").code == 0
    file = tmp_path / "my/pretrain.yaml"
    done = kmask("train", file, f"data.0.path={prepared}", f"output={tmp_path / 'run'}", "--dry-run")
    assert done.code == 0, done.err
    assert read_config(Run, file, []).engine.precision == "auto"
