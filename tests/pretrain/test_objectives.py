"""Every objective file: the contract, then what each one promises."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pair_folders import folder_of

from data_prep.shard import Shard
from launch.settings.components import decode, field_docs, find_kind, kinds, load, read_config
from masking.corruption import Replacements
from masking.keyed import mix
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.batch import to_batch
from pretrain.feed.hiding import Specials
from pretrain.feed.loading import BatchMaker
from pretrain.feed.packed import pack
from pretrain.feed.samples import EMPTY
from pretrain.feed.sampling import MicroBatchSpec, Sampler
from pretrain.feed.texts import Text
from pretrain.metrics.sums import rows_of
from pretrain.objectives import Objective
from pretrain.objectives.sentence_reordering import SentenceReordering
from pretrain.setup import build_model

ALL = kinds(Objective)
READS = {
    "pair_classification": "pairs",
    "discourse_relation": "pairs",
    "search_relevance": "log",
    "dialogue": "dialogues",
    "universal_triples": "triples",
}
"""Objectives that read labelled pairs and the like, and which (pair_folders.py)."""
SETTINGS: dict[str, dict[str, Any]] = {"discourse_relation": {"split": "train"}}
PLACES, NUMBERS = ("position", "left", "right", "real", "changed"), ("sample", "candidate")
"""Targets that are positions of the batch, and numbers of its samples."""


@pytest.fixture(scope="module")
def special_folders(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The prepared folder that an objective reads."""
    base = tmp_path_factory.mktemp("special")

    def folder(kind: str) -> Path:
        target = base / READS[kind]
        return target / "data" if target.exists() else folder_of(READS[kind], prepared, target, 200)

    return folder


def name_of(kind: str) -> str:
    return "knowledge_masking" if kind == "knowledge_masking" else "probe"


def maker_for(tiny_run: Path, kind: str, folder: Path | None = None) -> tuple[Run, Corpus, BatchMaker]:
    source = load(tiny_run, [])
    if folder:
        source.value["data"][0]["path"] = str(folder)
    source.value["tasks"] = {
        "knowledge_masking": {"kind": "knowledge_masking"},
        **({} if kind == "knowledge_masking" else {"probe": {"kind": kind, **SETTINGS.get(kind, {})}}),
    }
    name = name_of(kind)
    source.value["stages"] = [{"name": "one", "steps": 4, "tasks": {"knowledge_masking": 1, name: 1}}]
    if kind == "token_order":
        source.value["masking"]["shuffle"] = {}
    run = decode(Run, source)
    corpus = Corpus(run=run)
    return corpus.bound, corpus, corpus.maker(run.stages[0], "train", run.masking)


@pytest.mark.parametrize("kind", ALL)
def test_an_objective_is_documented_and_says_how_long_its_samples_may_be(kind: str) -> None:
    cls = find_kind(Objective, kind)
    assert cls is not None and cls.__doc__
    objective: Objective = cls()
    assert set(field_docs(cls)) >= set(cls.__dataclass_fields__)  # type: ignore[attr-defined]
    assert (objective.lengths(np.array([0, 7])) >= np.array([2, 9])).all()
    assert cls.BUILDS_ROWS or not cls.HAS_TASK_ID  # type: ignore[attr-defined]
    assert len(set(objective.groups)) == len(objective.groups) and all(objective.groups)
    with pytest.raises(ValueError, match="weight"):
        cls(weight=0)


