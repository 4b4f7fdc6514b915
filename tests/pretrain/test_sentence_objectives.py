"""Tasks about two pieces of text, held to what stands in the documents; and nothing but the text tells the class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tiny import TINY_RUN
from torch import nn

from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.shard import Shard
from data_prep.shard_columns import ListColumn
from data_prep.shards import Prepared
from launch.settings.components import decode, find_kind, load
from masking.keyed import mix
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed import neighbours
from pretrain.feed.loading import BatchMaker
from pretrain.feed.samples import NO_LABEL, Sample, Samples
from pretrain.feed.sampling import MicroBatchSpec, RowSpec, Sampler
from pretrain.feed.sources import Source
from pretrain.feed.texts import Windows, starts
from pretrain.metrics.sums import rows_of
from pretrain.objectives import Objective
from pretrain.objectives._sentence_pairs import SentencePairs
from pretrain.objectives.quick_thoughts import QuickThoughts
from pretrain.objectives.sentence_distance import SentenceDistance
from pretrain.setup import build_model

PAIRED = ("sentence_distance", "next_sentence", "sentence_order", "sentence_structure")
ALL = (*PAIRED, "quick_thoughts")


def made(kind: str, **settings: Any) -> SentencePairs:
    cls = find_kind(Objective, kind)
    assert cls is not None and issubclass(cls, SentencePairs)
    return cls(**settings)


class Where(NamedTuple):
    """A piece as a reader finds it in the documents."""

    document: int
    start: int
    end: int


@pytest.fixture(scope="module")
def source(prepared: Path) -> Source:
    return Source(name="a", prepared=Prepared.open(prepared), split="train", max_tokens=125)


@pytest.fixture(scope="module")
def specials(prepared: Path) -> Any:
    return Corpus(run=run_of(prepared, "next_sentence")).specials


def run_of(prepared: Path, kind: str, **settings: Any) -> Run:
    path = prepared.parent / f"{kind}.yaml"
    path.write_text(TINY_RUN.format(output=prepared.parent / "unused", data=prepared), encoding="utf-8")
    loaded = load(path, ["model={layers: 2, hidden: 64, heads: 2, max_positions: 64, dropout: 0.0}"])
    loaded.value["tasks"] = {
        "knowledge_masking": {"kind": "knowledge_masking"},
        "probe": {"kind": kind, **settings},
    }
    loaded.value["stages"] = [{"name": "one", "steps": 4, "tasks": {"knowledge_masking": 0, "probe": 1}}]
    found: Run = decode(Run, loaded)
    return found


def drawn(kind: str, source: Source, specials: Any, times: int = 3) -> Samples:
    """The samples of all windows under several keys."""
    windows = Windows.join([*source.all_windows()] * times)
    keys = np.array([mix(number) for number in range(len(windows))], np.uint64)
    return made(kind).build_all(source.texts(windows), keys, "x", specials).samples


def ends_of(shard: Shard, document: int) -> list[int]:
    return [int(end) for end in shard.sentence_ends.row(document)]


def pieces_of(sample: Sample, specials: Any) -> list[list[int]]:
    """Token positions of the pieces between [CLS] and the separators."""
    ids = sample.token_ids_T.tolist()
    assert ids[0] == specials.cls and ids[-1] == specials.sep
    seps = [place for place, token in enumerate(ids) if token == specials.sep]
    return [list(range(low + 1, high)) for low, high in zip([0, *seps], seps, strict=False)]


def found_in(shard: Shard, document: int, tokens: list[int]) -> int:
    """Where tokens stand in a document; -1: nowhere."""
    row = shard.token_ids.row(document).tolist()
    return next((at for at in range(len(row) - len(tokens) + 1) if row[at : at + len(tokens)] == tokens), -1)


def located(sample: Sample, piece: list[int]) -> Where:
    """A piece in its document, read token by token."""
    assert sample.text is not None and sample.place_T is not None
    shard, home = sample.text.shard, sample.text.document
    places = sample.place_T[piece].tolist()
    tokens = sample.token_ids_T[piece].tolist()
    if places[0] >= 0:
        assert places == list(range(places[0], places[0] + len(piece)))
        assert shard.token_ids.row(home)[places].tolist() == tokens
        return Where(home, places[0], places[-1] + 1)
    assert set(places) == {-1}
    others = [
        document
        for document in range(len(shard))
        if document != home
        and all(shard.text_of(name, document) == shard.text_of(name, home) for name in ("source", "language"))
    ]
    hits = [
        Where(document, at, at + len(tokens)) for document in others if (at := found_in(shard, document, tokens)) >= 0
    ]
    assert hits, "a piece of no other document of the same source and language"
    return hits[0]


def sentences_between(ends: list[int], left: int, right: int) -> int:
    """Whole sentences in [left, right)."""
    begins = [0, *ends[:-1]]
    return sum(left <= begin and end <= right for begin, end in zip(begins, ends, strict=True))


def brute_label(kind: str, one: Where, two: Where, ends: list[int]) -> int:
    """The class as the paper defines it, of two places."""
    if one.document != two.document:
        return {"sentence_distance": 2, "next_sentence": 1, "sentence_structure": 2}[kind]
    follows, precedes = two.start == one.end, two.end == one.start
    if kind == "sentence_distance" and not (follows or precedes):
        low, high = (one.end, two.start) if two.start > one.end else (two.end, one.start)
        assert sentences_between(ends, low, high) >= 1
        return 1
    assert follows or precedes
    assert follows or kind != "next_sentence"
    return 0 if follows or kind == "sentence_distance" else 1


@pytest.mark.parametrize("kind", PAIRED)
def test_labels_are_what_the_documents_say_and_classes_are_balanced(kind: str, source: Source, specials: Any) -> None:
    samples = drawn(kind, source, specials)
    asked = [sample for sample in samples if "x" in sample.labels]
    assert len(asked) > 0.7 * len(samples)
    for sample in asked[:: max(1, len(asked) // 250)]:
        assert sample.text is not None
        one, two = (located(sample, piece) for piece in pieces_of(sample, specials))
        ends = ends_of(sample.text.shard, sample.text.document)
        assert sample.labels["x"] == brute_label(kind, one, two, ends)
        length = len(sample.token_ids_T)
        assert sample.segment_ids_T.tolist() == [0] * (one.end - one.start + 2) + [1] * (
            length - one.end + one.start - 2
        )
        assert length <= len(sample.text.token_ids_T) + 3
        for place in (one, two):
            stops = {0, *ends_of(sample.text.shard, place.document)}
            assert place.start in stops or place.end in stops, "a piece has a sentence boundary on one side at least"
            assert place.start >= min(stops - {0}), "no piece holds the first sentence of a document"
    count = np.bincount([sample.labels["x"] for sample in asked], minlength=made(kind).classes)
    even = len(asked) / len(count)
    assert (np.abs(count - even) < 4 * np.sqrt(even)).all()


def test_distance_stands_on_both_sides_in_every_class(source: Source, specials: Any) -> None:
    behind: dict[int, list[bool]] = {0: [], 1: []}
    for sample in drawn("sentence_distance", source, specials):
        if sample.labels.get("x", 2) < 2:
            one, two = (located(sample, piece) for piece in pieces_of(sample, specials))
            behind[sample.labels["x"]].append(two.start > one.start)
    for found in behind.values():
        assert 0.4 < np.mean(found) < 0.6


@pytest.mark.parametrize("kind", ALL)
def test_a_sample_depends_on_its_key_alone(kind: str, source: Source, specials: Any) -> None:
    objective = made(kind)
    windows = next(source.all_windows()).take(slice(0, 30))
    keys = np.array([mix(number) for number in range(30)], np.uint64)
    together = objective.build_all(source.texts(windows), keys, "x", specials)
    order = np.random.default_rng(1).permutation(30)
    shuffled = objective.build_all(source.texts(windows.take(order)), keys[order], "x", specials)
    again = {int(sample.key): sample for sample in shuffled.samples}
    alone = [
        objective.build(text, int(key), "x", specials) for text, key in zip(source.texts(windows), keys, strict=True)
    ]
    flat = [one for item in alone for one in ([item] if isinstance(item, Sample) else item)]
    for sample, single in zip(together.samples, flat, strict=True):
        for other in (again[sample.key], single):
            assert np.array_equal(sample.token_ids_T, other.token_ids_T) and sample.labels == other.labels
    unlike = objective.build_all(source.texts(windows), keys + np.uint64(1), "x", specials).samples
    assert any(
        not np.array_equal(one.token_ids_T, two.token_ids_T) for one, two in zip(together.samples, unlike, strict=False)
    )


@pytest.mark.parametrize("kind", ALL)
def test_hidden_tokens_are_a_choice(kind: str, source: Source, specials: Any) -> None:
    texts = source.texts(next(source.all_windows()).take(slice(0, 20)))
    keys = np.arange(20, dtype=np.uint64)
    shown = made(kind, hide=False).build_all(texts, keys, "x", specials).samples
    hidden = made(kind).build_all(texts, keys, "x", specials).samples
    assert any(sample.labels for sample in hidden)
    for one, two in zip(shown, hidden, strict=True):
        assert two.maskable_T.sum() > 0
        assert not one.labels or one.maskable_T.sum() == 0


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Two documents of two sentences or fewer, and three of eight."""
    folder = tmp_path_factory.mktemp("few")
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as handle:
        for number, sentences in enumerate([2, 1, 8, 8, 8]):
            parts = [
                " ".join(words[(number + place) % 12] for place in range(11)).capitalize() + "."
                for _ in range(sentences)
            ]
            handle.write(json.dumps({"id": str(number), "text": " ".join(parts), "lang": "en"}) + "\n")
    plan = folder / "data.yaml"
    plan.write_text(
        f"output: {folder / 'data'}\ncorpora: [{{kind: jsonl, paths: [{folder / 'corpus.jsonl'}]}}]\n"
        "segmenters: {en: {kind: pretokenizer}}\nvocabulary: {size: 200, min_frequency: 1}\nheldout: 0.0\n"
        "engine: {kind: local, workers: 1}\n",
        encoding="utf-8",
    )
    prepare(decode(Preparation, load(plan, [])), lambda progress: None)
    return Source(name="a", prepared=Prepared.open(folder / "data"), split="train", max_tokens=60)


