"""What a training step is made of: decoder, losses over the vocabulary, rates by layer, the end of a step at ZeRO 0,
compiled layers, activations computed again."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import nn

from launch.settings.components import read_config
from launch.settings.yaml_files import ConfigError
from pretrain import compiling
from pretrain.compiling import compile_layers, with_compilation
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.batch import Batch
from pretrain.feed.sampling import Sampler, micro_batches
from pretrain.forward import loss as losses
from pretrain.forward.loss import cross_entropy, hits, over_vocabulary
from pretrain.model import PretrainingModel
from pretrain.network.decoder import Decoder, aligned
from pretrain.network.encoder import Model, encode, keep_less, slow_attention
from pretrain.optimization import layer_factors, parameter_groups
from pretrain.processes.garbage import scheduled_garbage
from pretrain.processes.world import World
from pretrain.settings import DeepSpeed
from pretrain.settled import tight_rows
from pretrain.setup import build_model
from pretrain.unsharded import Gradients

ALONE = World(0, 1, torch.device("cpu"))


class Head(nn.Module):
    """The smallest head over a vocabulary."""

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.decoder = Decoder(width, words)

    def forward(self, states_MD: torch.Tensor) -> torch.Tensor:
        """Logits."""
        found: torch.Tensor = self.decoder(states_MD)
        return found


def test_rows_added_for_a_gpu_change_neither_loss_nor_gradients() -> None:
    states, label = torch.randn(9, 16), torch.randint(0, 70, (9,))
    found = []
    for multiple in (1, 64):
        decoder = Decoder(16, 70)
        torch.manual_seed(3)
        nn.init.normal_(decoder.weight)
        nn.init.normal_(decoder.bias)
        mine = states.clone().requires_grad_()
        logits = aligned(mine, decoder.weight, decoder.bias, multiple)
        assert logits.shape == (9, 70 if multiple == 1 else 128)
        assert logits.argmax(-1).max() < 70
        loss = cross_entropy(logits, label)
        loss.per_target.sum().backward()
        assert mine.grad is not None and decoder.weight.grad is not None and decoder.bias.grad is not None
        found.append((loss.per_target, mine.grad, decoder.weight.grad, decoder.bias.grad))
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape and torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 4, 9])
def test_a_loss_in_parts_is_the_loss_at_once(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    head, label = Head(16, 50), torch.randint(0, 50, (9,))
    group = torch.arange(9) % 2
    states = torch.randn(9, 16)
    found = []
    for bound in (1 << 40, rows * 50 * losses.BYTES_A_LOGIT):
        monkeypatch.setattr(losses, "LOGIT_BYTES", bound)
        mine = states.clone().requires_grad_()
        head.zero_grad()
        made = over_vocabulary(head, [mine], label, group)
        (made.per_target * torch.arange(1.0, 10)).sum().backward()
        assert made.group is group and mine.grad is not None and head.decoder.weight.grad is not None
        found.append((made.per_target, made.correct, mine.grad, head.decoder.weight.grad.clone()))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_no_more_logits_are_there_at_once_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    head = Head(16, 50)
    seen: list[int] = []
    head.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    monkeypatch.setattr(losses, "LOGIT_BYTES", 3 * 50 * losses.BYTES_A_LOGIT)
    over_vocabulary(
        head, [torch.randn(10, 16, requires_grad=True)], torch.zeros(10, dtype=torch.long)
    ).per_target.sum().backward()
    assert max(seen) == 3 and sum(seen) == 20  # forwards, and again for the gradient


def test_equal_logits_of_half_precision_share_the_hit() -> None:
    logits = torch.tensor([[1.0, 2.0, 2.0, 0.0], [3.0, 1.0, 1.0, 0.0], [1.0, 2.0, 2.0, 2.0]], dtype=torch.bfloat16)
    assert hits(logits, torch.tensor([2, 0, 0])).tolist() == [0.5, 1.0, 0.0]
    assert hits(logits, torch.tensor([1, 1, 3])).tolist() == [0.5, 0.0, pytest.approx(1 / 3)]
    assert hits(logits.float(), torch.tensor([1, 0, 1])).tolist() == [True, True, True]


def test_rates_fall_from_the_heads_down_to_the_embeddings() -> None:
    names = [
        "ernie.embeddings.word_embeddings.weight",
        "ernie.encoder.layer.0.output.dense.weight",
        "ernie.encoder.layer.10.output.dense.weight",
        "ernie.encoder.layer.11.output.dense.weight",
        "ernie.pooler.dense.weight",
        "heads.knowledge_masking.bias",
    ]
    found = layer_factors(iter(names), 0.9)
    assert [found.get(name, 1.0) for name in names] == pytest.approx([0.9**13, 0.9**12, 0.9**2, 0.9, 1.0, 1.0])
    assert layer_factors(names, 1.0) == {}
    parameters = [(name, nn.Parameter(torch.zeros(2, 2))) for name in names]
    groups = parameter_groups(parameters, 0.01, {}, found)
    assert {group["factor"] for group in groups} == {1.0, *found.values()}


def gradients(values: list[list[float]]) -> tuple[list[nn.Parameter], torch.optim.AdamW]:
    """Parameters with these gradients (none for an empty list), and their optimiser."""
    parameters = [nn.Parameter(torch.ones(max(1, len(value)))) for value in values]
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = torch.tensor(value) if value else None
    return parameters, torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.0, fused=True)


@pytest.mark.parametrize("clip", [0.0, 1.0, 10.0])
def test_gradients_are_measured_and_clipped_as_torch_does(clip: float) -> None:
    parameters, adam = gradients([[3.0, 0.0], [], [0.0, 4.0]])
    others, _ = gradients([[3.0, 0.0], [0.0], [0.0, 4.0]])
    norm, applied = Gradients(parameters, adam, clip).finish(ALONE)
    assert float(norm) == 5.0 and float(applied) == 1.0
    if clip:
        nn.utils.clip_grad_norm_(others, clip)
    for one, other in zip(parameters, others, strict=True):
        assert one.grad is not None and other.grad is not None and torch.allclose(one.grad, other.grad)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_step_with_bad_gradients_changes_nothing_and_counts_nothing(bad: float) -> None:
    parameters, adam = gradients([[1.0, 1.0], [2.0]])
    ends = Gradients(parameters, adam, 1.0)
    ends.finish(ALONE)
    adam.step()
    before = [parameter.detach().clone() for parameter in parameters]
    moments = [adam.state[parameter]["exp_avg"].clone() for parameter in parameters]
    parameters[0].grad = torch.tensor([bad, 1.0])
    parameters[1].grad = torch.tensor([1.0])
    norm, applied = ends.finish(ALONE)
    adam.step()
    assert not math.isfinite(float(norm)) and float(applied) == 0.0
    assert all(torch.equal(one, other) for one, other in zip(parameters, before, strict=True))
    for parameter, moment in zip(parameters, moments, strict=True):
        assert torch.equal(adam.state[parameter]["exp_avg"], moment) and float(adam.state[parameter]["step"]) == 1.0
    parameters[0].grad, parameters[1].grad = torch.ones(2), torch.ones(1)
    ends.finish(ALONE)
    adam.step()
    assert float(adam.state[parameters[0]]["step"]) == 2.0 and not torch.equal(parameters[0], before[0])


Made = tuple[Run, Callable[[], PretrainingModel], list[Batch]]


@pytest.fixture
def made(tiny_run: Path) -> Made:
    """A run, what makes its model, and 20 batches."""
    run = read_config(Run, tiny_run, ["model.dropout=0", "model.layers=2", "batch.rows_per_step=1"])
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[1], "train", run.masking)
    specs = micro_batches(Sampler(streams=maker.streams, rows_per_step=1), {}, range(20), 20, 1, 0, 1, {})
    return run, lambda: build_model(run, 1, corpus.tokenizer), [maker[spec] for spec in specs]


def test_compiled_layers_compute_the_same_and_meet_few_shapes(made: Made) -> None:
    """The graphs that a GPU's compiler would get, run as they are: no compiler is needed here."""
    from torch._dynamo.utils import counters

    _, model, batches = made
    plain, compiled = model(), model()
    torch._dynamo.reset()
    counters.clear()
    compile_layers(compiled, "aot_eager")
    assert [name for name, _ in compiled.named_parameters()] == [name for name, _ in plain.named_parameters()]
    for batch in batches:
        scale = {name: 1.0 / max(count, 1) for name, count in batch.counts.items()}
        found = []
        for one in (plain, compiled):
            one.zero_grad()
            loss, _ = one(batch, scale)
            loss.backward()
            found.append((loss.detach(), {name: p.grad for name, p in one.named_parameters() if p.grad is not None}))
        assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
        assert all(torch.allclose(gradient, found[1][1][name], atol=1e-6) for name, gradient in found[0][1].items())
    assert 1 <= counters["stats"]["unique_graphs"] <= 2 and not counters["graph_break"]


