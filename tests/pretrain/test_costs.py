"""What `kmask train --plan` says of a run is what the run then has: parameters, bytes, tokens, operations, memory."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from launch.settings.components import plain, read_config
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.costs import check_memory, costs, rate_of, zero_table
from pretrain.engine import Engine
from pretrain.feed.loading import BatchMaker
from pretrain.feed.sampling import Cursor, MicroBatchSpec
from pretrain.forward.loss import Loss
from pretrain.preflight import Place, Preflight, preflight
from pretrain.processes.world import World
from pretrain.setup import start_model
from pretrain.trainer import Trainer


def planned(file: Path, *overrides: str, processes: int = 1) -> Preflight:
    run = read_config(Run, file, list(overrides))
    return preflight(run, plain(run), Place(processes, 1))


def train(file: Path, world: World, *overrides: str) -> None:
    run = read_config(Run, file, list(overrides))
    Trainer(run, plain(run), world, lambda *_: None).train()


@pytest.mark.parametrize("average", [False, True], ids=["plain", "means of stage ends"])
def test_a_run_has_the_planned_parameters_bytes_tokens_and_operations(
    tiny_run: Path, tmp_path: Path, world: World, average: bool
) -> None:
    """Checkpoints in the middle of the second stage hold the weights with which it began, where ends are averaged."""
    settings = ["checkpoints={every: 1, keep: 20}", f"optimization.average_stages={average}", "evaluation.every=0"]
    before = planned(tiny_run, *settings)
    train(tiny_run, world, *settings)
    for step, stage in ((2, 0), (6, 1)):
        folder = tmp_path / f"run/checkpoints/step-{step:08d}"
        sizes = before.stages[stage].sizes
        assert sizes is not None
        files = [folder / f"{name}.safetensors" for name in ("model", "optimizer")]
        assert sum(file.stat().st_size for file in files) == sizes.checkpoint
        assert (sizes.begun > 0) == (average and stage == 1)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["event"] == "train"]
    whole = costs(before)
    assert whole.steps == 8 and whole.tokens == pytest.approx(trained[-1]["tokens"], rel=0.03)
    ends = [0.0, *(line["seconds"] for line in trained)]
    spent = [end - begin for begin, end in itertools.pairwise(ends)]
    done = sum(line["tflops"] * 1e12 * seconds for line, seconds in zip(trained, spent, strict=True))
    assert whole.flops == pytest.approx(done, rel=0.1)
    if average:  # a resume in the middle of the stage finds the same
        for step in (7, 8):
            folder = tmp_path / f"run/checkpoints/step-{step:08d}"
            folder.rename(tmp_path / folder.name)
        again = planned(tiny_run, *settings)
        assert again.step == 6 and again.stages[1].sizes == before.stages[1].sizes
        assert costs(again).steps == 2


@pytest.mark.parametrize("zero_stage", [0, 1])
def test_memory_is_that_of_the_tensors_of_an_engine(tiny_run: Path, world: World, zero_stage: int) -> None:
    setting = f"engine.zero_stage={zero_stage}"
    run = read_config(Run, tiny_run, [setting])
    corpus = Corpus(run=run)
    run = corpus.bound
    model, _, _ = start_model(run, corpus.tokenizer)
    maker = corpus.maker(run.stages[0], "train", run.masking)
    row, _ = next(iter(maker.streams.values())).next(Cursor())
    engine = Engine(model, run.engine, run.optimization, 1, 1, world, {})
    gradients: list[int] = []
    for parameter in engine.engine.module.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(lambda one: gradients.append(one.grad.nbytes))
    engine.train()
    engine.train_step([maker[MicroBatchSpec(0, [row], 0.0)]], dict.fromkeys(maker.objectives, 1.0), 1e-3, [1])
    tensors = [
        *engine.engine.module.parameters(),
        *(one for group in engine.adam.param_groups for one in group["params"]),
    ]
    weights = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    adam = [
        value.nbytes
        for state in engine.adam.state.values()
        for name, value in state.items()
        if name in ("exp_avg", "exp_avg_sq")
    ]
    engine.close()
    found = planned(tiny_run, setting).stages[0]
    (row_of_table,) = [item for item in zero_table(planned(tiny_run, setting, STAGE)) if item.stage == zero_stage]
    assert found.sizes is not None and row_of_table.memory is not None
    padding = 64 * len(engine.adam.param_groups)
    assert row_of_table.memory.weights == pytest.approx(sum(weights.values()), abs=2 * padding)
    assert row_of_table.memory.adam == pytest.approx(sum(adam), abs=2 * padding)
    if zero_stage == 0:
        assert row_of_table.memory.gradients == sum(gradients)


STAGE = "stages=[{name: one, steps: 4, tasks: {knowledge_masking: 1, span_boundary: 0}}]"
TASKS = (
    "tasks={knowledge_masking: {kind: knowledge_masking}, span_boundary: {kind: span_boundary}, "
    "electra: {kind: replaced_token_detection}, prefix: {kind: prefix_lm}}"
)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "tasks",
    [
        "{electra: 1}",
        "{knowledge_masking: 1, electra: 0}",
        "{knowledge_masking: 1, prefix: 1}",
        "{prefix: 1}",
        "{knowledge_masking: 1, span_boundary: 0}",
    ],
)
def test_activations_are_near_what_autograd_saves_whatever_is_encoded_again(
    tiny_run: Path, tasks: str, precision: str
) -> None:
    shape = "model={layers: 3, hidden: 256, heads: 4, max_positions: 64, dropout: 0.1}"
    stage, hidden = f"stages=[{{name: one, steps: 4, tasks: {tasks}}}]", "masking.corruption={mask: 1, random: 0}"
    overrides = [shape, TASKS, stage, hidden, "engine.zero_stage=0", f"engine.precision={precision}"]
    corpus = Corpus(run=read_config(Run, tiny_run, overrides))
    run = corpus.bound
    model, _, _ = start_model(run, corpus.tokenizer)
    maker = corpus.maker(run.stages[0], "train", run.masking)
    seen, predicted = saved(model, maker, precision)
    gradient = 4 * predicted * len(corpus.tokenizer.tokens)
    assert planned(tiny_run, *overrides).stages[0].activations == pytest.approx(seen + gradient, rel=0.15)


def saved(model: Any, maker: BatchMaker, precision: str) -> tuple[int, int]:
    """Bytes that autograd keeps of a row, and the positions at which words are predicted."""
    row, _ = next(iter(maker.streams.values())).next(Cursor())
    batch = maker[MicroBatchSpec(0, [row], 0.0)]
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        model(batch, {**dict.fromkeys(maker.objectives, 1.0), **dict.fromkeys(batch.counts, 1.0)})
    words = ("knowledge_masking", "span_boundary", "prefix", "electra/generator")
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()), sum(
        batch.counts.get(name, 0) for name in words
    )


def test_the_rate_is_given_or_measured_or_a_share_of_a_known_peak(tiny_run: Path) -> None:
    found = planned(tiny_run)
    lines = [{"event": "train", "tokens_per_second": float(rate)} for rate in range(100)]
    given, measured = rate_of(found, 5.0, lines), rate_of(found, 0.0, [*lines, {"event": "evaluation"}])
    assert given and given.tokens == 5.0 and "--rate" in given.why
    assert measured and measured.tokens == 89.5 and "the last 20 lines" in measured.why
    assert rate_of(found, 0.0, []) is None
    peaked = planned(tiny_run, "tracking.peak_tflops=2", processes=2)
    guess, whole = rate_of(peaked, 0.0, []), costs(peaked)
    assert guess and "a guess" in guess.why
    assert guess.tokens * whole.flops / whole.tokens == pytest.approx(0.4 * 2e12 * 2)
    assert whole.hours(guess) == pytest.approx(whole.flops / (0.4 * 2e12 * 2) / 3600)


def test_memory_that_cannot_suffice_is_refused_with_what_would_help(tiny_run: Path) -> None:
    found = planned(tiny_run, "engine.zero_stage=1", "batch.rows_per_process=2", processes=2)
    table = zero_table(found)
    assert [item.stage for item in table] == [0, 1, 2, 3] and all(item.memory for item in table)
    check_memory(found, table, table[1].total)
    with pytest.raises(ValueError, match=r"memory cannot suffice.*zero_stage 0 would fit; fewer rows at once"):
        check_memory(found, table, table[0].total)
    with pytest.raises(ValueError, match="more processes share"):
        check_memory(found, table, 1000.0)
    half = zero_table(planned(tiny_run, "engine.precision=bf16_parameters"))
    assert half[0].memory is None and half[0].total == 0 and half[1].total > 0


def test_a_loss_that_looks_at_its_numbers_is_told(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrain.objectives.span_boundary import SpanBoundary

    def looking(self: Any, encoding: Any, *_: Any) -> Loss:
        raise ValueError(float(encoding.hidden_TD().sum()))

    monkeypatch.setattr(SpanBoundary, "loss", looking)
    assert any("what task span_boundary encodes is not counted exactly" in note for note in planned(tiny_run).notes)