@pytest.mark.parametrize("kind", ALL)
def test_windows_that_offer_no_pair_are_samples_without_a_label(kind: str, few: Source, specials: Any) -> None:
    whole = next(few.all_windows())
    tiny = replace(whole, end_W=np.minimum(whole.end_W, whole.start_W + 15))
    shard, asked = few.shards[0], 0
    for windows in (whole, tiny):
        texts = few.texts(windows)
        keys = np.array([mix(number) for number in range(len(texts))], np.uint64)
        for sample in made(kind, hide=False).build_all(texts, keys, "x", specials).samples:
            assert sample.text is not None
            asked += bool(sample.labels)
            if windows is tiny or len(ends_of(shard, sample.text.document)) < 3:
                assert sample.labels == {}
                assert sample.token_ids_T[1:-1].tolist() == sample.text.token_ids_T.tolist()
                assert sample.maskable_T[1:-1].all()
    assert asked >= 3


class Documents:
    """A shard as far as neighbours read it."""

    def __init__(self, lengths: list[int], sentences: list[int], sources: str, languages: str) -> None:
        self.token_ids = ListColumn(starts(lengths).astype(np.int32), np.zeros(0, np.uint16))
        self.unchecked_sentence_ends = ListColumn(starts(sentences).astype(np.int32), np.zeros(0, np.uint32))
        self.columns = {"source": sources, "language": languages}

    def __len__(self) -> int:
        return len(self.columns["source"])

    def codes_of(self, name: str) -> np.ndarray[Any, Any]:
        return np.array([ord(letter) for letter in self.columns[name]], np.int32)


