"""Duplicates: equal and nearly equal documents are found across parts, the first one stays, and the reason says
which."""

from __future__ import annotations

import itertools
import math
import pickle
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.code_points import code_points
from data_prep.documents import Document, Place
from data_prep.files import read_json
from data_prep.filtering import minhash, shingles
from data_prep.filtering.dropped import Dropped, Reason
from data_prep.filtering.duplicates import Duplicates
from data_prep.filtering.minhash import (
    agreeing,
    band_keys,
    bands_for,
    found_share,
    least_agreement,
    signatures,
    similarity,
    sketches,
)
from data_prep.filtering.shingles import ngram_hashes, tokens
from masking.keyed import mix_array

HAN = [chr(code) for code in range(0x4E00, 0x5200)]
WORDS = [f"{a}{b}{c}" for a in ("ba", "ko", "ri", "tu") for b in ("n", "st", "mm") for c in ("el", "or", "ing", "a")]


def writing(seed: int, length: int, chinese: bool = True) -> str:
    source = random.Random(seed)
    return "".join(source.choices(HAN, k=length)) if chinese else " ".join(source.choices(WORDS, k=length))


def edited(text: str, share: float, seed: int = 0) -> str:
    """The text with a share of its characters replaced."""
    source = random.Random(seed)
    return "".join(source.choice(HAN) if source.random() < share else character for character in text)


def find(folder: Path, parts: Sequence[Sequence[tuple[str, str]]], **arguments: Any) -> Dropped:
    """Run the step over parts of (id, text)."""
    step = Duplicates(**arguments)
    folders = []
    for index, part in enumerate(parts):
        folders.append(folder / f"part{index}")
        folders[-1].mkdir(parents=True)
        documents = (Document(id=name, language="zh", text=text, title="", source="s") for name, text in part)
        step.map(enumerate(documents), folders[-1])
    (folder / "result").mkdir(parents=True)
    step.reduce(folders, folder / "result")
    return Dropped.open(folder / "result")


def jaccard(one: str, two: str, n: int = 5) -> float:
    a, b = (set(ngram_hashes(tokens(code_points(text))[0], n).tolist()) for text in (one, two))
    return len(a & b) / len(a | b)


def test_duplicates_is_a_documented_frozen_component(check_component: Callable[[type], None]) -> None:
    check_component(Duplicates)


def test_equal_texts_are_dropped_in_favour_of_the_first(tmp_path: Path) -> None:
    dropped = find(
        tmp_path,
        [
            [("a", "北京 是首都。"), ("b", "上海在东边。")],
            [("c", "北京\n是首都。"), ("d", "南京在江边。")],
            [],
            [("e", "上海在东边。")],
        ],
        near=False,
    )
    assert len(dropped) == 2
    assert dropped.reason(1, 0) == Reason("duplicate", "same text as a")
    assert dropped.reason(3, 0) == Reason("duplicate", "same text as b")
    assert [dropped.reason(*place) for place in ((0, 0), (0, 1), (1, 1))] == [None, None, None]
    assert read_json(tmp_path / "result" / "counts.json") == {
        "documents": 5,
        "duplicates": 2,
        "near_duplicates": 0,
        "clusters": 2,
    }


def test_a_reason_becomes_a_rejection_at_its_place() -> None:
    place = Place("x", 1, 0)
    assert Reason("duplicate", "same text as a").at(place) == (place, "duplicate", "same text as a")


def test_numbers_are_those_of_the_part_not_of_the_documents(tmp_path: Path) -> None:
    step = Duplicates(near=False)
    part = tmp_path / "part"
    part.mkdir()
    make = [Document(id=str(index), language="zh", text="北京大学", title="", source="s") for index in range(2)]
    step.map([(3, make[0]), (8, make[1])], part)
    (tmp_path / "result").mkdir()
    step.reduce([part], tmp_path / "result")
    dropped = Dropped.open(tmp_path / "result")
    assert (dropped.reason(0, 1), dropped.reason(0, 3)) == (None, None)
    assert dropped.reason(0, 8) == Reason("duplicate", "same text as 0")