@pytest.mark.parametrize("kind", ALL)
def test_an_objective_trains_its_head_and_the_encoder_and_survives_a_batch_without_targets(
    kind: str, tiny_run: Path, special_folders: Callable[[str], Path]
) -> None:
    run, corpus, maker = maker_for(tiny_run, kind, special_folders(kind) if kind in READS else None)
    name = name_of(kind)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    batch = maker[MicroBatchSpec(0, rows, 0.0)]
    assert batch.counts[name] > 0
    model = build_model(corpus.bound, 0, corpus.tokenizer)
    loss, stats = model(batch, {task: float(task == name) for task in run.tasks})
    loss.backward()
    groups = {task: objective.groups for task, objective in corpus.objectives.items()}
    mine = rows_of(stats, groups)[name]
    assert mine[0, 2] == batch.counts[name] and (len(mine) == 1 or mine[1:, 2].sum() == batch.counts[name])
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.heads[name].parameters()
    )
    for path in ("embeddings.word_embeddings", "encoder.layer.0.attention.self.query", "encoder.layer.0.output.dense"):
        assert model.ernie.get_submodule(path).weight.grad.abs().sum() > 0  # type: ignore[operator, union-attr]
    pooled = model.ernie.pooler.dense.weight.grad  # type: ignore[union-attr]
    assert (pooled is not None and pooled.abs().sum() > 0) == corpus.objectives[name].TRAINS_POOLER
    empty = {task: {key: value[:0] for key, value in group.items()} for task, group in batch.targets.items()}
    model.zero_grad()
    nothing, stats = model(type(batch)(**{**vars(batch), "targets": empty}), dict.fromkeys(run.tasks, 1.0))
    nothing.backward()
    assert nothing.item() == 0.0 and not stats.any()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(parameter.grad is not None for parameter in model.heads.parameters())  # ZeRO-3 waits for all of them


@pytest.mark.parametrize("kind", ALL)
def test_what_an_objective_asks_hangs_on_keys_alone_not_on_order_or_processes(
    kind: str, tiny_run: Path, special_folders: Callable[[str], Path]
) -> None:
    folder, name = special_folders(kind) if kind in READS else None, name_of(kind)
    _, _, maker = maker_for(tiny_run, kind, folder)
    _, _, another = maker_for(tiny_run, kind, folder)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    alone = [asked(maker, name, [row]) for row in rows]
    assert sum(part[1] for part in alone) > 0
    for made, order in ((maker, [0, 1, 2, 3]), (another, [3, 1, 0, 2]), (another, [0, 2]), (maker, [1, 3])):
        found, count, _ = asked(made, name, [rows[number] for number in order])
        assert count == sum(alone[number][1] for number in order)
        assert_same_targets(found, joined([alone[number] for number in order], made.row_tokens))


Asked = tuple[dict[str, Any], int, int]


def asked(maker: BatchMaker, name: str, rows: list[Any]) -> Asked:
    """Targets of some rows as one batch, how many there are, and the number of its samples."""
    packed = maker.packed(MicroBatchSpec(0, rows, 0.0))
    targets, count = maker.objectives[name].targets(packed, name)
    return dict(targets), count if isinstance(count, int) else sum(count.values()), len(packed.samples)


def joined(parts: list[Asked], row_tokens: int) -> dict[str, list[Any]]:
    """Targets of single rows as those of a batch of all, row by row."""
    found: dict[str, list[Any]] = {name: [] for name in parts[0][0]}
    samples = 0
    for number, (targets, _, count) in enumerate(parts):
        for name, values in targets.items():
            found[name].append(values + (number * row_tokens if name in PLACES else samples if name in NUMBERS else 0))
        samples += count
    return found


def assert_same_targets(found: dict[str, Any], expected: dict[str, list[Any]]) -> None:
    """Those that belong to one target are compared together, in any order of the targets; others as they are."""
    anchor = next(name for name in ("position", "sample", "left") if name in found)
    sizes = {name: [len(part) for part in parts] for name, parts in expected.items()}
    together = [name for name in found if sizes[name] == sizes[anchor] and found[name].ndim == 1]
    left, right = (
        sorted(zip(*columns, strict=True))
        for columns in (
            [found[name].tolist() for name in together],
            [np.concatenate(expected[name]).tolist() for name in together],
        )
    )
    assert left == right
    for name in found.keys() - set(together):
        assert np.array_equal(found[name], np.concatenate(expected[name])), name


