"""Similar words: what is counted, what is similar, and what a file of pairs may hold."""

from __future__ import annotations

import bz2
import gzip
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.counting import word_contexts
from data_prep.counting.similar_words import SCRIPTS, Similarity, Table, script_group, similar_words, write_table
from data_prep.counting.word_contexts import Cells, Words, count_cells, count_frequent_words
from data_prep.counting.word_vectors import attraction, embed
from data_prep.encoded import Encoded, TokenUnits
from data_prep.encoding import Tokenizer
from data_prep.shard_writer import write_shard
from data_prep.shards import Prepared, ShardEntry
from data_prep.word_lists.similar_pairs import REASONS, SimilarPairs, read_pairs, tokenize_surfaces

Sentences = Sequence[Sequence[str]]
"""Each a list of words; a word of several tokens becomes a unit, unless it begins with `~`."""


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer(folder=tokenizer_folder)


@pytest.fixture
def shards_of(tokenizer_folder: Path, tmp_path: Path) -> Callable[..., Prepared]:
    """A prepared folder with the given documents in each of its shards."""
    return lambda *shards, **settings: folder_of(tokenizer_folder, tmp_path / "prepared", *shards, **settings)


def folder_of(
    tokenizer_folder: Path, folder: Path, *shards: Sequence[Sentences], levels: Sequence[str] = ("word",)
) -> Prepared:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tokenizer_folder, folder / "tokenizer")
    tokenizer = Tokenizer(folder=folder / "tokenizer")
    entries = []
    for number, documents in enumerate(shards):
        encoded = [encode(document, tokenizer, levels) for document in documents]
        write_shard(folder / f"{number}.arrow", encoded, list(levels), len(tokenizer.tokens))
        entries.append(
            ShardEntry(f"{number}.arrow", "train", len(encoded), sum(len(item.token_ids_T) for item in encoded), "", 0)
        )
    hashes = {"vocabulary_sha256": tokenizer.vocabulary_sha256, "rules_sha256": tokenizer.rules_sha256}
    return Prepared(
        folder=folder,
        levels=tuple(levels),
        labels=(),
        fingerprint="f" * 64,
        entries=tuple(entries),
        counts={},
        **hashes,
    )


def encode(sentences: Sentences, tokenizer: Tokenizer, levels: Sequence[str]) -> Encoded:
    """A document of words as tokens."""
    words = [word for sentence in sentences for word in sentence]
    ids_T, offsets_W1 = tokenize_surfaces([word.removeprefix("~") for word in words], tokenizer)
    length_W = np.diff(offsets_W1)
    unit_W = (length_W > 1) & np.array([not word.startswith("~") for word in words], bool)
    units = TokenUnits(
        offsets_W1[:-1][unit_W].astype(np.uint32),
        length_W[unit_W].astype(np.uint16),
        np.zeros(int(unit_W.sum()), np.uint8),
    )
    end_S = offsets_W1[np.cumsum([len(sentence) for sentence in sentences])].astype(np.uint32)
    return Encoded(
        **{"id": "d", "language": "zh", "source": "s", "title": ""},
        token_ids_T=ids_T,
        flags_T=np.zeros(len(ids_T), np.uint8),
        sentence_ends_S=end_S,
        paragraph_ends_P=end_S[-1:],
        units=dict.fromkeys(levels, units),
        dropped={},
    )


def named(words: Words, tokenizer: Tokenizer) -> dict[str, int]:
    """Counts by token strings."""
    rows = [words.ids_T[begin:end] for begin, end in pairwise(words.offsets_V1)]
    return {
        " ".join(tokenizer.tokens[index] for index in row): int(count)
        for row, count in zip(rows, words.count_V, strict=True)
    }


def unheard(*arguments: Any) -> None:
    pass


def pairs_of(table: Table) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {surface: [] for surface in table.surfaces}
    for word, similar in zip(table.word_P.tolist(), table.similar_P.tolist(), strict=True):
        found[table.surfaces[word]].append(table.surfaces[similar])
    return found