@pytest.mark.parametrize("chinese", [True, False])
def test_near_duplicates_are_found_and_others_are_not(tmp_path: Path, chinese: bool) -> None:
    base = [writing(seed, 300, chinese) for seed in range(60)]
    copies = [
        edited(text, 0.01, seed) if chinese else re.sub(r"^\w+ \w+", "something else", text)
        for seed, text in enumerate(base)
    ]
    alike = [jaccard(one, two) >= 0.86 for one, two in zip(base, copies, strict=True)]
    parts = [
        [(f"b{index}", text) for index, text in enumerate(base)],
        [(f"c{index}", text) for index, text in enumerate(copies)],
    ]
    dropped = find(tmp_path, parts)
    found = [dropped.reason(1, index) is not None for index in range(60)]
    assert sum(alike) > 30
    assert sum(found[index] for index in range(60) if alike[index]) >= 0.97 * sum(alike)
    assert all(dropped.reason(0, index) is None for index in range(60))
    reasons = [dropped.reason(1, index) for index in range(60)]
    assert all(reason.detail.endswith(f" b{index}") for index, reason in enumerate(reasons) if reason)


def test_texts_that_share_half_their_ngrams_stay(tmp_path: Path) -> None:
    pairs = [(text := writing(seed, 300), text[:200] + writing(seed + 1000, 100)) for seed in range(40)]
    assert max(jaccard(*pair) for pair in pairs) < 0.55
    assert len(find(tmp_path, [[("a", one) for one, _ in pairs], [("b", two) for _, two in pairs]])) == 0


def test_punctuation_and_case_do_not_tell_near_duplicates_apart(tmp_path: Path) -> None:
    dropped = find(
        tmp_path, [[("a", "The river, in the West. It is long!"), ("b", "the River in the west - it is LONG")]]
    )
    assert dropped.reason(0, 1) == Reason("near duplicate", "1.00 like a")


def test_the_first_document_of_a_chain_stays(tmp_path: Path) -> None:
    text = writing(1, 400)
    chain = [text, text[20:] + writing(2, 20), text[40:] + writing(2, 20) + writing(3, 20)]
    dropped = find(
        tmp_path,
        [[("c", "别的内容，与它们无关。")], [("0", chain[0])], [("2", chain[2])], [("1", chain[1])]],
        threshold=0.85,
    )
    assert [dropped.reason(part, 0) is None for part in range(4)] == [True, True, False, False]
    assert all(str(dropped.reason(part, 0)).count("like 0") for part in (2, 3))


def test_documents_without_a_token_are_only_exact_duplicates(tmp_path: Path) -> None:
    dropped = find(tmp_path, [[("a", "……"), ("b", "！！！"), ("c", "……"), ("d", "好"), ("e", "坏")]])
    assert [dropped.reason(0, index) for index in range(5)] == [
        None,
        None,
        Reason("duplicate", "same text as a"),
        None,
        None,
    ]


def test_an_empty_corpus_has_no_duplicates(tmp_path: Path) -> None:
    assert len(find(tmp_path / "a", [])) == 0
    dropped = find(tmp_path / "b", [[], []])
    assert len(dropped) == 0
    assert dropped.reason(1, 0) is None


