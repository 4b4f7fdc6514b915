"""What only a GPU can show; skipped without one. `python -m pytest tests/gpu` runs all of it."""

from __future__ import annotations

import json
from pathlib import Path

import commands
import pytest
import torch
from hub_folders import hub_folder

from launch.settings.components import read_config
from pretrain.compiling import compile_layers
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.engine import Engine, join
from pretrain.feed.batch import Batch
from pretrain.feed.sampling import MicroBatchSpec, Sampler, micro_batches
from pretrain.model import PretrainingModel
from pretrain.network.encoder import encode
from pretrain.setup import build_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def test_variable_length_attention_equals_the_padded_reference(tiny_run: Path) -> None:
    run = read_config(Run, tiny_run, ["model.dropout=0", "model.hidden=128"])
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[1], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    batch = maker[MicroBatchSpec(0, rows, 0.0)]
    model = build_model(run, 1, corpus.tokenizer).eval()
    reference = encode(model.ernie, batch)
    device = torch.device("cuda")
    found = encode(model.to(device, torch.bfloat16).ernie, batch.to(device)).float().cpu()
    real = batch.grids.real_T
    assert torch.allclose(found[real], reference[real], atol=0.1)


def test_prefixes_on_a_gpu_equal_the_masked_reference_forwards_and_backwards(tiny_run: Path) -> None:
    run = read_config(Run, tiny_run, ["model.dropout=0", "model.hidden=128", "model.layers=2"])
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[1], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    batch = maker[MicroBatchSpec(0, rows, 0.0)]
    length_S = batch.grids.length_S
    shares = torch.tensor([0.0, 1.0, 0.3, 0.7]).repeat(len(length_S))[
        : len(length_S)
    ]  # causal, ordinary, and two between
    prefix_S = (shares * length_S).long()
    real = batch.grids.real_T
    model, device = build_model(run, 1, corpus.tokenizer).eval(), torch.device("cuda")
    table = model.ernie.embeddings.word_embeddings.weight
    reference = encode(model.ernie, batch, prefix_S=prefix_S)
    pull = torch.randn(reference.shape, generator=torch.Generator().manual_seed(0))
    (reference * pull)[real].sum().backward()
    expected = table.grad.clone()
    model.zero_grad()
    model.to(device, torch.bfloat16)
    found = encode(model.ernie, batch.to(device), prefix_S=prefix_S.to(device)).float()
    (found * pull.to(device))[real.to(device)].sum().backward()
    gradient = model.ernie.embeddings.word_embeddings.weight.grad.float().cpu()
    assert torch.allclose(found.cpu()[real].detach(), reference[real].detach(), atol=0.1)
    assert torch.nn.functional.cosine_similarity(gradient.flatten(), expected.flatten(), dim=0) > 0.99
    same = encode(model.ernie, batch.to(device), prefix_S=length_S.to(device)).float().cpu()
    assert torch.allclose(
        same[real].detach(), encode(model.ernie, batch.to(device)).float().cpu()[real].detach(), atol=0.02
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16", "bf16_parameters", "fp16"])
@pytest.mark.parametrize("zero_stage", [1, 2, 3])
def test_every_precision_trains_on_a_gpu(tiny_run: Path, tmp_path: Path, precision: str, zero_stage: int) -> None:
    output = tmp_path / "run"
    settings = [
        f"output={output}",
        f"engine.precision={precision}",
        f"engine.zero_stage={zero_stage}",
        "stages.0.steps=20",
        "stages.1.steps=4",
    ]
    done = commands.run("train", tiny_run, *settings, "--processes", 1, started=True)  # CUDA does not survive a fork
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss/knowledge_masking"] for line in lines if line["event"] == "train"]
    assert losses[-1] < losses[0]


def on_gpu(file: Path, *overrides: str) -> tuple[Run, PretrainingModel, list[Batch]]:
    """A run, its model and four batches, on the GPU."""
    run = read_config(Run, file, ["model.dropout=0", "model.hidden=128", "model.layers=2", *overrides])
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[1], "train", run.masking)
    specs = micro_batches(Sampler(streams=maker.streams, rows_per_step=1), {}, range(4), 4, 1, 0, 1, {})
    device = torch.device("cuda")
    return run, build_model(run, 1, corpus.tokenizer).to(device), [maker[spec].to(device) for spec in specs]


def test_a_step_at_zero_0_waits_for_nothing(tiny_run: Path) -> None:
    """Every wait of the processor for the GPU is an error here; the one at the end of a step is in stage.py."""
    run, model, batches = on_gpu(tiny_run, "engine={zero_stage: 0, precision: bf16}")
    engine = Engine(model, run.engine, run.optimization, 1, 1, join(run.engine), {})
    scales = [{name: 1.0 / max(count, 1) for name, count in batch.counts.items()} for batch in batches]
    engine.train_step(batches[:1], scales[0], 1e-4, [1])  # allocations and libraries of a first step wait
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch, scale in zip(batches[1:], scales[1:], strict=True):
            found = engine.train_step([batch], scale, 1e-4, [1])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in found)


def test_compiled_layers_equal_eager_ones_and_are_compiled_once_or_twice(tiny_run: Path) -> None:
    from torch._dynamo.utils import counters

    _, model, batches = on_gpu(tiny_run)
    with torch.autocast("cuda", torch.bfloat16):
        eager = [model(batch, dict.fromkeys(batch.counts, 1.0))[0] for batch in batches]
        torch._dynamo.reset()
        counters.clear()
        compile_layers(model)
        compiled = [model(batch, dict.fromkeys(batch.counts, 1.0))[0] for batch in batches]
    for one, other in zip(eager, compiled, strict=True):
        assert torch.allclose(one, other, rtol=2e-2)
    assert 1 <= counters["stats"]["unique_graphs"] <= 2 and not counters["graph_break"]


def test_the_vocabulary_is_made_up_to_a_multiple_of_64(tiny_run: Path) -> None:
    _, model, _ = on_gpu(tiny_run)
    head = model.heads["knowledge_masking"]
    logits = head(torch.randn(3, 128, device="cuda"))
    words = model.config.vocab_size
    assert logits.shape[1] % 64 == 0 and logits.shape[1] - words < 64
    assert bool(torch.isinf(logits[:, words:]).all()) and int(logits.argmax(-1).max()) < words


def test_layers_that_see_a_window_equal_the_masked_reference(tiny_run: Path, prepared: Path, tmp_path: Path) -> None:
    hub_folder(tmp_path / "modern", "modernbert", prepared / "tokenizer", hidden_size=64, intermediate_size=96)
    run = read_config(Run, tiny_run, ["model.dropout=0", f"model.path={tmp_path / 'modern'}"])
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[1], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    batch = maker[MicroBatchSpec(0, rows, 0.0)]
    model = build_model(run, 1, corpus.tokenizer).eval()
    reference = encode(model.ernie, batch)
    device, real = torch.device("cuda"), batch.grids.real_T
    found = encode(model.to(device, torch.bfloat16).ernie, batch.to(device)).float().cpu()
    assert torch.allclose(found[real], reference[real], atol=0.1 * float(reference.abs().max()))
