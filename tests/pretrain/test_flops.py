"""The counted operations are those that torch counts of a real model, but for attention, padding and rounding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from launch.settings.components import read_config
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.batch import Batch
from pretrain.feed.loading import BatchMaker
from pretrain.feed.sampling import Cursor, MicroBatchSpec
from pretrain.flops import observe, work
from pretrain.meter import Meter, peak_memory, stage_work
from pretrain.model import PretrainingModel
from pretrain.peaks import peak_of, peak_tflops
from pretrain.processes.world import World
from pretrain.setup import start_model
from pretrain.step_batches import Counts

CASES = {
    "shared": [],
    "again": ["tasks.prefix={kind: prefix_lm}", "stages.1.tasks.prefix=1"],
    "never shared": [
        "tasks.prefix={kind: prefix_lm}",
        "stages=[{name: one, steps: 4, tasks: {knowledge_masking: 1}}, {name: two, steps: 4, tasks: {prefix: 1}}]",
    ],
    "a second encoder": [
        "tasks.electra={kind: replaced_token_detection}",
        "stages.1.tasks.electra=1",
        "masking.corruption={mask: 1, random: 0}",
    ],
}
ENCODINGS = {"shared": 1, "again": 2, "never shared": 1, "a second encoder": 3}


def made(file: Path, overrides: list[str]) -> tuple[PretrainingModel, PretrainingModel, BatchMaker, Batch]:
    """The model of the second stage, the same as shapes, and a batch with a row of every stream."""
    corpus = Corpus(run=read_config(Run, file, overrides))
    run = corpus.bound
    model, _, _ = start_model(run, corpus.tokenizer, 1)
    with torch.device("meta"):
        shapes, _, _ = start_model(run, corpus.tokenizer, 1)
    maker = corpus.maker(run.stages[1], "train", run.masking)
    rows = [stream.next(Cursor())[0] for stream in maker.streams.values()]
    return model, shapes, maker, maker[MicroBatchSpec(0, rows, 0.0)]


def counted(model: PretrainingModel, maker: BatchMaker, batch: Batch) -> float:
    """What torch counts of a forward and a backward pass, without attention."""
    scale = dict.fromkeys(batch.counts, 1.0)
    with FlopCounterMode(display=False) as counter:
        loss, _ = model(batch, {**dict.fromkeys(maker.objectives, 1.0), **scale})
        loss.backward()  # type: ignore[no-untyped-call]
    found = counter.get_flop_counts()["Global"].items()
    return float(sum(count for operation, count in found if str(operation) in ("aten.mm", "aten.addmm")))


@pytest.mark.parametrize("case", CASES)
def test_the_operations_are_those_that_torch_counts(tiny_run: Path, case: str) -> None:
    """Not counted: that transformers pools the first token of a batch in every pass, which nobody reads."""
    model, shapes, maker, batch = made(tiny_run, CASES[case])
    seen = observe(shapes, batch, list(maker.objectives))
    assert len(seen.encodings) == ENCODINGS[case] and not seen.unknown
    found = work(seen, batch)
    torch_counts = counted(model, maker, batch)
    assert found.of(batch.input_ids.numel(), 0, batch.counts) == pytest.approx(torch_counts, rel=3e-4)


def test_the_formula_is_the_published_one(tiny_run: Path) -> None:
    """6 x 12 L h^2 a token, 12 L h a pair, 6 (h^2 + h V) a target of masked language modelling."""
    stage = "stages=[{name: one, steps: 8, tasks: {knowledge_masking: 1}}]"
    run = read_config(Run, tiny_run, [stage, "model={layers: 3, hidden: 48, heads: 4, max_positions: 64}"])
    corpus = Corpus(run=run)
    model, _, _ = start_model(run, corpus.tokenizer)
    maker = corpus.maker(run.stages[0], "train", run.masking)
    found = stage_work(maker, model.config.to_dict(), 1)
    words = len(corpus.tokenizer.tokens)
    assert found.token == 6 * 3 * 12 * 48**2 and found.pair == 12 * 3 * 48
    assert found.targets == {"knowledge_masking": 6 * (48**2 + 48 * words)}


def test_a_loss_that_looks_at_its_numbers_is_counted_as_one_shared_pass(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrain.objectives.span_boundary import SpanBoundary

    _, shapes, maker, batch = made(tiny_run, [])
    usual = work(observe(shapes, batch, list(maker.objectives)), batch)
    original = SpanBoundary.loss

    def looking(self, encoding, batch, targets, head):  # type: ignore[no-untyped-def]
        assert float(encoding.hidden_TD().sum()) != 0
        return original(self, encoding, batch, targets, head)

    monkeypatch.setattr(SpanBoundary, "loss", looking)
    for tasks in (["knowledge_masking", "span_boundary"], ["span_boundary", "knowledge_masking"]):
        seen = observe(shapes, batch, tasks)
        assert seen.unknown == ["span_boundary"] and len(seen.encodings) == 1
        found = work(seen, batch)
        assert {task: found.targets[task] for task in tasks} == {task: usual.targets[task] for task in tasks}


def test_a_batch_knows_its_pairs(tiny_run: Path) -> None:
    *_, batch = made(tiny_run, [])
    lengths = batch.grids.length_S
    assert batch.pairs == int((lengths**2).sum()) and batch.real_tokens == int(lengths.sum())


def test_a_line_tells_operations_a_process_and_their_share_of_the_peak(tiny_run: Path) -> None:
    model, _, maker, _ = made(tiny_run, ["tracking.peak_tflops=2"])
    run = read_config(Run, tiny_run, ["tracking.peak_tflops=2"])
    meter = Meter(run, World(0, 4, torch.device("cpu")), maker, model.config.to_dict())
    step = Counts({"knowledge_masking": 10.0}, 100.0, 10.0, 90.0, 0.0, 1000.0, 128.0, False)
    assert meter.work and meter.operations(step) == meter.work.of(100.0, 1000.0, step.targets) > 0
    found = meter.values({"flops": 8e12, "seconds": 2.0})
    assert found.pop("memory_gib") > 0.05
    assert found == {"tflops": 1.0, "mfu": 0.5}
    unknown = Meter(read_config(Run, tiny_run, []), World(0, 1, torch.device("cpu")), maker, model.config.to_dict())
    assert unknown.values({"flops": 8e12, "seconds": 2.0}).keys() == {"memory_gib", "tflops"}


def test_shapes_that_cannot_be_counted_leave_figures_out_and_end_no_run(tiny_run: Path) -> None:
    _, _, maker, _ = made(tiny_run, [])
    meter = Meter(read_config(Run, tiny_run, []), World(0, 1, torch.device("cpu")), maker, {"hidden_size": "odd"})
    step = Counts({}, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, False)
    assert meter.operations(step) == 0 and meter.values({"flops": 0.0, "seconds": 1.0}).keys() == {"memory_gib"}


def test_peaks_are_found_by_whole_words_of_a_name() -> None:
    names = {
        "NVIDIA H200": 989.0,
        "NVIDIA H100 80GB HBM3": 989.0,
        "NVIDIA H100 PCIe": 756.0,
        "NVIDIA A100-SXM4-80GB": 312.0,
        "NVIDIA A10": 125.0,
        "NVIDIA L4": 121.0,
        "NVIDIA GeForce RTX 4090": 165.2,
        "NVIDIA RTX A3000": None,
        "NVIDIA T400": None,
        "Radeon": None,
    }
    assert {name: peak_tflops(name) for name in names} == names
    assert peak_of(0.0, "bf16", torch.device("cpu")) is None and peak_of(3.0, "fp32", torch.device("cpu")) == 3.0


def test_memory_is_that_of_the_process() -> None:
    held = torch.ones(50_000_000)
    assert peak_memory(torch.device("cpu")) > held.numel() * 4 / 2**30