@settings(max_examples=25)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=25), st.lists(st.integers(0, 24), max_size=3))
def test_the_result_does_not_depend_on_how_the_corpus_is_divided(
    tmp_path_factory: pytest.TempPathFactory, choice: list[int], cuts: list[int]
) -> None:
    texts = [writing(seed // 2, 120) if seed % 2 else edited(writing(seed // 2, 120), 0.01, seed) for seed in choice]
    names = [(str(index), text) for index, text in enumerate(texts)]
    edges = [0, *sorted(cut % len(names) for cut in cuts), len(names)]
    parts = [names[start:end] for start, end in itertools.pairwise(edges)]
    folder = tmp_path_factory.mktemp("dup")
    whole, divided = find(folder / "whole", [names]), find(folder / "divided", parts)
    expected = [whole.reason(0, index) for index in range(len(names))]
    assert [
        divided.reason(part, number) for part, items in enumerate(parts) for number in range(len(items))
    ] == expected


def test_a_block_boundary_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [(str(index), writing(index // 2, 50 + index)) for index in range(40)]
    whole = find(tmp_path / "a", [names])
    monkeypatch.setattr("data_prep.filtering.duplicates.BLOCK_CHARACTERS", 70)
    monkeypatch.setattr("data_prep.filtering.duplicates.BLOCK_DOCUMENTS", 3)
    monkeypatch.setattr("data_prep.filtering.duplicate_pairs.BLOCK_PAIRS", 2)
    monkeypatch.setattr(shingles, "BLOCK", 64)
    blocks = find(tmp_path / "b", [names])
    assert [blocks.reason(0, index) for index in range(40)] == [whole.reason(0, index) for index in range(40)]


def test_the_result_is_opened_anew_in_another_process(tmp_path: Path) -> None:
    dropped = find(tmp_path, [[("a", "北京是首都。"), ("b", "北京是首都。")]])
    assert pickle.loads(pickle.dumps(dropped)).reason(0, 1) == Reason("duplicate", "same text as a")
    with pytest.raises(FileNotFoundError, match="holds no list of duplicates"):
        Dropped.open(tmp_path)


def slow_tokens(text: str) -> list[str]:
    return [token.lower() for token in re.findall(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+", text)]


@settings(max_examples=200)
@given(st.text(alphabet="aBé1 ，中国.\n", max_size=60), st.integers(1, 7))
def test_ngrams_are_equal_exactly_when_their_tokens_are(text: str, n: int) -> None:
    expected = slow_tokens(text)
    hashes, starts = tokens(code_points(text))
    assert len(hashes) == len(expected)
    assert all(slow_tokens(text[start:])[0] == token for start, token in zip(starts.tolist(), expected, strict=True))
    grams = [tuple(expected[index : index + n]) for index in range(len(expected) - n + 1)]
    found = ngram_hashes(hashes, n).tolist()
    assert len(found) == len(grams)
    assert len(set(zip(found, grams, strict=True))) == len(set(found)) == len(set(grams))


def test_signatures_estimate_the_similarity_of_sets() -> None:
    source = np.random.default_rng(0)
    errors = []
    for size in (20, 100, 1000):
        for overlap in (0.2, 0.5, 0.8):
            for _ in range(30):
                shared = source.integers(0, 1 << 63, int(size * overlap), np.uint64)
                sets = [
                    np.concatenate([shared, source.integers(0, 1 << 63, size - len(shared), np.uint64)])
                    for _ in range(2)
                ]
                owners = np.repeat([0, 1], [len(item) for item in sets])
                one, two = signatures(np.concatenate(sets), owners, 2, 128)
                errors.append((one == two).mean() - len(shared) / (2 * size - len(shared)))
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.06


def test_a_place_is_the_least_value_under_its_permutation() -> None:
    hashes = np.random.default_rng(3).integers(0, 1 << 63, 23, np.uint64) * np.uint64(2)
    owners = np.repeat([0, 1, 2], [4, 17, 2])
    factors, offsets = minhash._permutations(32)
    values = (mix_array(hashes) >> np.uint64(32)).astype(np.uint32)[:, None] * factors + offsets
    expected = [values[owners == owner].min(axis=0) for owner in range(3)]
    assert np.array_equal(signatures(hashes, owners, 3, 32), expected)
    assert len(set(factors.tolist())) == 32 and (factors % 2 == 1).all()


def test_a_signature_does_not_depend_on_the_documents_beside_it() -> None:
    hashes = np.arange(1, 40, dtype=np.uint64)
    owners = np.repeat([0, 2, 3], [3, 30, 6])
    together = signatures(hashes, owners, 5, 64)
    assert np.array_equal(together[2], signatures(hashes[3:33], np.zeros(30, np.int64), 1, 64)[0])
    assert (together[[1, 4]] == np.iinfo(np.uint32).max).all()
    assert np.array_equal(band_keys(together[2:3], 1, 4), band_keys(together[[0, 2]], 1, 4)[1:])


@pytest.mark.parametrize("places", [64, 128, 256, 512])
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_99_in_100_pairs_at_the_threshold_are_found_by_the_law(threshold: float, places: int) -> None:
    bands, rows = bands_for(threshold, places)
    assert bands * rows <= places
    assert found_share(threshold, threshold, places, bands, rows)[0] >= 0.99 - 1e-9
    assert found_share(0.3 * threshold, threshold, places, bands, rows)[1] < 0.05
    least = least_agreement(threshold, places)
    assert (
        agreeing(threshold, places, least) >= 0.995 > (agreeing(threshold, places, least + 1) if least < places else 0)
    )


@pytest.mark.parametrize("size", [20, 60, 400])
@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9])
def test_signatures_keep_the_law(threshold: float, size: int) -> None:
    """1,000 pairs just at a threshold: 99 in 100 share a key and agree enough (tolerance: four standard errors)."""
    source = np.random.default_rng(size)
    common = math.ceil(2 * size * threshold / (1 + threshold))
    similar = common / (2 * size - common)
    shared = [source.integers(0, 1 << 63, common, np.uint64) for _ in range(1000)]
    sets = [
        np.concatenate([item, source.integers(0, 1 << 63, size - common, np.uint64)])
        for item in shared
        for _ in range(2)
    ]
    values = signatures(np.concatenate(sets), np.repeat(np.arange(len(sets)), size), len(sets), 256)
    one, two = values[::2], values[1::2]
    bands, rows = bands_for(threshold, 256)
    key = np.any([band_keys(one, band, rows) == band_keys(two, band, rows) for band in range(bands)], axis=0)
    agree = (sketches(one) == sketches(two)).sum(axis=1)
    assert (key & (agree >= least_agreement(threshold, 256))).mean() >= 0.99 - 4 * (0.99 * 0.01 / 1000) ** 0.5
    assert abs(similarity(agree / 256).mean() - similar) < 0.01
    assert similarity(agree / 256).std() < 1.2 * (similar * (1 - similar) / 256) ** 0.5


@pytest.mark.parametrize(("low", "high", "least", "most"), [(0.8, 0.84, 0.97, 1.0), (0.5, 0.62, 0.0, 0.02)])
def test_pairs_of_texts_just_above_the_threshold_are_found(
    tmp_path: Path, low: float, high: float, least: float, most: float
) -> None:
    """The whole way, shingles included, at counted similarity; before, 6 in 10 of those at 0.80 to 0.84 were found."""
    base = [writing(seed, 300) for seed in range(900)]
    other = [edited(text, {0.8: 0.022, 0.5: 0.058}[low], seed) for seed, text in enumerate(base)]
    chosen = [index for index, pair in enumerate(zip(base, other, strict=True)) if low <= jaccard(*pair) <= high]
    assert len(chosen) > 150
    dropped = find(
        tmp_path, [[(f"b{index}", base[index]) for index in chosen], [(f"c{index}", other[index]) for index in chosen]]
    )
    share = len(dropped) / len(chosen)
    assert least <= share <= most


@pytest.mark.parametrize(
    "arguments",
    [
        {"threshold": 0.0},
        {"threshold": 1.1},
        {"ngram": 0},
        {"permutations": 100},
        {"permutations": 8},
        {"bands": 257},
        {"threshold": 0.01},
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name}: "):
        Duplicates(**arguments)


def test_the_fingerprint_tells_settings_apart() -> None:
    assert Duplicates().fingerprint() != Duplicates(threshold=0.7).fingerprint()
    assert Duplicates().fingerprint()["kind"] == "duplicates"