@pytest.mark.parametrize("kind", ALL)
def test_an_objective_gives_the_same_loss_twice_and_a_finite_one_in_bf16(
    kind: str, tiny_run: Path, special_folders: Callable[[str], Path]
) -> None:
    _, corpus, maker = maker_for(tiny_run, kind, special_folders(kind) if kind in READS else None)
    name = name_of(kind)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    batch = next(made for row in rows if (made := maker[MicroBatchSpec(0, [row], 0.0)]).counts[name])
    model = build_model(corpus.bound, 0, corpus.tokenizer)

    def gradients(*, bf16: bool) -> dict[str, torch.Tensor]:
        model.zero_grad()
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss, stats = model(batch, {name: 1.0 / batch.counts[name]})
        loss.backward()
        assert loss.isfinite() and stats.isfinite().all() and stats[0, 2] == batch.counts[name]
        return {key: value.grad.clone() for key, value in model.named_parameters() if value.grad is not None}

    once, twice = gradients(bf16=False), gradients(bf16=False)
    assert once.keys() == twice.keys() and all(torch.equal(once[key], twice[key]) for key in once)
    short = gradients(bf16=True)
    assert short.keys() == once.keys() and all(value.isfinite().all() for value in short.values())


def test_a_task_that_only_encodes_otherwise_does_not_pay_for_the_batch_as_it_is(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    _, corpus, maker = maker_for(tiny_run, "toys.prefix_language")
    run = decode(Run, only_probe(tiny_run))
    model, calls = build_model(run, 0, corpus.tokenizer), []
    model.ernie.register_forward_hook(lambda *_: calls.append(1))
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    model(maker[MicroBatchSpec(0, rows, 0.0)], {"probe": 1.0})
    assert len(calls) == 1


def only_probe(tiny_run: Path) -> Any:
    source = load(tiny_run, ["stages=[{name: one, steps: 4, tasks: {probe: 1}}]"])
    source.value["tasks"] = {"probe": {"kind": "toys.prefix_language"}}
    return source


def test_reordering_has_nine_classes_for_three_segments() -> None:
    assert [SentenceReordering(segments=m).classes for m in (2, 3, 4, 5)] == [3, 9, 33, 153]


def test_reordering_samples_hold_the_window_permuted_as_their_label_says(tiny_run: Path) -> None:
    _, corpus, maker = maker_for(tiny_run, "sentence_reordering")
    stream = maker.streams["demo/probe"]
    specials = corpus.specials
    seen: Counter[int] = Counter()
    alone = 0
    texts = [text for windows in stream.source.all_windows() for text in stream.source.texts(windows)]
    for (number, text), epoch in itertools.product(enumerate(texts), range(3)):
        sample = stream.objective.build(text, number * 7919 + epoch, "probe", specials)
        ids = sample.token_ids_T.tolist()
        assert ids[0] == specials.cls and ids[-1] == specials.sep
        segments = [
            list(group)
            for is_sep, group in itertools.groupby(ids[1:], lambda token: token == specials.sep)
            if not is_sep
        ]
        count = len(segments)
        assert count <= min(3, len(text.sentence_ends_S))
        assert set(sample.labels) == ({"probe"} if len(text.sentence_ends_S) > 1 else set())
        alone += len(text.sentence_ends_S) == 1
        label = sample.labels.get("probe", 0)
        seen[label] += "probe" in sample.labels
        rank = label - sum(math.factorial(n) for n in range(1, count))
        order = list(itertools.permutations(range(count)))[rank]
        restored: list[list[int]] = [[]] * count
        for place, segment in zip(order, segments, strict=True):
            restored[place] = segment
        assert [token for segment in restored for token in segment] == text.token_ids_T.tolist()
        for start_U, end_U in sample.units.values():
            assert all(sample.maskable_T[start:end].all() for start, end in zip(start_U, end_U, strict=True))
        assert sum(len(start_U) for start_U, _ in sample.units.values()) == sum(
            len(start_U) for start_U, _ in text.units.values()
        )
    assert alone and all(seen[label] for label in range(9))


def window(sentences: int) -> Text:
    """A window of sentences of three tokens, from nowhere."""
    ends_S = np.arange(3, 3 * sentences + 1, 3)
    tokens: dict[str, Any] = {"token_ids_T": np.arange(10, 10 + 3 * sentences), "sentence_ends_S": ends_S, "units": {}}
    return Text(shard=Shard(Path(), ()), document=0, start=0, document_id="d", **tokens)


@pytest.mark.parametrize(
    ("sentences", "law"),
    [
        (1, {}),
        (2, {0: 1 / 2, 1: 1 / 4, 2: 1 / 4}),
        (7, {0: 1 / 3, 1: 1 / 6, 2: 1 / 6, **dict.fromkeys(range(3, 9), 1 / 18)}),
    ],
)
def test_the_number_of_segments_is_drawn_evenly_and_a_single_sentence_has_no_class(
    sentences: int, law: dict[int, float]
) -> None:
    specials = Specials(
        pad=0,
        cls=2,
        sep=3,
        replacements=Replacements(mask_id=4, unknown_id=1, ordinary_V=np.arange(5, 50), count_V=None),
    )
    text, draws = window(sentences), 9000
    samples = [SentenceReordering().build(text, mix(key), "probe", specials) for key in range(draws)]
    counts = Counter(sample.labels["probe"] for sample in samples if sample.labels)
    assert set(counts) == set(law) and all(sample.task == "probe" for sample in samples)
    for label, share in law.items():  # 5 standard deviations of a binomial law
        assert abs(counts[label] - share * draws) < 5 * (draws * share * (1 - share)) ** 0.5


def test_a_batch_of_single_sentences_has_no_target_and_no_loss_and_hides_tokens_all_the_same(tiny_run: Path) -> None:
    run, corpus, maker = maker_for(tiny_run, "sentence_reordering")
    objective = maker.streams["demo/probe"].objective
    text = replace(window(1), units=dict.fromkeys(run.masking.strategy.levels(), (EMPTY, EMPTY)))
    rows = [[objective.build(text, mix(key), "probe", corpus.specials)] for key in range(9)]
    packed = pack(rows, 8, run.masking, corpus.specials, 0.0)
    arrays, count = objective.targets(packed, "probe")
    assert count == 0 and [len(array) for array in arrays.values()] == [0, 0]
    assert len(packed.hidden.position_M)
    batch = to_batch(packed, run.task_ids, {"probe": arrays}, {"probe": count}, 64)
    model = build_model(run, 0, corpus.tokenizer)
    loss, _ = model(batch, {"probe": 1.0})
    loss.backward()
    assert loss.item() == 0.0


def test_boundary_targets_predict_the_hidden_token_from_visible_neighbours(tiny_run: Path) -> None:
    run = read_config(Run, tiny_run, [])
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[0], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    packed = maker.packed(MicroBatchSpec(0, rows, 0.0))
    targets, count = run.tasks["span_boundary"].targets(packed, "span_boundary")
    hidden = set(packed.hidden.position_M.tolist())
    assert count > 0 and not hidden & set(targets["left"].tolist()) and not hidden & set(targets["right"].tolist())
    assert np.array_equal(targets["label"], packed.original_T[targets["left"] + targets["offset"]])


def test_masked_only_projection_equals_projecting_every_position(tiny_run: Path) -> None:
    run, corpus, maker = maker_for(tiny_run, "knowledge_masking")
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    batch = maker[MicroBatchSpec(0, rows, 0.0)]
    model = build_model(run, 0, corpus.tokenizer).eval()
    from pretrain.network.encoder import encode

    dense = model.heads["knowledge_masking"](encode(model.ernie, batch))
    labels = torch.full((dense.shape[0],), -100)
    labels[batch.targets["knowledge_masking"]["position"]] = batch.targets["knowledge_masking"]["label"]
    expected = torch.nn.functional.cross_entropy(dense, labels, reduction="sum")
    found, _ = model(batch, {"knowledge_masking": 1.0})
    assert torch.allclose(found, expected, rtol=1e-5)
