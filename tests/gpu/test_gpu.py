"""What only a GPU can show; skipped without one. `python -m pytest tests/gpu` runs all of it."""

from __future__ import annotations

import json
from pathlib import Path

import commands
import pytest
import torch

from launch.settings.components import read_config
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.sampling import MicroBatchSpec, Sampler
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