# --- settings
# -------------------------------------------------------------------------------------------------------------------


def test_the_settings_are_a_documented_frozen_component(check_component: Callable[[type], None]) -> None:
    check_component(Similarity)


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            {"max_words": 1},
            {"max_words": 1_000_001},
            {"min_count": 0},
            {"window": 0},
            {"window": 101},
            {"max_tokens": 0},
            {"smoothing": 0.0},
        ),
        *(
            {"smoothing": 1.5},
            {"shift": -0.1},
            {"shift": float("nan")},
            {"dimensions": 0},
            {"neighbours": 0},
            {"min_similarity": 1.01},
            {"seed": -1},
        ),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name}: "):
        Similarity(**arguments)


# --- counting
# -------------------------------------------------------------------------------------------------------------------


def test_words_are_units_and_whole_tokens(shards_of: Callable[..., Prepared], tokenizer: Tokenizer) -> None:
    prepared = shards_of([[["北京", "the", "opening", "，", "人"], ["~opening", "北京", "龘", "2"]], [["人", "..."]]])
    found = named(count_frequent_words(prepared, 10**6, 1, unheard), tokenizer)
    assert found == {
        "北 京": 2,
        "人": 2,
        "the": 1,
        "open ##ing": 1,
        "2": 1,
    }  # not: ， ... [UNK], and neither `open` nor `##ing`
    assert named(count_frequent_words(prepared, 10**6, 2, unheard), tokenizer) == {"北 京": 2, "人": 2}


WORD = st.sampled_from(["北京", "上海", "人", "水", "the", "opening", "~rained", "，", "龘"])
DOCUMENTS = st.lists(st.lists(st.lists(WORD, min_size=1, max_size=9), min_size=1, max_size=4), min_size=1, max_size=4)


def counted_slowly(documents: Sequence[Sentences], window: int) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    words: Counter[str] = Counter()
    near: Counter[tuple[str, str]] = Counter()
    for sentences in documents:
        for sentence in sentences:
            items = [item for word in sentence for item in ((word[1:5], "##ed") if word.startswith("~") else (word,))]
            real = [item in ("北京", "上海", "人", "水", "the", "opening") for item in items]
            for at, item in enumerate(items):
                words[item] += real[at]
                for other in range(at + 1, min(at + window + 1, len(items))):
                    if real[at] and real[other]:
                        near[min(item, items[other]), max(item, items[other])] += window + 1 - (other - at)
    return +words, near


