"""The compiled way from shards to samples, against slow readings of the same description; and what an objective may and may not build."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.shard import Shard
from data_prep.shards import Prepared
from launch.settings.components import read_config
from masking import kernels as mask_kernels
from masking.corruption import Replacements
from masking.keyed import combine, hash_key, mix, place_keys, uniform
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed import kernels
from pretrain.feed.building import check_built
from pretrain.feed.hiding import Specials
from pretrain.feed.loading import BatchMaker
from pretrain.feed.packed import Packed
from pretrain.feed.samples import Sample, Samples
from pretrain.feed.sampling import MicroBatchSpec, Sampler
from pretrain.feed.sources import Source
from pretrain.feed.texts import Text, Texts, Windows
from pretrain.objectives import Objective, plain_sample
from pretrain.objectives.knowledge_masking import KnowledgeMasking
from pretrain.objectives.sentence_reordering import ORDER, SPLIT, SentenceReordering

SPECIALS = Specials(
    pad=0, cls=2, sep=3, replacements=Replacements(mask_id=4, unknown_id=1, ordinary_V=np.arange(5, 50), count_V=None)
)
LEVELS = ("word", "entity")


def text(rng: np.random.Generator, name: str) -> Text:
    """A window of up to eight sentences with units of two levels, from nowhere."""
    lengths = rng.integers(1, 9, rng.integers(1, 9))
    ends_S = np.cumsum(lengths)
    units = {}
    for level in LEVELS:
        edges = np.unique(np.concatenate([[0], ends_S, rng.integers(0, ends_S[-1] + 1, 5)]))
        kept = rng.random(len(edges) - 1) < 0.6
        units[level] = (edges[:-1][kept], edges[1:][kept])
    return Text(
        shard=Shard(Path(), ()),
        document=0,
        start=int(rng.integers(0, 1000)),
        document_id=name,
        token_ids_T=rng.integers(5, 50, ends_S[-1]),
        sentence_ends_S=ends_S,
        units=units,
    )


def draw_distinct(key: int, size: int, count: int) -> list[int]:
    """``count`` different numbers of range(size), sorted, by Floyd's algorithm."""
    chosen: set[int] = set()
    for draw, top in enumerate(range(size - count, size), 1):
        number = int(uniform(key, draw) * (top + 1))
        chosen.add(top if number in chosen else number)
    return sorted(chosen)


def slow_reordered(text: Text, key: int, name: str, segments: int) -> Sample:
    """Shuffled segments of a window, piece by piece."""
    ends_S = text.sentence_ends_S
    count = 1 + int(uniform(combine(key, SPLIT), 0) * min(segments, len(ends_S)))
    cuts = draw_distinct(combine(key, SPLIT), len(ends_S) - 1, count - 1)
    edges = [0, *(int(ends_S[cut]) for cut in cuts), len(text.token_ids_T)]
    orders = list(itertools.permutations(range(count)))
    rank = int(uniform(combine(key, ORDER), 0) * len(orders))
    ids, maskable, places, ends = [SPECIALS.cls], [False], [-1], []
    units: dict[str, tuple[list[int], list[int]]] = {level: ([], []) for level in text.units}
    for segment in orders[rank]:
        start, end = edges[segment], edges[segment + 1]
        shift = len(ids) - start
        for level, (start_U, end_U) in text.units.items():
            for first, last in zip(start_U.tolist(), end_U.tolist(), strict=True):
                if start <= first and last <= end:
                    units[level][0].append(first + shift)
                    units[level][1].append(last + shift)
        ends += [int(place) + shift for place in ends_S if start < place <= end]
        ids += [*text.token_ids_T[start:end].tolist(), SPECIALS.sep]
        maskable += [True] * (end - start) + [False]
        places += [*range(text.start + start, text.start + end), -1]
    return Sample(
        token_ids_T=np.array(ids),
        maskable_T=np.array(maskable),
        segment_ids_T=np.zeros(len(ids), np.int64),
        units={level: (np.array(starts), np.array(lasts)) for level, (starts, lasts) in units.items()},
        task=name,
        labels={name: sum(math.factorial(n) for n in range(1, count)) + rank} if len(ends_S) > 1 else {},
        key=key,
        document_id=text.document_id,
        first_token=text.start,
        sentence_ends_S=np.array(ends),
        place_T=np.array(places),
        text=text,
    )