class Folder:
    """A prepared folder of one such shard."""

    def __init__(self, shard: Documents) -> None:
        self.shard = shard

    def shards(self, split: str) -> list[Documents]:
        assert split == "train"
        return [self.shard]


def test_neighbours_share_source_and_language_and_count_by_their_windows() -> None:
    shard: Any = Documents([130, 40, 61, 90, 15, 60], [5, 4, 3, 2, 6, 9], "abaaab", "ezeeez")
    order, totals, place, low, high = neighbours.grouped(shard, 60).held
    assert order.tolist() == [0, 2, 1, 5]  # too few sentences in 3, too few tokens in 4
    assert totals.tolist() == [0, 3, 5, 6, 7]
    assert place.tolist() == [0, 2, 1, -1, -1, 3]
    assert low.tolist() == [0, 0, 2, 2] and high.tolist() == [2, 2, 4, 4]


def test_folders_that_offer_nothing_are_refused() -> None:
    short: Any = {"short": Folder(Documents([40, 60], [2, 2], "aa", "ee"))}
    lonely: Any = {"lonely": Folder(Documents([90, 90, 90], [6, 6, 6], "aab", "eze"))}
    for kind in ALL:
        with pytest.raises(ValueError, match=r"short has no document of (three|four) sentences"):
            made(kind).bind(short)
    assert made("sentence_order").bind(lonely) and made("quick_thoughts").bind(lonely)
    for kind in ("sentence_distance", "next_sentence", "sentence_structure"):
        with pytest.raises(ValueError, match="another one of the same source and language"):
            made(kind).bind(lonely)
    for count in (1, 257):
        with pytest.raises(ValueError, match=f"candidates: {count} must lie between 2 and 256"):
            QuickThoughts(candidates=count)