def test_activations_computed_again_are_the_same(made: Made) -> None:
    _, model, batches = made
    plain, again = model(), model()
    keep_less(again.ernie)  # type: ignore[arg-type]
    kept: list[int] = []
    for one in (plain, again):
        sizes: list[int] = []

        def pack(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            states = encode(one.ernie.train(), batches[0])
        kept.append(sum(sizes))
        states.square().sum().backward()
    assert kept[1] < kept[0] / 2
    others = dict(again.named_parameters())
    for name, parameter in plain.named_parameters():
        if parameter.grad is not None:
            gradient = others[name].grad
            assert gradient is not None and torch.allclose(parameter.grad, gradient, atol=1e-6)


def test_a_missing_compiler_is_one_line_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    found, notes = with_compilation(DeepSpeed(compile="on"), ALONE)
    assert found.compile == "off" and len(notes) == 1 and "there is no C++ compiler" in notes[0]
    monkeypatch.setattr(compiling, "missing", lambda gpu: "")
    assert with_compilation(DeepSpeed(compile="on"), ALONE) == (DeepSpeed(compile="on"), [])
    assert with_compilation(DeepSpeed(), ALONE)[0].compile == "off"  # on a processor it gains nothing
    gpu = mock.Mock(device=torch.device("cuda"), any=bool)
    for settings, expected in (
        (DeepSpeed(), "on"),
        (DeepSpeed(zero_stage=3), "off"),
        (DeepSpeed(activation_checkpointing=True), "off"),
    ):
        assert with_compilation(settings, gpu)[0].compile == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("engine.compile=maybe", "compile: 'maybe' is not one of auto, on, off"),
        ("engine={compile: 'on', zero_stage: 3}", "compile: on is not possible with zero_stage 3"),
        (
            "engine={compile: 'on', activation_checkpointing: true}",
            "compile: on is not possible with activation_checkpointing",
        ),
        ("optimization.layer_decay=0", r"layer_decay: 0(.0)? must lie in \(0, 1\]"),
    ],
)
def test_settings_of_the_step_that_cannot_be_are_refused(tiny_run: Path, override: str, message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=message):
        read_config(Run, tiny_run, [override])