def assert_equal(one: Sample, other: Sample) -> None:
    for name in ("token_ids_T", "maskable_T", "segment_ids_T", "sentence_ends_S", "place_T"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert (one.task, one.key, one.document_id, one.first_token, dict(one.labels)) == (
        other.task,
        other.key,
        other.document_id,
        other.first_token,
        dict(other.labels),
    )
    for level in {*one.units, *other.units}:
        assert all(np.array_equal(a, b) for a, b in zip(one.units[level], other.units[level], strict=True)), level


@pytest.mark.parametrize("segments", [2, 3, 4, 5])
def test_reordered_samples_equal_those_of_a_slow_reading_of_the_law(segments: int) -> None:
    rng = np.random.default_rng(segments)
    texts = [text(rng, f"d{number}") for number in range(300)]
    key_W = np.array([mix(number) for number in range(300)], np.uint64)
    built = SentenceReordering(segments=segments).build_all(Texts.of(texts), key_W, "order", SPECIALS)
    assert built.count_W.tolist() == [1] * 300
    for window, key, sample in zip(texts, key_W.tolist(), built.samples, strict=True):
        assert_equal(sample, slow_reordered(window, key, "order", segments))


def test_plain_samples_equal_those_built_one_by_one_and_know_their_text() -> None:
    rng = np.random.default_rng(0)
    texts = [text(rng, f"文{number}") for number in range(100)]
    key_W = np.arange(100, dtype=np.uint64)
    built = KnowledgeMasking().build_all(Texts.of(texts), key_W, "masking", SPECIALS)
    for window, key, sample in zip(texts, key_W.tolist(), built.samples, strict=True):
        assert_equal(sample, plain_sample(window, key, "masking", SPECIALS))
        assert sample.text is not None and sample.text.document_id == window.document_id
        assert np.array_equal(sample.text.token_ids_T, window.token_ids_T)


def test_samples_keep_their_content_through_arrays_other_orders_and_joining() -> None:
    rng = np.random.default_rng(1)
    several = [slow_reordered(text(rng, f"d{number}"), mix(number), f"task{number % 3}", 3) for number in range(30)]
    first, second = Samples.of(several[:13]), Samples.of(several[13:])
    order = rng.permutation(30)
    mixed = Samples.join([first, second]).take(order)
    assert len(mixed) == 30 and [sample.document_id for sample in mixed] == [
        several[number].document_id for number in order
    ]
    for number, sample in zip(order.tolist(), mixed, strict=True):
        assert_equal(sample, several[number])
        assert sample.text is several[number].text
    with pytest.raises(IndexError):
        mixed[30]


@given(st.integers(1, 6))
def test_permutations_come_in_the_order_of_the_standard_library(count: int) -> None:
    out = np.zeros(count, np.int64)
    for rank, expected in enumerate(itertools.permutations(range(count))):
        kernels.permutation(rank, count, out)
        assert out.tolist() == list(expected)


@given(st.integers(0, 2**64 - 1), st.integers(0, 1000))
def test_draws_of_compiled_loops_are_those_of_keys(key: int, number: int) -> None:
    assert int(kernels.combined(np.uint64(key), number)) == combine(key, number)
    assert kernels.uniform(np.uint64(key), number) == uniform(key, number)


def test_the_keys_of_many_places_are_those_of_each() -> None:
    names, numbers = ["a", "文章", "", "x" * 300], [0, 12, 7, 1 << 40]
    expected = [hash_key("train", 5, "data/task", 2, name, number) for name, number in zip(names, numbers, strict=True)]
    assert place_keys(("train", 5, "data/task", 2), names, numbers).tolist() == expected


def slow_text(
    shard: Shard, document: int, start: int, end: int
) -> tuple[list[int], list[int], dict[str, list[tuple[int, int]]]]:
    ends = [int(place) - start for place in shard.sentence_ends.row(document) if start < place < end]
    units = {}
    for level in shard.levels:
        column = shard.units[level]
        rows = range(column.offsets_D1[document], column.offsets_D1[document + 1])
        spans = [(int(column.start_U[row]), int(column.start_U[row]) + int(column.length_U[row])) for row in rows]
        units[level] = [(first - start, last - start) for first, last in spans if start <= first and last <= end]
    return shard.token_ids.row(document)[start:end].tolist(), [*ends, end - start], units


@pytest.mark.parametrize("limit", [7, 40, 126, 100_000])
def test_the_windows_of_all_slots_are_those_of_a_table_and_hold_what_a_slow_reader_finds(
    prepared: Path, limit: int
) -> None:
    source = Source(name="x", prepared=Prepared.open(prepared), split="train", max_tokens=limit)
    assert len(source.shards) > 1
    expected = []
    for number, shard in enumerate(source.shards):
        ends = shard.sentence_ends
        document_W, start_W, end_W = mask_kernels.group_ragged(ends.values, ends.offsets_D1, limit)
        expected += [
            (number, *place) for place in zip(document_W.tolist(), start_W.tolist(), end_W.tolist(), strict=True)
        ]
    order = np.random.default_rng(0).permutation(source.slots)
    for slots in (np.arange(source.slots), order):
        windows = source.windows(slots)
        found = list(map(tuple, np.stack(windows.columns, 1).tolist()))
        assert sorted(found) == expected and (slots is order or found == expected)
    by_slot = [
        place
        for slot in order.tolist()
        for place in map(tuple, np.stack(source.windows(np.array([slot])).columns, 1).tolist())
    ]
    assert by_slot == found
    chosen = windows.take(np.arange(0, len(windows), 1 + len(windows) // 200))
    for read, *place in zip(source.texts(chosen), *(column.tolist() for column in chosen.columns), strict=True):
        shard = source.shards[place[0]]
        tokens, ends, units = slow_text(shard, *place[1:])
        assert (read.token_ids_T.tolist(), read.sentence_ends_S.tolist()) == (tokens, ends)
        assert {
            level: list(zip(*(side.tolist() for side in pair), strict=True)) for level, pair in read.units.items()
        } == units
        assert (read.document_id, read.start, read.document) == (shard.text_of("id", place[1]), place[2], place[1])


def test_in_every_slot_but_the_last_of_a_shard_a_window_begins(prepared: Path) -> None:
    source = Source(name="x", prepared=Prepared.open(prepared), split="train", max_tokens=30)
    last = set((source._slots_D1[1:] - 1).tolist())
    empty = {slot for slot in range(source.slots) if not len(source.windows(np.array([slot])))}
    assert empty <= last
    assert all(len(source.read(slot).token_ids_T) for slot in range(source.slots))


@pytest.mark.parametrize("ends", [[3, 9], [5, 4, 10], [5, 5, 10], [0, 10], [4, 12], []])
def test_sentence_ends_that_lie_are_told_and_lead_no_loop_astray(ends: list[int]) -> None:
    arrays = [
        np.zeros(10, np.uint16),
        np.array([0, 10], np.int32),
        np.array(ends, np.uint32),
        np.array([0, len(ends)], np.int32),
    ]
    tokens, *others = (array.ctypes.data for array in arrays)
    found = kernels.windows_of_slots(
        np.array([[1, tokens, 2, *others]]), np.zeros(2, np.int64), np.arange(2), 8, 8, False
    )
    assert found[-2] >= 0 and found[-1] == 0 and not len(found[0])


def one_document(folder: Path, ends: list[int]) -> Shard:
    """A shard of one document with these sentence ends, as it lies on disk."""
    from data_prep.encoded import Encoded
    from data_prep.shard_writer import write_shard

    count = ends[-1]
    names = dict.fromkeys(("id", "language", "source", "title"), "d")
    encoded = Encoded(
        **names,
        token_ids_T=np.arange(count, dtype=np.int32) % 50,
        flags_T=np.zeros(count, np.uint8),
        sentence_ends_S=np.array(ends, np.uint32),
        paragraph_ends_P=np.array([count], np.uint32),
        units={},
        dropped={},
    )
    write_shard(folder / "x.arrow", [encoded], (), 1000)
    return Shard(folder / "x.arrow", ())


def source_of(prepared: Path, shard: Shard, tokens: int) -> Source:
    folder = Prepared.open(prepared)
    entry = next(entry for entry in folder.entries if entry.split == "train" and entry.documents)
    alone = replace(
        folder, folder=shard.path.parent, levels=(), entries=(entry._replace(path=shard.path.name, tokens=tokens),)
    )
    return Source(name="x", prepared=alone, split="train", max_tokens=60)


@pytest.mark.parametrize("bit", range(11))
def test_a_flipped_bit_in_any_sentence_end_never_gets_out_of_a_window(prepared: Path, tmp_path: Path, bit: int) -> None:
    """Beyond the slot that is read, too: the search for a window's ends trusts that all of a document's ends rise."""
    shard = one_document(tmp_path, list(range(10, 1501, 10)))
    whole = shard.path.read_bytes()
    right = np.arange(10, 1501, 10, dtype=np.uint32)
    for place in range(3, 149, 7):
        wrong = right.copy()
        wrong[place] ^= np.uint32(1 << bit)
        shard.path.write_bytes(whole.replace(right.tobytes(), wrong.tobytes()))
        source = source_of(prepared, Shard(shard.path, ()), 1500)
        for slot in range(source.slots):
            try:
                texts = source.texts(source.windows(np.array([slot])))
            except ValueError as error:
                assert "sentence" in str(error)
                continue
            for read in texts:
                ends_S = read.sentence_ends_S
                assert (np.diff(ends_S, prepend=0) > 0).all() and ends_S[-1] == len(read.token_ids_T) <= 60


def test_offsets_that_do_not_begin_with_the_first_document_are_damage() -> None:
    from data_prep.shard_columns import _offsets

    assert _offsets(np.array([0, 8, 20], np.int32).tobytes(), 2, 20).tolist() == [0, 8, 20]
    with pytest.raises(ValueError, match="list offsets do not ascend"):
        _offsets(np.array([8, 9, 20], np.int32).tobytes(), 2, 20)


class Twofold(KnowledgeMasking):
    """Every window as two samples: its first half and its second."""

    def special_tokens(self) -> int:
        return 2

    def lengths(self, tokens_W: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return tokens_W + 4

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sequence[Sample]:
        middle = max(len(text.token_ids_T) // 2, 1)
        halves = [(0, middle), (middle, len(text.token_ids_T))] if len(text.token_ids_T) > 1 else [(0, 1)]
        return [self.part(text, key, name, specials, first, last) for first, last in halves]

    def part(self, text: Text, key: int, name: str, specials: Specials, first: int, last: int) -> Sample:
        inside = {level: (start_U >= first) & (end_U <= last) for level, (start_U, end_U) in text.units.items()}
        units = {
            level: (start_U[inside[level]] - first, end_U[inside[level]] - first)
            for level, (start_U, end_U) in text.units.items()
        }
        ends = np.array([*(end - first for end in text.sentence_ends_S if first < end < last), last - first])
        return plain_sample(
            replace(
                text,
                token_ids_T=text.token_ids_T[first:last],
                start=text.start + first,
                units=units,
                sentence_ends_S=ends,
            ),
            key,
            name,
            specials,
        )


class OddError(Exception):
    """A plug-in's own."""


@dataclass(frozen=True, kw_only=True)
class Broken(KnowledgeMasking):
    """Builds what ``fault`` says."""

    fault: str = ""
    """What is wrong."""

    @property
    def classes(self) -> int:
        return 3

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Any:
        sample = plain_sample(text, key, name, specials)
        if self.fault == "too long":
            return replace(
                sample,
                **dict.fromkeys(("token_ids_T", "segment_ids_T"), np.full(70, 5)),
                maskable_T=np.zeros(70, np.bool_),
                place_T=None,
            )
        if self.fault == "longer than announced":
            return [sample, replace(sample, key=1)]
        if self.fault == "level":
            return replace(sample, units={"phrases": text.units["phrases"]})
        if self.fault == "segment":
            return replace(sample, segment_ids_T=sample.segment_ids_T + 9)
        if self.fault == "other label":
            return replace(sample, labels={"sentence_reordering": 99})
        if self.fault == "own error":
            raise OddError("it is odd")
        faults = {
            "none": [],
            "no sample": None,
            "label": replace(sample, labels={name: 3}),
            "negative": replace(sample, labels={name: -2}),
        }
        return faults[self.fault]


def maker_of(tiny_run: Path, objective: Objective) -> tuple[Run, BatchMaker]:
    run: Run = read_config(Run, tiny_run, [])
    run = replace(run, tasks={**run.tasks, "knowledge_masking": objective})
    return run, Corpus(run=run).maker(run.stages[0], "train", run.masking)


def test_an_objective_may_build_several_samples_of_a_window(tiny_run: Path) -> None:
    _, maker = maker_of(tiny_run, Twofold())
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    packed = maker.packed(MicroBatchSpec(0, rows, 0.0))
    windows = sum(len(row.windows) for row in rows)
    assert windows * 1.9 < len(packed.samples) <= 2 * windows
    assert len({sample.key for sample in packed.samples}) == len(
        packed.samples
    )  # both halves have the window's key as built
    text_tokens = [token for sample in packed.samples for token in sample.token_ids_T[1:-1].tolist()]
    assert sorted(text_tokens) == sorted(
        token
        for row in rows
        for window in maker.streams[row.stream].source.texts(row.windows)
        for token in window.token_ids_T.tolist()
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("too long", r"made a sample of 70 tokens from document '.*'; batch.max_sample_tokens allows 64"),
        ("longer than announced", r"made \d+ tokens of a window .* announced at most \d+"),
        ("none", r"made no sample of document '.*'; `build` returns one or several"),
        ("no sample", r"failed building samples: TypeError"),
        ("level", r"failed building samples: KeyError: no 'phrases'"),
        ("label", r"gave document '.*' the label 3; its classes are 0 to 2"),
        ("segment", r"gave a token the segment 9; the model has 0 to 1 \(model.segment_types\)"),
        ("other label", r"gave document '.*' the label 99 for task 'sentence_reordering'; its classes are 0 to 8"),
        ("own error", r"failed building samples: OddError: it is odd"),
        ("negative", r"gave document '.*' the label -2; its classes are 0 to 2"),
    ],
)
def test_what_an_objective_may_not_build_is_refused_by_its_name(tiny_run: Path, fault: str, message: str) -> None:
    run: Run = read_config(Run, tiny_run, [])
    run = replace(run, tasks={**run.tasks, "knowledge_masking": Broken(fault=fault)})
    maker = Corpus(run=run).maker(run.stages[1], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    with pytest.raises(ValueError, match=rf"^task 'knowledge_masking' \(Broken\) {message}"):
        maker.packed(MicroBatchSpec(0, rows, 0.0))


def test_a_task_that_rides_along_finds_the_flags_of_every_token_in_its_document(tiny_run: Path) -> None:
    run: Run = read_config(Run, tiny_run, [])
    maker = Corpus(run=run).maker(run.stages[1], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    packed: Packed = maker.packed(MicroBatchSpec(0, rows, 0.0))
    tasks = set()
    for sample in packed.samples:
        assert sample.text is not None and sample.place_T is not None
        document = sample.text.shard.token_ids.row(sample.text.document)
        real = sample.place_T >= 0
        assert np.array_equal(real, sample.maskable_T)
        assert np.array_equal(document[sample.place_T[real]], sample.token_ids_T[real])
        assert len(sample.text.shard.flags.row(sample.text.document)) == len(document)
        tasks.add(sample.task)
    assert tasks == {"knowledge_masking", "sentence_reordering"}


def test_windows_fill_samples_up_to_the_special_tokens_of_their_task(tiny_run: Path) -> None:
    run: Run = read_config(Run, tiny_run, ["batch.max_sample_tokens=16", "batch.row_tokens=64"])
    streams = Corpus(run=run).streams(run.stages[1], "train")
    assert {name: stream.source.max_tokens for name, stream in streams.items()} == {
        "demo/knowledge_masking": 14,
        "demo/sentence_reordering": 12,
    }
    maker = Corpus(run=run).maker(run.stages[1], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=16).step({})
    lengths = maker.packed(MicroBatchSpec(0, rows, 0.0)).samples.length_S
    assert lengths.max() == 16


def test_a_manifest_that_counts_other_tokens_than_its_shards_is_refused(prepared: Path) -> None:
    folder = Prepared.open(prepared)
    entries = tuple(entry._replace(tokens=entry.tokens * 2) for entry in folder.entries)
    source = Source(name="x", prepared=replace(folder, entries=entries), split="train", max_tokens=60)
    with pytest.raises(ValueError, match="token_ids: not as many as the manifest says"):
        source.windows(np.arange(3))


def test_a_corpus_of_a_billion_windows_needs_no_table_of_them(prepared: Path) -> None:
    """Every process keeps one number a shard, not one a window: 20,000 shards of millions of tokens are 160 kB."""
    folder = Prepared.open(prepared)
    entry = next(entry for entry in folder.entries if entry.split == "train" and entry.documents)
    many = tuple(entry._replace(path=f"parts/{number}.arrow", tokens=30_000_000) for number in range(20_000))
    source = Source(name="x", prepared=replace(folder, entries=many), split="train", max_tokens=510)
    assert source.slots == 20_000 * math.ceil(30_000_000 / 512) > 10**9
    assert source._slots_D1.nbytes < 200_000 and "shards" not in vars(source)


def test_joined_windows_keep_their_order() -> None:
    one, two = (Windows(*(np.array([number, number + 1]) for _ in range(4))) for number in (0, 5))
    assert Windows.join([one, two]).shard_W.tolist() == [0, 1, 5, 6]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maskable_T": np.zeros(3, np.bool_)}, r"entries of maskable_T"),
        ({"length_S": np.array([-1, 3])}, "a sample without a token"),
        ({"tasks": ["one"]}, "2 samples, 1 entries of tasks"),
        (
            {"sentence_ends": (np.array([1]), np.array([2, 2]))},
            "sentence_ends: 1 starts and 1 ends, but counts of 4 in 2 of 2 samples",
        ),
        (
            {"units": {"word": (np.array([1]), np.array([2]), np.array([1, 1]))}},
            "word: 1 starts and 1 ends, but counts of 2",
        ),
        ({"labels": {"x": np.array([1])}}, "2 samples, 1 entries of x"),
    ],
)
def test_arrays_of_a_plug_in_that_do_not_fit_together_reach_no_compiled_loop(
    changes: dict[str, Any], message: str
) -> None:
    rng = np.random.default_rng(0)
    texts = Texts.of([text(rng, "a"), text(rng, "b")])
    built = KnowledgeMasking().build_all(texts, np.arange(2, dtype=np.uint64), "masking", SPECIALS)
    wrong = built._replace(samples=replace(built.samples, **changes))
    with pytest.raises(
        ValueError,
        match=rf"^task 'masking' \(KnowledgeMasking\) built samples whose arrays do not fit together: .*{message}",
    ):
        check_built(wrong, texts, KnowledgeMasking(), "masking", 64)


class Many(Twofold):
    """Says that its samples take more than a row."""

    def lengths(self, tokens_W: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return tokens_W * 9


def test_samples_of_a_window_that_do_not_fit_into_a_row_are_refused_before_training(tiny_run: Path) -> None:
    run: Run = read_config(Run, tiny_run, [])
    run = replace(run, tasks={**run.tasks, "knowledge_masking": Many()})
    with pytest.raises(
        ValueError,
        match=r"^task 'knowledge_masking' \(Many\) makes up to \d+ tokens of a window; batch.row_tokens is 256",
    ):
        Corpus(run=run).try_out()
