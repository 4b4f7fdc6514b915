"""New heads train alone at first (model.warm_up_head); a run that is killed within or after it goes on bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hub_folders import hub_folder
from test_beginning import Runs, equal

from pretrain.processes.world import World
from pretrain.state.checkpoint import load as load_checkpoint
from pretrain.state.inspecting import inspect

STAGES = "stages=[{name: one, steps: 5, tasks: {knowledge_masking: 1, span_boundary: 0, sentence_reordering: 1}}]"
SETTINGS = (
    STAGES,
    "batch.rows_per_process=4",
    "evaluation.every=0",
    "checkpoints.every=1",
    "checkpoints.keep=9",
    "model.warm_up_head=2",
    "optimization.warmup=0",
)


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, world: World) -> Runs:
    return Runs(tiny_run, tmp_path, world)


def at(runs: Runs, name: str, step: int) -> dict[str, torch.Tensor]:
    return load_checkpoint(runs.folder / name / f"checkpoints/step-{step:08d}").tensors()


def weights(tensors: dict[str, torch.Tensor], *begins: str) -> dict[str, torch.Tensor]:
    return {name: item for name, item in tensors.items() if "#" not in name and name.startswith(begins)}


@pytest.mark.parametrize(("zero", "kills"), [(0, [2]), (2, [1, 3])])
def test_new_heads_train_alone_and_a_kill_changes_nothing(
    runs: Runs, prepared: Path, zero: int, kills: list[int]
) -> None:
    hub_folder(runs.folder / "bert", "bert", prepared / "tokenizer")
    settings = [*SETTINGS, f"engine.zero_stage={zero}", runs.path("bert")]
    notes = runs.train("whole", *settings)
    assert "until step 2 only span_boundary, sentence_reordering train; everything else stands still" in notes
    first, end, later = at(runs, "whole", 1), at(runs, "whole", 2), at(runs, "whole", 3)
    still = "ernie.embeddings", "ernie.encoder", "heads.knowledge_masking"
    assert equal(weights(first, *still), weights(end, *still))
    for moving in ("heads.span_boundary.", "heads.sentence_reordering.", "ernie.pooler."):  # the folder has no pooler
        assert not equal(weights(first, moving), weights(end, moving))
    assert not any(name.startswith(still) for name in end if "#" in name)  # Adam knows nothing of them yet
    assert not equal(weights(end, "ernie.encoder"), weights(later, "ernie.encoder"))
    assert later["ernie.encoder.layer.0.output.dense.weight#step"] == 1
    assert later["heads.span_boundary.first.weight#step"] == 3
    for step in kills:
        name = f"killed-{step}"
        runs.killed(name, *settings, at=("checkpoint", step))
        runs.train(name, *settings)
        assert equal(runs.tensors(name), runs.tensors("whole")), step


def test_a_warm_up_with_nothing_to_warm_up_is_none(runs: Runs, prepared: Path) -> None:
    hub_folder(runs.folder / "bert", "bert", prepared / "tokenizer")
    only = [*SETTINGS, "stages=[{name: one, steps: 3, tasks: {knowledge_masking: 1}}]", runs.path("bert")]
    assert "stands still" not in runs.train("only", *only)
    assert not equal(weights(at(runs, "only", 1), "ernie.encoder"), weights(at(runs, "only", 2), "ernie.encoder"))


@pytest.mark.parametrize(("kind", "zero"), [("modernbert", 0), ("electra_small", 3)])
def test_other_encoders_go_on_bit_for_bit_and_are_begun_from(runs: Runs, prepared: Path, kind: str, zero: int) -> None:
    hub_folder(runs.folder / kind, kind, prepared / "tokenizer")
    settings = [*SETTINGS, "evaluation.every=5", f"engine.zero_stage={zero}", runs.path(kind)]
    notes = runs.train("whole", *settings)
    assert "this encoder knows no tasks: sentence_reordering have no task embedding" in notes
    runs.killed("killed", *settings, at=("checkpoint", 3))
    runs.train("killed", *settings)
    assert equal(runs.tensors("killed"), runs.tensors("whole"))
    facts = inspect(runs.folder / "whole").facts
    assert (facts["what"], facts["step"], facts["task_rows"]) == ("run of kmask", 5, 0) and facts["hidden"] == 32
    shape = ["model.layers=12", "model.hidden=768", "model.heads=12", "model.max_positions=512"]  # not written
    runs.train("next", *SETTINGS, "evaluation.every=5", "model.warm_up_head=0", *shape, runs.path("whole"))
    ends, begins = runs.evaluations("whole")[-1], runs.evaluations("next")[0]
    losses = [name for name in ends if name.startswith("loss/")]
    assert losses and all(ends[name] == begins[name] for name in losses)


def test_a_warm_up_that_cannot_be_is_refused(runs: Runs) -> None:
    with pytest.raises(ValueError, match=r"warm_up_head: 2 needs `path`"):
        runs.decoded("none", *SETTINGS)
    with pytest.raises(ValueError, match=r"model.warm_up_head: 5 steps must be fewer than the 5 of stage one"):
        runs.decoded("none", *SETTINGS, "model.path=somewhere", "model.warm_up_head=5")
    with pytest.raises(ValueError, match=r"warm_up_head: -1 must not be negative"):
        runs.decoded("none", *SETTINGS, "model.path=somewhere", "model.warm_up_head=-1")
