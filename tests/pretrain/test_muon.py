"""Muon beside AdamW: the update of torch's own, steps that are left out, what checkpoints hold, resumes, refusals. Two
killed processes are in test_training.py."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_continuing import FOLDERS, state_of
from test_costs import planned
from test_trainer import Runs, equal, notes
from torch import nn

from launch.settings.components import plain
from pretrain.continuing import compare
from pretrain.costs import zero_table
from pretrain.muon import MuonAdamW, build_optimizer, orthogonal
from pretrain.optimization import Optimization, by_muon, parameter_groups
from pretrain.processes.world import World
from pretrain.state.checkpoint import load
from pretrain.unsharded import Gradients

LAYER = "ernie.encoder.layer"
SHAPES = {
    f"{LAYER}.0.intermediate.dense.weight": (24, 8),
    f"{LAYER}.1.intermediate.dense.weight": (24, 8),
    f"{LAYER}.0.output.dense.weight": (8, 24),
    f"{LAYER}.0.output.dense.bias": (8,),
    "ernie.embeddings.word_embeddings.weight": (40, 8),
    "ernie.pooler.dense.weight": (8, 8),
    "heads.knowledge_masking.transform.dense.weight": (8, 8),
    f"heads.electra.generator.{LAYER}.0.output.dense.weight": (8, 24),
}
MUON = ("optimization.algorithm=muon", "engine.zero_stage=0", "evaluation.every=0")
MATRIX, TABLE = f"{LAYER}.0.output.dense.weight", "ernie.embeddings.task_type_embeddings.weight"
ALONE = World(0, 1, torch.device("cpu"))


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, world: World) -> Runs:
    return Runs(tiny_run, tmp_path, world)


class Bench:
    """Parameters with gradients of their own, and their optimiser."""

    def __init__(self, precision: str = "fp32", factors: dict[str, float] | None = None) -> None:
        self.draw = torch.Generator().manual_seed(3)
        settings = Optimization(algorithm="muon", lr=0.02, weight_decay=0.1)
        self.named = {name: nn.Parameter(self.normal(shape)) for name, shape in SHAPES.items()}
        groups = parameter_groups(self.named.items(), 0.1, {}, factors, "muon")
        self.optimizer = build_optimizer(groups, settings, precision)
        self.ends = Gradients(list(self.named.values()), self.optimizer, 0.0)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=self.draw)

    def step(self, bad: float = 0.0) -> None:
        for parameter in self.named.values():
            parameter.grad = self.normal(tuple(parameter.shape)) + bad
        self.ends.finish(ALONE)
        self.optimizer.step()

    def state(self) -> dict[str, torch.Tensor]:
        found = {name: parameter.detach().clone() for name, parameter in self.named.items()}
        for name, parameter in self.named.items():
            found |= {f"{name}#{key}": value.clone() for key, value in self.optimizer.state[parameter].items()}
        return found


@pytest.mark.parametrize("shape", [(3, 24, 8), (1, 8, 24), (2, 16, 16)])
def test_orthogonal_matrices_have_singular_values_near_one_and_the_same_directions(shape: tuple[int, ...]) -> None:
    given = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 1e-3
    found = orthogonal(given)
    assert found.shape == given.shape
    left, values, right = torch.linalg.svd(given, full_matrices=False)
    kept = values > 0.1 * values[:, :1]  # five rounds do not reach the smallest ones
    turned = torch.linalg.diagonal(left.mT @ found @ right.mT)
    assert ((turned > 0.6) & (turned < 1.3))[kept].all()
    assert orthogonal(torch.zeros(1, 4, 4)).abs().max() == 0


def test_only_matrices_of_the_models_own_encoder_are_moved_by_muon() -> None:
    bench = Bench()
    momentum = {key.partition("#")[0] for key in bench.state() if key.endswith("#momentum_buffer")}
    assert not momentum
    bench.step()
    momentum = {key.partition("#")[0] for key in bench.state() if key.endswith("#momentum_buffer")}
    assert momentum == {name for name, shape in SHAPES.items() if by_muon(name, len(shape))}
    assert momentum == {name for name in SHAPES if name.startswith(LAYER) and name.endswith("weight")}
    others = {key.partition("#")[0] for key in bench.state() if key.endswith("#exp_avg_sq")}
    assert others == SHAPES.keys() - momentum


def test_the_update_is_that_of_torchs_muon_and_adamw() -> None:
    ours, theirs = Bench("bf16"), Bench("bf16")
    matrices = [parameter for name, parameter in theirs.named.items() if by_muon(name, parameter.dim())]
    rest = {id(parameter) for parameter in theirs.named.values()} - {id(parameter) for parameter in matrices}
    muon = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    decayed = [item for item in theirs.named.values() if id(item) in rest and item.dim() > 1]
    plain = [item for item in theirs.named.values() if id(item) in rest and item.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.98), eps=1e-6)
    for _ in range(4):
        ours.step()
        for parameter in theirs.named.values():
            parameter.grad = theirs.normal(tuple(parameter.shape))
        muon.step()
        adamw.step()
    for name, parameter in ours.named.items():
        other = theirs.named[name]
        assert torch.allclose(parameter, other, atol=3e-4 if by_muon(name, other.dim()) else 1e-6), name
        if by_muon(name, other.dim()):
            assert torch.allclose(
                ours.optimizer.state[parameter]["momentum_buffer"], muon.state[other]["momentum_buffer"]
            )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("first", [True, False])
def test_a_step_with_bad_gradients_changes_nothing(bad: float, first: bool) -> None:
    bench = Bench()
    if not first:
        bench.step()
    before = bench.state()
    bench.step(bad)
    after = bench.state()
    if first:
        assert all(torch.equal(after[name], before[name]) for name in SHAPES)
        assert not any(value.any() for key, value in after.items() if "#" in key)
    else:
        assert equal(after, before)
    bench.step()
    assert all(not torch.equal(parameter, before[name]) for name, parameter in bench.named.items())
    assert all(torch.isfinite(value).all() for value in bench.state().values())


def test_factors_of_the_rate_reach_both_parts() -> None:
    halves = {f"{LAYER}.1.intermediate.dense.weight": 0.0, "ernie.pooler.dense.weight": 0.0}
    bench = Bench(factors=halves)
    before = bench.state()
    for group in bench.optimizer.param_groups:  # as the engine does
        group["lr"] = 0.02 * group["factor"]
    bench.step()
    still = {name for name, parameter in bench.named.items() if torch.equal(parameter, before[name])}
    assert still == set(halves)


def test_muon_is_for_zero_0_alone(runs: Runs) -> None:
    with pytest.raises(ValueError, match=r"muon needs whole matrices, and engine.zero_stage 1 cuts them up"):
        runs.decoded("no", "optimization.algorithm=muon", "engine.zero_stage=1")
    with pytest.raises(ValueError, match="algorithm: 'lamb' is not one of adamw, muon"):
        Optimization(algorithm="lamb")
    with pytest.raises(ValueError, match=r"momentum: 1 must lie in \[0, 1\)"):
        Optimization(momentum=1)
    with pytest.raises(ValueError, match=r"momentum: 0.9 is Muon's, and algorithm is adamw"):
        Optimization(momentum=0.9)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_that_was_stopped_goes_on_bitwise_through_a_growing_table_and_a_new_head(
    runs: Runs, precision: str
) -> None:
    settings = (*MUON, f"engine.precision={precision}", "optimization.layer_decay=0.9", "checkpoints.keep=100")
    runs.train("whole", *settings, faulty={3: math.nan})
    runs.train("parts", *settings, faulty={3: math.nan}, stop_after=2)  # after a step that was left out
    runs.train("parts", *settings, stop_after=5)
    runs.train("parts", *settings)
    whole = runs.tensors("whole")
    assert equal(whole, runs.tensors("parts")) and runs.lines("whole") == runs.lines("parts")
    of = {name: {key.partition("#")[2] for key in whole if key.startswith(f"{name}#")} for name in (MATRIX, TABLE)}
    assert of == {MATRIX: {"momentum_buffer", "step"}, TABLE: {"exp_avg", "exp_avg_sq", "step"}}
    assert int(whole[f"{MATRIX}#step"]) == 7 and whole[f"{MATRIX}#momentum_buffer"].any()
    middle = load(runs.folder / "whole/checkpoints/step-00000004").tensors()
    assert len(middle[TABLE]) == 1 and len(whole[TABLE]) == 2
    assert (whole[MATRIX] - middle[MATRIX]).abs().max() > 1e-4


def test_the_other_optimiser_is_refused_in_a_run_and_in_one_that_keeps_what_it_knew(runs: Runs) -> None:
    runs.train("first", *MUON, stop_after=2)
    with pytest.raises(ValueError, match=r"optimization.algorithm: muon -> adamw"):
        runs.train("first", "engine.zero_stage=0")
    begins = (f"model={{path: {runs.folder / 'first'}}}", "engine.zero_stage=0", "evaluation.every=0")
    with pytest.raises(
        ValueError, match=r"was trained with optimization.algorithm muon and this configuration says ad"
    ):
        runs.train("second", *begins, "model.optimizer=keep")
    assert "Adam begins anew" in notes(runs.train("second", *begins, "model.optimizer=reset"))
    kept = notes(runs.train("third", *begins, *MUON, "model.optimizer=keep"))
    assert "moments and step counts kept" in kept
    begun = load(runs.folder / "third/checkpoints/step-00000008").tensors()
    assert int(begun[f"{MATRIX}#step"]) == 8 + int(runs.tensors("first")[f"{MATRIX}#step"])


def test_a_checkpoint_from_before_there_was_a_choice_is_one_of_adamw(runs: Runs) -> None:
    run = runs.decoded("old", "engine.zero_stage=0")
    state = state_of(run, (4, 2))
    settings = {key: value for key, value in plain(run)["optimization"].items() if key not in ("algorithm", "momentum")}
    state = replace(state, config={**state.config, "optimization": settings})
    assert compare(state, run, plain(run), FOLDERS) == ([], [])
    muon = runs.decoded("old", *MUON[:2])
    assert compare(state, muon, plain(muon), FOLDERS).refused == ["optimization.algorithm: adamw -> muon"]


def test_the_plan_counts_one_number_for_each_weight_that_muon_moves(runs: Runs) -> None:
    found = planned(runs.file, *MUON, f"output={runs.folder / 'run'}")
    runs.train("run", *MUON)
    sizes = found.stages[1].sizes
    assert sizes is not None
    files = [runs.folder / f"run/checkpoints/step-00000008/{name}.safetensors" for name in ("model", "optimizer")]
    assert sum(file.stat().st_size for file in files) == sizes.checkpoint
    remembered = sum(
        tensor.nbytes for key, tensor in runs.tensors("run").items() if key.partition("#")[2] not in ("", "step")
    )
    table = zero_table(found)
    assert table[0].memory is not None and table[0].memory.adam == remembered < 8 * sizes.trained
    assert [item.memory for item in table[1:]] == [None, None, None]
    again = planned(runs.file, *MUON, f"output={runs.folder / 'run'}")
    assert again.step == 8 and again.stages[1].sizes == sizes


def test_every_optimiser_of_a_run_is_one_object_with_one_table_of_states() -> None:
    bench = Bench()
    bench.step()
    assert isinstance(bench.optimizer, MuonAdamW)
    assert bench.optimizer.adamw.state is bench.optimizer.state
    assert set(bench.optimizer.state) == set(bench.named.values())
    groups = parameter_groups(bench.named.items(), 0.1, {})
    assert type(build_optimizer(groups, Optimization(), "fp32")) is torch.optim.AdamW
