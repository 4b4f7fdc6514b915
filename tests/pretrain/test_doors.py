"""What objectives of other families need: toy tasks (toys/) that encode again, hold a second encoder, and train one
after the other."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commands
import pytest
import torch
from test_training import assert_same_weights, saved, train, values, wait_for_no_rank
from tiny import TINY_RUN

from launch.settings.components import plain, read_config
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.batch import Batch
from pretrain.feed.sampling import MicroBatchSpec, Sampler
from pretrain.model import PretrainingModel
from pretrain.network.encoder import encode, packed_attention
from pretrain.network.prefix import prefix_of, variable_length
from pretrain.preflight import Place, Preflight, preflight
from pretrain.setup import build_model

Kmask = Callable[..., subprocess.CompletedProcess[str]]
TOYS = """\
tasks:
  prefix: {kind: toys.prefix_language}
  replaced: {kind: toys.replaced_tokens}
stages:
  - {name: one, steps: 4, tasks: {prefix: 1}}
  - {name: two, tasks: {replaced: {iterations: 4}}}
"""


@pytest.fixture
def toy_run(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two toy tasks, one after the other, without knowledge masking."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    head, _, rest = TINY_RUN.format(output=tmp_path / "run", data=prepared).partition("tasks:\n")
    file = tmp_path / "toys.yaml"
    file.write_text(head + TOYS + "batch:" + rest.partition("batch:")[2], encoding="utf-8")
    return file


def made(file: Path, *overrides: str, stage: int = 0) -> tuple[Run, PretrainingModel, Batch]:
    """The run, its model in evaluation, and a batch of four rows."""
    run = read_config(Run, file, ["model.dropout=0", *overrides])
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[stage], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    return run, build_model(run, stage, corpus.tokenizer).eval(), maker[MicroBatchSpec(0, rows, 0.0)]


def spans(batch: Batch) -> list[tuple[int, int]]:
    """Start and length of every sample."""
    return [
        (int(start), int(length)) for start, length in zip(batch.cls_positions_S, batch.grids.length_S, strict=True)
    ]


def dense(model: PretrainingModel, batch: Batch, start: int, length: int, prefix: int) -> torch.Tensor:
    """States (length, D) of one sample alone, layer by layer, with its mask written out pair by pair."""
    ernie: Any = model.ernie
    piece = {
        name: getattr(batch, name)[:, start : start + length]
        for name in ("input_ids", "position_ids", "token_type_ids", "task_type_ids")
    }
    hidden = ernie.embeddings(**piece)[0]
    visible = torch.tensor([[key < prefix or key <= query for key in range(length)] for query in range(length)])
    heads = model.config.num_attention_heads
    for layer in ernie.encoder.layer:
        parts = [
            linear(hidden).view(length, heads, -1).transpose(0, 1)
            for linear in (layer.attention.self.query, layer.attention.self.key)
        ]
        value = layer.attention.self.value(hidden).view(length, heads, -1).transpose(0, 1)
        scores = (parts[0] @ parts[1].transpose(1, 2) / parts[0].shape[-1] ** 0.5).masked_fill(~visible, -torch.inf)
        mixed = (scores.softmax(-1) @ value).transpose(0, 1).reshape(length, -1)
        middle = layer.attention.output(mixed, hidden)
        hidden = layer.output(layer.intermediate(middle), middle)
    return hidden  # type: ignore[no-any-return]


@torch.no_grad()
def test_prefixes_of_any_length_equal_a_slow_dense_reference(tiny_run: Path) -> None:
    _, model, batch = made(tiny_run, "model.layers=2")
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)
    samples = spans(batch)
    lengths = torch.tensor([length for _, length in samples])
    prefix_S = (torch.rand(len(samples)) * (lengths + 1)).long()
    prefix_S[0], prefix_S[1], prefix_S[2] = 0, lengths[1], lengths[2] + 9
    found = encode(model.ernie, batch, prefix_S=prefix_S)
    for (start, length), prefix in zip(samples, prefix_S.tolist(), strict=True):
        assert torch.allclose(found[start : start + length], dense(model, batch, start, length, prefix), atol=2e-6)


@torch.no_grad()
def test_ordinary_samples_are_bitwise_what_they_were_and_later_tokens_change_nothing_before_them(
    tiny_run: Path,
) -> None:
    _, model, batch = made(tiny_run, "model.layers=2")
    samples = spans(batch)
    ordinary = encode(model.ernie, batch)
    prefix_S = torch.tensor([length if index % 2 else length // 2 for index, (_, length) in enumerate(samples)])
    mixed = encode(model.ernie, batch, prefix_S=prefix_S)
    changed = batch.input_ids[0].clone()
    places = {}
    for index, (start, length) in enumerate(samples):
        if not index % 2 and length > 6:
            places[index] = start + (3 * length) // 4
            changed[places[index]] = 7 if changed[places[index]] != 7 else 8
    again = encode(model.ernie, batch, changed, prefix_S)
    assert places
    for index, (start, length) in enumerate(samples):
        whole = slice(start, start + length)
        if index % 2:
            assert torch.equal(mixed[whole], ordinary[whole]) and torch.equal(again[whole], ordinary[whole])
        elif index in places:
            before, at = slice(start, places[index]), places[index]
            assert not torch.equal(mixed[whole], ordinary[whole])
            assert torch.equal(again[before], mixed[before]) and not torch.equal(again[at], mixed[at])


def lower_right(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_q: torch.Tensor,
    cu_k: torch.Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float,
    **rest: Any,
) -> torch.Tensor:
    """What flash attention computes over stretches: causal masks are aligned to the lower right corner."""
    found, window = torch.zeros_like(query), rest.get("window_size", (-1, -1))
    assert (
        cu_q.dtype == cu_k.dtype == torch.int32
        and len(cu_q) == len(cu_k)
        and int(cu_q[-1]) == len(query)
        and int(cu_k[-1]) == len(key)
    )
    for (a, b), (c, d) in zip(itertools.pairwise(cu_q.tolist()), itertools.pairwise(cu_k.tolist()), strict=True):
        assert b - a <= max_q and d - c <= max_k
        scores = torch.einsum("qhe,khe->hqk", query[a:b], key[c:d]) * scale
        if window == (-1, 0):
            scores = scores.masked_fill(~torch.ones(b - a, d - c).tril(d - c - (b - a)).bool(), -torch.inf)
        found[a:b] = torch.einsum("hqk,khe->qhe", scores.softmax(-1), value[c:d])
    return found


@torch.no_grad()
def test_the_calls_for_a_gpu_compute_what_the_mask_does(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their kernel is replaced by a slow one of its documented meaning; tests/gpu compares the real one."""
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", lower_right)
    _, _, batch = made(tiny_run)
    lengths = batch.grids.length_S
    query, key, value = (torch.randn(1, 2, batch.input_ids.numel(), 8) for _ in range(3))
    for prefix_S in (lengths // 2, lengths * 0, lengths, torch.arange(len(lengths)) % 9):
        prefix = prefix_of(batch, prefix_S)
        flat = [tensor[0].transpose(0, 1).contiguous() for tensor in (query, key, value)]
        found = variable_length(batch, prefix, flat[0], flat[1], flat[2], 0.3)
        expected, _ = packed_attention(
            torch.nn.Identity(), query, key, value, None, scaling=0.3, packed=batch, prefix=prefix
        )
        real = batch.grids.real_T
        assert torch.allclose(found[real], expected[0][real], atol=1e-6)


def test_ids_and_prefixes_of_another_number_are_refused(tiny_run: Path) -> None:
    _, model, batch = made(tiny_run)
    for arguments, message in (
        ({"input_ids": torch.zeros(5, dtype=torch.long)}, "5 ids were given for 1024 positions"),
        ({"prefix_S": torch.zeros(2, dtype=torch.long)}, r"prefix_S: \(2,\) lengths were given for"),
        ({"prefix_S": -torch.ones(len(spans(batch)), dtype=torch.long)}, "prefix_S: -1 must be 0 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            encode(model.ernie, batch, **arguments)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("name", r"task 'prefix' ties decoder\.weight of its head to ernie\.embeddings\.words\.weight: .*words"),
        ("shape", r"task 'prefix' ties decoder\.weight of shape \(\d+, 32\) to ernie\.\S+ of shape \(64, 32\)"),
        ("other", r"task 'prefix' ties decoder\.weight to 'heads\.other\.weight'; it must be a parameter of ernie"),
    ],
)
def test_a_tie_that_cannot_be_is_refused_with_the_name_of_the_task(toy_run: Path, fault: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(toy_run, f"tasks.prefix.fault={fault}")


def test_a_group_that_does_not_exist_ends_training_with_the_name_of_the_task(kmask: Kmask, toy_run: Path) -> None:
    done = kmask("train", toy_run, "tasks.prefix.fault=group", "evaluation.every=0", "--processes", 1)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "task 'prefix': its loss puts" in done.stderr and "(0 first, 1 later)" in done.stderr


def test_a_loss_without_the_groups_that_its_task_names_is_refused(toy_run: Path) -> None:
    _, model, batch = made(toy_run, "tasks.prefix.fault=no_group")
    with pytest.raises(
        ValueError, match="task 'prefix': its loss gives its targets no group, and `groups` names first, later"
    ):
        model(batch, {"prefix": 1.0})


def test_factors_weigh_what_is_minimised_and_leave_the_figures_as_they_are(toy_run: Path) -> None:
    totals, stats = [], []
    for factor in (1.0, 3.0):
        _, model, batch = made(toy_run, f"tasks.replaced.detection={factor}", stage=1)
        torch.manual_seed(1)
        total, found = model(batch, {"replaced": 1.0})
        totals.append(float(total.detach()))
        stats.append(found)
    assert torch.equal(stats[0], stats[1])
    generated, detected = float(stats[0][1, 0]), float(stats[0][2, 0])
    assert totals == pytest.approx([generated + detected, generated + 3 * detected])


def test_a_second_encoder_shares_the_words_of_the_model_where_it_is_as_wide_and_is_initialised_by_name(
    toy_run: Path,
) -> None:
    _, narrow, _ = made(toy_run, stage=1)
    _, wide, batch = made(toy_run, "tasks.replaced.width=32", stage=1)
    _, seed, _ = made(
        toy_run, "tasks.replaced.width=32", "stages.0.tasks={replaced: 1}", "stages.1.tasks={prefix: {iterations: 1}}"
    )
    names = dict(narrow.named_parameters())
    assert (
        "heads.replaced.generator.embeddings.word_embeddings.weight" in names
        and "heads.replaced.prediction.decoder.weight" not in names
    )
    shared: Any = wide.heads["replaced"]
    assert shared.generator.embeddings.word_embeddings.weight is wide.ernie.embeddings.word_embeddings.weight  # type: ignore[union-attr]
    assert not [
        name for name, _ in wide.named_parameters() if name.startswith("heads.replaced.generator.embeddings.word")
    ]
    ours = {name: parameter for name, parameter in seed.named_parameters() if name.startswith("heads.replaced.")}
    assert (
        all(torch.equal(parameter, dict(wide.named_parameters())[name]) for name, parameter in ours.items())
        and len(ours) > 20
    )
    total, _ = wide(batch, {"prefix": 0.0, "replaced": 1.0} if "prefix" in batch.targets else {"replaced": 1.0})
    total.backward()
    assert all(parameter.grad is not None for parameter in shared.parameters())


def test_a_dry_run_counts_a_second_encoder(toy_run: Path) -> None:
    def planned(*overrides: str) -> Preflight:
        run = read_config(Run, toy_run, [*overrides, "engine.zero_stage=0"])
        return preflight(run, plain(run), Place(1, 1))

    found = planned()
    _, model, _ = made(toy_run, stage=1)
    sizes = found.stages[1].sizes
    assert sizes is not None and sizes.heads["replaced"] == sum(
        parameter.numel() for parameter in model.heads["replaced"].parameters()
    )
    assert sizes.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert [(stage.steps, [(task.name, task.rows) for task in stage.tasks]) for stage in found.stages] == [
        (4, [("prefix", 16)]),
        (4, [("replaced", 16)]),
    ]
    assert found.stages[1].activations < planned("tasks.replaced.width=64").stages[1].activations


@pytest.mark.parametrize("zero_stage", [0, 3])
def test_tasks_one_after_the_other_train_on_two_ranks_as_on_one_and_a_killed_run_continues_bitwise(
    kmask: Kmask, toy_run: Path, tmp_path: Path, zero_stage: int
) -> None:
    """A kill in the second stage, whose task has a generator."""
    settings = [
        *(f"engine.zero_stage={zero_stage}", "checkpoints.keep=100", "evaluation.every=5"),
        "stages.1.tasks.replaced.iterations=6",
    ]
    for name, processes in (("single", 1), ("double", 2)):
        train(kmask, toy_run, tmp_path / name, *settings, processes=processes)
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("single", "double")
    )
    saves = [sorted(line["step"] for line in lines if line["event"] == "checkpoint") for lines in (one, two)]
    assert saves[0] == saves[1]  # when they are told hangs on the clock
    one, two = ([line for line in lines if line["event"] != "checkpoint"] for lines in (one, two))
    assert [(line["event"], line["step"]) for line in one] == [(line["event"], line["step"]) for line in two]
    trained = [line for line in one if line["event"] == "train"]
    assert (
        ["loss/prefix" in line for line in trained]
        == [True] * 4 + [False] * 6
        == ["loss/replaced" not in line for line in trained]
    )
    assert (
        trained[3]["loss/prefix"] < trained[0]["loss/prefix"]
        and trained[7]["loss/replaced/generator"] < trained[4]["loss/replaced/generator"]
    )
    assert {"accuracy/prefix/first", "accuracy/prefix/later", "targets/prefix/first"} <= trained[0].keys()
    names = [name for name in one[-1] if name.startswith(("loss/", "targets/"))]
    for left, right in zip(one, two, strict=True):
        assert all(abs(left[name] - right[name]) < 1e-4 for name in names if name in left)
    measured = [line for line in one if line["event"] == "evaluation"]
    assert "loss/prefix" in measured[0] and "loss/replaced" not in measured[0]
    assert measured[-1]["at"] == "end" and {"loss/replaced/detector", "loss/prefix"} <= measured[-1].keys()
    killed = tmp_path / "killed"
    start = ("train", toy_run, f"output={killed}", *settings, "--processes", 2)
    commands.killed(*start, when=lambda: saved(killed, 6))
    assert wait_for_no_rank(killed), "a rank survived its launcher"
    train(kmask, toy_run, killed, *settings, processes=2)
    assert values(killed) == values(tmp_path / "double") and len(values(killed)) == 10
    assert_same_weights(tmp_path / "double", killed)


def test_an_export_without_a_masked_lm_head_gives_the_same_states_and_its_generator_a_folder(
    kmask: Kmask, toy_run: Path, tmp_path: Path
) -> None:
    from transformers import AutoModel

    train(
        kmask,
        toy_run,
        tmp_path / "run",
        "stages.0.steps=1",
        "stages.1.tasks.replaced.iterations=1",
        "evaluation.every=0",
    )
    done = kmask("export", tmp_path / "run", tmp_path / "out", "--companions")
    assert (
        done.returncode == 0
        and "AutoModel and AutoTokenizer, largest hidden state difference" in done.stderr + done.stdout
    ), done.stderr
    generator = tmp_path / "out-replaced-generator"
    assert json.loads((tmp_path / "out/config.json").read_text())["architectures"] == ["ErnieModel"]
    assert json.loads((generator / "training_manifest.json").read_text())["companion"] == {
        "task": "replaced",
        "name": "generator",
    }
    assert "It has no pooler" in (generator / "README.md").read_text() and (generator / "tokenizer.json").is_file()
    small, large = (
        AutoModel.from_pretrained(folder, output_loading_info=True) for folder in (generator, tmp_path / "out")
    )
    assert small[0].config.hidden_size == 16 and all(name.startswith("pooler.") for name in small[1]["missing_keys"])
    assert large[0].config.hidden_size == 32 and not large[1]["missing_keys"]
    done = kmask("export", tmp_path / "run", tmp_path / "alone")
    assert done.returncode == 0 and not list(tmp_path.glob("alone-*"))