@settings(max_examples=40)
@given(documents=DOCUMENTS, others=DOCUMENTS, window=st.integers(1, 5), block=st.integers(1, 30))
def test_counts_are_those_of_a_slow_count_however_the_shards_are_cut(
    documents: list[Sentences],
    others: list[Sentences],
    window: int,
    block: int,
    tmp_path_factory: pytest.TempPathFactory,
    tokenizer_folder: Path,
) -> None:
    prepared = folder_of(tokenizer_folder, tmp_path_factory.mktemp("shards") / "prepared", documents, others)
    tokenizer = prepared.tokenizer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_contexts, "BLOCK_TOKENS", block)
        words = count_frequent_words(prepared, 10**6, 1, unheard)
        wanted, near = counted_slowly([*documents, *others], window)
        surfaces = [name.replace(" ##", "").replace(" ", "") for name in named(words, tokenizer)]
        assert dict(zip(surfaces, words.count_V.tolist(), strict=True)) == wanted
        if len(surfaces) == 0:
            return
        cells = count_cells(prepared, 10**6, words, window, unheard)
    found = {
        (min(names), max(names)): count
        for key, count in zip(cells.key_C.tolist(), cells.count_C.tolist(), strict=True)
        if (names := (surfaces[key // len(surfaces)], surfaces[key % len(surfaces)]))
    }
    assert found == near
    assert np.all(np.diff(cells.key_C) > 0)


def test_a_limit_of_tokens_is_spread_over_the_shards_and_never_passed(
    shards_of: Callable[..., Prepared], tokenizer: Tokenizer
) -> None:
    shards = [[[[word] * 5 for _ in range(20)]] for word in ("人", "水", "山", "天")]
    prepared = shards_of(*shards)
    for limit in (4, 40, 111, 400, 10**9):
        read: list[int] = []
        found = named(count_frequent_words(prepared, limit, 1, read.append), tokenizer)
        assert sum(read) == min(limit, 400) // 5 * 5 == sum(found.values())
        if limit >= 40:
            assert len(found) == 4 and max(found.values()) - min(found.values()) <= 5


def test_memory_is_bounded_by_forgetting_the_smallest_cells(
    shards_of: Callable[..., Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    often, rare = [["人", "水"]] * 50, [[first, second] for first in "东西南" for second in "长城市海"]
    prepared = shards_of([[*often, *rare]])
    words = count_frequent_words(prepared, 10**6, 1, unheard)
    everything = count_cells(prepared, 10**6, words, 1, unheard)
    assert (len(everything.key_C), everything.forgotten) == (13, 0)
    monkeypatch.setattr(word_contexts, "MAX_CELLS", 5)
    bounded = count_cells(prepared, 10**6, words, 1, unheard)
    assert (bounded.count_C.tolist(), bounded.forgotten) == ([50], 12)


def test_shards_without_words_are_refused(shards_of: Callable[..., Prepared]) -> None:
    with pytest.raises(ValueError, match="no level `word`, only entity"):
        count_frequent_words(shards_of([[["北京"]]], levels=("entity",)), 10, 1, unheard)


# --- vectors
# --------------------------------------------------------------------------------------------------------------------


def test_attraction_is_shifted_positive_pmi_with_smoothed_contexts() -> None:
    random = np.random.default_rng(3)
    upper = np.triu(random.integers(0, 4, (6, 6)))
    row, column = np.nonzero(upper)
    cells = Cells(row * 6 + column, upper[row, column], 0)
    counts = (upper + upper.T).astype(float)
    context = counts.sum(0) ** 0.75 / (counts.sum(0) ** 0.75).sum()
    with np.errstate(divide="ignore"):
        wanted = np.maximum(np.log(counts / counts.sum(1, keepdims=True) / context) - 0.2, 0)
    found = attraction(cells, 6, 0.75, 0.2)
    dense = np.zeros((6, 6))
    for word in range(6):
        here = slice(found.starts_V1[word], found.starts_V1[word + 1])
        dense[word, found.context_N[here]] = found.value_N[here]
    np.testing.assert_allclose(dense, wanted, rtol=1e-6)
    left, values, _ = np.linalg.svd(wanted)
    rows = left * np.sqrt(values)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    vectors = embed(found, 6, 0)
    np.testing.assert_allclose(vectors @ vectors.T, rows @ rows.T, atol=1e-4)


def test_a_word_that_attracts_none_has_a_vector_of_zeros_and_torchs_generator_is_left_alone() -> None:
    import torch

    before = torch.get_rng_state()
    vectors = embed(attraction(Cells(np.array([1, 6]), np.array([5, 5]), 0), 5, 0.75, 0.0), 3, 0)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 0, 0], atol=1e-6)
    nothing = attraction(Cells(np.zeros(0, np.int64), np.zeros(0, np.int64), 0), 5, 0.75, 0.0)
    assert not embed(nothing, 3, 0).any()


# --- the table
# ------------------------------------------------------------------------------------------------------------------

TOPICS = (("北京", "上海", "rain", "人"), ("天地", "东西", "rome", "中"), ("学生", "大学", "river", "国"))
CONTEXTS = (("江水", "山水", "南山"), ("长城", "城市", "海水"), ("书中", "中国", "一个"))


def corpus(repeats: int = 30) -> list[Sentences]:
    """Words of a topic have the same company, whatever their form."""
    random = np.random.default_rng(7)
    documents = []
    for _ in range(repeats):
        for words, contexts in zip(TOPICS, CONTEXTS, strict=True):
            company = [str(word) for word in random.choice(contexts, 4)]
            documents.append([[*company[:2], word, *company[2:]] for word in words])
    return documents


SMALL = Similarity(min_count=5, dimensions=12, min_similarity=0.8, window=2)


def test_words_of_the_same_company_find_each_other_and_token_count_and_script_are_respected(
    shards_of: Callable[..., Prepared],
) -> None:
    table = similar_words(shards_of(corpus()), SMALL, unheard)
    found = pairs_of(table)
    for one, other, latin, single in TOPICS:
        assert found[one] == [other] and found[other] == [one]
        assert found[latin] == found[single] == []  # all of its kind that are as long have another company
    assert table.alone == sum(not similar for similar in found.values())
    assert table.cosine_P[table.word_P == table.surfaces.index("北京")].tolist() == [pytest.approx(1, abs=0.02)]
    loose = pairs_of(
        similar_words(
            shards_of(corpus()), Similarity(min_count=5, dimensions=12, min_similarity=-1.0, window=2), unheard
        )
    )
    for word, similar in loose.items():
        assert word not in similar and len(set(similar)) == len(similar) > 0
        assert {(script_group(other), len(other) if script_group(other) == 0 else 1) for other in similar} == {
            (script_group(word), len(word) if script_group(word) == 0 else 1)
        }


def test_the_same_folder_gives_the_same_table(
    shards_of: Callable[..., Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    prepared, written = shards_of(corpus()[:40], corpus()[40:]), []
    for seed, block in ((1, 1 << 20), (2, 33)):
        torch.manual_seed(seed)
        monkeypatch.setattr(word_contexts, "BLOCK_TOKENS", block)
        write_table(tmp_path / "t.tsv", similar_words(prepared, SMALL, unheard), prepared, SMALL)
        written.append((tmp_path / "t.tsv").read_bytes())
    assert written[0] == written[1]
    head = written[0].decode().splitlines()[:2]
    assert "f" * 64 in head[0] and "min_count=5" in head[1]


def test_the_most_frequent_words_are_kept_and_at_most_so_many_neighbours(shards_of: Callable[..., Prepared]) -> None:
    few = similar_words(
        shards_of(corpus()), Similarity(max_words=9, min_count=1, min_similarity=-1.0, neighbours=3), unheard
    )
    assert sorted(few.surfaces) == sorted(word for group in CONTEXTS for word in group)
    assert np.bincount(few.word_P).max() == 3
    assert [few.surfaces[word] for word in sorted(set(few.word_P.tolist()))] == few.surfaces


def test_what_cannot_give_a_table_says_so(shards_of: Callable[..., Prepared]) -> None:
    with pytest.raises(ValueError, match=r"1 word\(s\) occur 3 times or more, two are needed. Lower min_count"):
        similar_words(shards_of([[["北京"] * 3]]), Similarity(min_count=3), unheard)
    with pytest.raises(ValueError, match=r"no two of 2 words are similar. Lower min_similarity"):
        similar_words(shards_of([[["北京"] * 3, ["the"] * 3]]), Similarity(min_count=3), unheard)
    with pytest.raises(ValueError, match="0 word"):
        similar_words(shards_of([[["，", "。"]]]), Similarity(min_count=1), unheard)


def test_a_table_is_read_back_as_the_pairs_it_was_made_of(shards_of: Callable[..., Prepared], tmp_path: Path) -> None:
    prepared = shards_of([*corpus(), *[[["opening", "river"], ["rained", "river"]]] * 30])
    wide = Similarity(min_count=5, min_similarity=0.0)
    table = similar_words(prepared, wide, unheard)
    assert "opening" in table.surfaces
    write_table(tmp_path / "t.tsv", table, prepared, wide)
    pairs = read_pairs(tmp_path / "t.tsv", prepared.tokenizer)
    assert pairs.left_out == {}
    wanted = {(word, other) for word, similar in pairs_of(table).items() for other in similar}
    assert set(texts(pairs, prepared.tokenizer)) == wanted


def test_a_word_whose_text_gives_other_tokens_is_left_out_and_counted(shards_of: Callable[..., Prepared]) -> None:
    prepared = shards_of(corpus())
    shard = Path(prepared.folder / "0.arrow")
    documents = [encode(document, prepared.tokenizer, ("word",)) for document in corpus()]
    vocabulary = {token: index for index, token in enumerate(prepared.tokenizer.tokens)}
    ids_T = np.array(
        [vocabulary["the"], vocabulary["open"]] * 9
        + [vocabulary["o"], vocabulary["##p"], vocabulary["##e"], vocabulary["##n"]] * 9,
        np.int32,
    )
    start_U = np.concatenate([np.arange(0, 18, 2), np.arange(18, 54, 4)]).astype(np.uint32)
    units = TokenUnits(start_U, np.repeat([2, 4], 9).astype(np.uint16), np.zeros(18, np.uint8))
    documents.append(
        Encoded(
            **{"id": "d", "language": "en", "source": "s", "title": ""},
            token_ids_T=ids_T,
            flags_T=np.zeros(54, np.uint8),
            sentence_ends_S=np.array([54], np.uint32),
            paragraph_ends_P=np.array([54], np.uint32),
            units={"word": units},
            dropped={},
        )
    )
    write_shard(shard, documents, ["word"], len(vocabulary))
    table = similar_words(prepared, SMALL, unheard)
    assert (
        table.left_out == 1
    )  # o ##p ##e ##n is spelled `open`, one token; the unit `the open` is spelled with a space
    assert "the open" in table.surfaces


@pytest.mark.parametrize(
    ("surface", "name"),
    [
        ("北京", "Han"),
        ("𠀀〇", "Han"),
        ("don't", "Latin"),
        ("café", "Latin"),
        ("3d打印", "other"),
        ("1998", "other"),
        ("москва", "other"),
    ],
)
def test_scripts_are_han_latin_or_other(surface: str, name: str) -> None:
    assert SCRIPTS[script_group(surface)] == name


# --- reading pairs
# --------------------------------------------------------------------------------------------------------------


def texts(pairs: SimilarPairs, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Pairs as text again."""

    def text(ids: np.ndarray[Any, Any]) -> str:
        return "".join(tokenizer.tokens[index].removeprefix("##") for index in ids)

    return [
        (text(pairs.word_ids_T[begin:end]), text(pairs.similar_ids_T[begin:end]))
        for begin, end in pairwise(pairs.offsets_P1)
    ]


def read(content: str | bytes, tokenizer: Tokenizer, folder: Path, name: str = "pairs.tsv") -> SimilarPairs:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_pairs(folder / name, tokenizer)


def test_pairs_become_ids_and_comments_and_blank_lines_are_passed_over(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pairs = read("\ufeff# mine\r\n\r\n北京\t上海\r\n opening \t rained \t 0.5\r\n", tokenizer, tmp_path)
    assert texts(pairs, tokenizer) == [("北京", "上海"), ("opening", "rained")]
    assert pairs.word_ids_T.dtype == np.int32 and pairs.offsets_P1.tolist() == [0, 2, 4] and pairs.pairs == 2
    assert pairs.left_out == {}


def test_what_cannot_be_used_is_counted_by_its_first_reason(tokenizer: Tokenizer, tmp_path: Path) -> None:
    lines = ["北京\t上海", "北京\t人", "北京\t龘龘", "Rome\trome", "the\trome", "THE\tRome", "北京\t北京", "人\t\u200d"]
    pairs = read("\n".join(lines), tokenizer, tmp_path)
    assert texts(pairs, tokenizer) == [("北京", "上海"), ("the", "rome")]
    assert pairs.left_out == dict(zip(REASONS, (1, 1, 1, 2, 1), strict=True))


def test_pairs_of_a_word_stand_together_and_the_best_score_comes_first(tokenizer: Tokenizer, tmp_path: Path) -> None:
    lines = ["人\t水\t.1", "the\trome", "人\t山", "人\t天\t.9", "人\t地", "The\train\t-2", "人\t书\t1e-1"]
    pairs = read("\n".join(lines), tokenizer, tmp_path)
    assert [f"{word} {similar}" for word, similar in texts(pairs, tokenizer)] == [
        "人 天",
        "人 水",
        "人 书",
        "人 山",
        "人 地",
        "the rain",
        "the rome",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("北京", "is not word, similar word, score"),
        ("北京 上海", "is not word, similar word, score"),
        ("北京\t", "is not word, similar word, score"),
        ("\t上海", "is not word, similar word, score"),
        ("北京\t上海\t.5\tx", "is not word, similar word, score"),
        ("北京\t上海\t天地", "'天地' is not a score; list every similar word on a line of its own"),
        ("北京\t上海\tnan", "'nan' is not a score"),
        ("北京\t上\u2028海", "a line break inside a word"),
    ],
)
def test_a_malformed_line_is_refused_with_its_place(
    line: str, message: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as caught:
        read(f"# comment\n人\t水\n{line}\n", tokenizer, tmp_path)
    assert f"{tmp_path / 'pairs.tsv'}:3: " in str(caught.value)
    assert message in str(caught.value)
    assert "Write `word<TAB>similar word`" in str(caught.value)


def test_a_line_that_is_no_utf8_is_refused_with_its_place(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pairs.tsv:2: not UTF-8"):
        read("人\t水\n".encode() + b"\xff\t\xfe\n", tokenizer, tmp_path)


def test_a_file_without_a_usable_pair_says_why(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"not one usable pair under the tokenizer .* \(unknown token: 2, different number of tokens: 1\)",
    ):
        read("人\t龘\n龘\t人\n人\t北京\n", tokenizer, tmp_path)
    with pytest.raises(ValueError, match="the file names no pair"):
        read("# nothing\n\n", tokenizer, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"similar words .*missing.tsv: no such file"):
        read_pairs(tmp_path / "missing.tsv", tokenizer)


def test_compressed_files_are_read_and_damaged_ones_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    import zstandard

    content = "北京\t上海\n".encode()
    for name, packed in (
        ("a.tsv.gz", gzip.compress(content)),
        ("a.tsv.bz2", bz2.compress(content)),
        ("a.tsv.zst", zstandard.compress(content)),
    ):
        assert texts(read(packed, tokenizer, tmp_path, name), tokenizer) == [("北京", "上海")]
    with pytest.raises(ValueError, match="damaged or cut short"):
        read(gzip.compress(content)[:-9], tokenizer, tmp_path, "b.tsv.gz")


SURFACE = st.lists(
    st.sampled_from([*"北京人水。", "open", "ing", "Rome", "龘", "2", "é", "\u200d", "'"]), min_size=1, max_size=4
).map("".join)


@settings(max_examples=100)
@given(listed=st.lists(st.tuples(SURFACE, SURFACE), min_size=1, max_size=20))
def test_every_pair_is_read_as_its_surfaces_are_tokenized_alone_or_counted(
    listed: list[tuple[str, str]], tokenizer: Tokenizer, tmp_path_factory: Any
) -> None:
    wanted = set()
    for pair in listed:
        word, similar = (tuple(tokenize_surfaces([surface], tokenizer)[0].tolist()) for surface in pair)
        if (
            word
            and len(word) == len(similar)
            and word != similar
            and tokenizer.special_ids["[UNK]"] not in (*word, *similar)
        ):
            wanted.add((word, similar))
    file = tmp_path_factory.mktemp("pairs")
    content = "".join(f"{word}\t{similar}\n" for word, similar in listed)
    if not wanted:
        with pytest.raises(ValueError, match="not one usable pair"):
            read(content, tokenizer, file)
        return
    pairs = read(content, tokenizer, file)
    found = [
        tuple(tuple(side[begin:end].tolist()) for side in (pairs.word_ids_T, pairs.similar_ids_T))
        for begin, end in pairwise(pairs.offsets_P1)
    ]
    assert len(found) == len(set(found)) and set(found) == wanted
    assert pairs.pairs + sum(pairs.left_out.values()) == len(listed)