def test_texts_made_by_hand_offer_no_pairs(source: Source, specials: Any) -> None:
    text = replace(source.read(0), reader=None)
    with pytest.raises(ValueError, match="not read from a prepared folder"):
        SentenceDistance().build(text, 3, "x", specials)


def test_neighbours_are_kept_up_to_a_size_and_belong_to_their_shard(source: Source, prepared: Path) -> None:
    shards = Prepared.open(prepared).shards("train")
    kept = neighbours.Kept(neighbours.grouped(shards[0], 60).size + 1)
    first = kept.of(shards[0], 60)
    assert kept.of(shards[0], 60) is first
    kept.of(shards[1], 60)
    assert kept.of(shards[0], 60) is not first and kept.size <= kept.most
    order, _, place, low, high = first.held
    for document in range(len(shards[0])):
        group = {
            other
            for other in range(len(shards[0]))
            if all(shards[0].text_of(name, other) == shards[0].text_of(name, document) for name in neighbours.SAME)
        }
        if place[document] >= 0:
            mine = order[low[place[document]] : high[place[document]]].tolist()
            assert document in mine and set(mine) <= group


def rows_and_maker(prepared: Path, kind: str, **settings: Any) -> tuple[BatchMaker, list[RowSpec], Run, Corpus]:
    run = run_of(prepared, kind, **settings)
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[0], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=8).step({})
    return maker, rows, run, corpus


def language_of(sample: Sample) -> str | None:
    return sample.text.shard.text_of("language", sample.text.document) if sample.text else None