def test_dropout_of_attention_on_a_gpu_is_told() -> None:
    assert slow_attention(Model(attention_dropout=0.1), torch.device("cuda"))[0].startswith("attention_dropout 0.1: ")
    assert slow_attention(Model(attention_dropout=0.1), torch.device("cpu")) == []
    assert slow_attention(Model(), torch.device("cuda")) == []


def test_rows_with_room_for_fewer_tokens_than_are_hidden_are_told(tiny_run: Path) -> None:
    def notes(*overrides: str) -> list[str]:
        return tight_rows(read_config(Run, tiny_run, list(overrides)))

    assert notes() == notes("masking.budget.row_targets=39") == []  # 0.15 of 256 is 38.4
    assert notes("masking.budget.row_targets=38")[0].startswith("masking: budget.row_targets 38 is less than 38 tokens")
    assert "77 tokens" in notes("masking.budget={row_targets: 39, final_rate: 0.3}")[0]


def test_no_search_for_garbage_happens_within_a_stage() -> None:
    searched: list[str] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        searched.append(phase)

    assert gc.isenabled()
    with scheduled_garbage():
        gc.callbacks.append(note)
        try:
            kept = [[number] for number in range(5000)]
        finally:
            gc.callbacks.remove(note)
        assert len(kept) == 5000 and not searched and not gc.isenabled()
    assert gc.isenabled() and gc.get_freeze_count() == 0