def test_quick_thoughts_chooses_among_the_pieces_of_its_row(prepared: Path) -> None:
    maker, rows, _, _ = rows_and_maker(prepared, "quick_thoughts", candidates=3)
    packed = maker.packed(MicroBatchSpec(0, rows, 0.0))
    targets, count = maker.objectives["probe"].targets(packed, "probe")
    assert count > 8 and len(targets["label"]) == count and targets["candidate"].shape == (count, 3)
    row_S = packed.sample_start_S // packed.row_tokens
    for first, candidates, label in zip(
        *(targets[name].tolist() for name in ("sample", "candidate", "label")), strict=True
    ):
        assert len(set(candidates)) == 3 and {int(row_S[one]) for one in candidates} == {int(row_S[first])}
        one, two = (packed.samples[number] for number in (first, candidates[label]))
        assert one.place_T is not None and two.place_T is not None
        assert one.document_id == two.document_id and two.place_T[1] == one.place_T[-2] + 1
        spoken = {language_of(packed.samples[number]) for number in (first, *candidates)}
        assert len(spoken) == 1 and None not in spoken
    for row in rows:  # whatever else the micro-batch holds
        alone, _ = maker.objectives["probe"].targets(maker.packed(MicroBatchSpec(0, [row], 0.0)), "probe")
        here = row_S[targets["sample"]] == rows.index(row)
        assert np.array_equal(alone["label"], targets["label"][here])


def features(samples: Samples, specials: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """What may not tell the class: lengths, their sum, is a piece the start of its document, and the source."""
    rows, labels = [], []
    for sample in samples:
        if "x" in sample.labels and sample.text is not None and sample.place_T is not None:
            one, two = pieces_of(sample, specials)
            name = sample.text.shard.text_of("language", sample.text.document)
            starts = [float(sample.place_T[piece[0]] == 0) for piece in (one, two)]
            rows.append([len(one), len(two), len(one) + len(two), *starts, float(name == "zh")])
            labels.append(sample.labels["x"])
    return np.array(rows), np.array(labels)


def logistic(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> nn.Linear:
    """A logistic regression."""
    torch.manual_seed(0)
    layer = nn.Linear(x.shape[1], int(y.max()) + 1)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(layer(torch.tensor(x).float()), torch.tensor(y))
        loss.backward()
        return loss

    optimizer.step(step)
    return layer


@pytest.mark.parametrize("kind", PAIRED)
def test_lengths_places_and_sources_do_not_tell_the_class(kind: str, source: Source, specials: Any) -> None:
    x, y = features(drawn(kind, source, specials, times=12), specials)
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    half = np.random.default_rng(0).random(len(x)) < 0.5
    layer = logistic(x[half], y[half])
    found = layer(torch.tensor(x[~half]).float()).argmax(1).numpy()
    chance = np.bincount(y[~half]).max() / (~half).sum()
    assert (~half).sum() > 1500
    assert (found == y[~half]).mean() < chance + 3.5 * np.sqrt(chance * (1 - chance) / (~half).sum())


def stepped(model: nn.Module, batch: Any, steps: int) -> float:
    """The share of right answers after so many steps on one batch."""
    optimizer = torch.optim.Adam([item for item in model.parameters() if item.requires_grad], lr=2e-3)
    scale: Mapping[str, float] = {"probe": 1 / batch.counts["probe"]}
    right = 0.0
    for _ in range(steps):
        loss, stats = model(batch, scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right = float(rows_of(stats, {"probe": ()})["probe"][0, 1]) / batch.counts["probe"]
        if right == 1.0:
            break
    return right


@pytest.mark.parametrize("kind", ["sentence_distance", "quick_thoughts"])
def test_a_tiny_encoder_learns_one_batch_by_heart(kind: str, prepared: Path) -> None:
    maker, rows, run, corpus = rows_and_maker(prepared, kind, hide=False)
    batch = maker[MicroBatchSpec(0, rows[:4], 0.0)]
    assert batch.counts["probe"] >= 8
    model = build_model(run, 0, corpus.tokenizer)
    assert stepped(model, batch, 120) >= 0.95


@pytest.mark.parametrize("kind", ALL)
def test_rows_without_a_pair_have_no_targets(kind: str, source: Source, specials: Any, prepared: Path) -> None:
    maker, rows, _, _ = rows_and_maker(prepared, kind)
    packed = maker.packed(MicroBatchSpec(0, rows, 0.0))
    nothing = replace(packed.samples, labels={"probe": np.full(len(packed.samples), NO_LABEL)})
    arrays, count = maker.objectives["probe"].targets(replace(packed, samples=nothing), "probe")
    assert count == 0 and all(len(array) == 0 for array in arrays.values())
