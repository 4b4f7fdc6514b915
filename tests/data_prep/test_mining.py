"""Mining: exact counts and statistics, fragments, breaks, and one result for every way to divide the work."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.annotating.annotation import Annotation
from data_prep.corpora.jsonl import Jsonl
from data_prep.counting import mining, ngrams
from data_prep.counting.collocations import count_ngrams, write_counts
from data_prep.counting.mining import Mining
from data_prep.counting.mining_step import COLUMNS, LEXICON, MiningStep
from data_prep.counting.ngrams import StoredTokenBlock, TokenBlock, TokenKeys
from data_prep.documents import Document
from data_prep.engines.local import Local
from data_prep.preparing.corpus_tasks import mine
from data_prep.preparing.plan import Preparation
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [str(ROOT / f"examples/corpus/{name}.jsonl") for name in ("zh", "en")]


def document(text: str, language: str = "en", id: str = "d") -> Document:
    return Document(id=id, language=language, text=text, title="", source="s")


def mined(
    texts: list[str], folder: Path, language: str = "en", parts: int = 1, **settings: Any
) -> dict[str, dict[str, str]]:
    """The lexicon mined from texts: surface -> columns."""
    annotation = Annotation(segmenters={"zh": Rjieba(hmm=False), "en": Pretokenizer()}, annotators=[], labels={})
    step = MiningStep(mining=Mining(**{"min_count": 3, **settings}), annotation=annotation, share=1.0)
    folders = [folder / f"part{number}" for number in range(parts)]
    for number, part in enumerate(folders):
        part.mkdir(parents=True)
        step.map(
            (
                (index, document(text, language, str(index)))
                for index, text in enumerate(texts)
                if index * parts // len(texts) == number
            ),
            part,
        )
    (folder / "result").mkdir()
    step.reduce(folders, folder / "result")
    return read(folder / "result" / LEXICON)


def read(file: Path) -> dict[str, dict[str, str]]:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {line.split("\t")[0]: dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines}


def sentences(phrase: str, number: int, words: str = "abcdefghijklmnopqrstuvwxyz") -> list[str]:
    """Texts of random two-letter words with ``phrase`` in ever new company."""
    random = np.random.default_rng(5)
    pairs = ["".join(pair) for pair in itertools.product(words, repeat=2)]
    return [" ".join([*random.choice(pairs, 6), phrase, *random.choice(pairs, 6)]) for _ in range(number)]


def test_the_settings_are_a_documented_frozen_component(check_component: Callable[[type], None]) -> None:
    check_component(Mining)


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            {"languages": []},
            {"max_words": 1},
            {"max_words": 11},
            {"min_count": 1},
            {"min_npmi": 1.1},
            {"min_entropy": -1},
        ),
        *({"nested_share": 0.0}, {"max_entries": 0}, {"sample_bytes": 0}, {"score": "tf"}),
        *({"quotas": [0.5, 0.6]}, {"quotas": [0.0]}, {"quotas": [0.2] * 5}, {"quotas": [1.5, -0.5]}),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name}: "):
        Mining(**arguments)


# --- tokens
# ---------------------------------------------------------------------------------------------------------------------


def stored(texts: list[str], folder: Path, language: str = "en") -> StoredTokenBlock:
    block = TokenBlock(TokenKeys(language))
    segmenter = Pretokenizer() if language == "en" else Rjieba(hmm=False)
    for text in texts:
        block.add(document(text, language), segmenter.words(text))
    block.write(folder / f"{language}-0")
    write_counts(StoredTokenBlock(folder / f"{language}-0"))
    return StoredTokenBlock(folder / f"{language}-0")


def test_tokens_are_words_and_lone_letters_with_edges_where_the_text_breaks(tmp_path: Path) -> None:
    text = "他在New York。《山海》2015年"
    block = stored([text], tmp_path, "zh")
    spans = list(
        zip(block.array("starts").tolist(), block.array("ends").tolist(), block.array("joins").tolist(), strict=True)
    )
    shown = [(text[start:end] or "|", join) for start, end, join in spans]
    # edges: line end | before 他, 。 after York (《 leaves none), none around 山海, 0 before 年, line end after it
    assert shown == [
        ("|", 0),
        ("他", 1),
        ("在", 1),
        ("New", 1),
        ("York", 2),
        ("|", 1),
        ("山海", 0),
        ("|", 0),
        ("年", 1),
        ("|", 1),
    ]
    assert block.text() == text
    assert block.language == "zh"


def test_an_edge_is_the_character_met_with_every_digit_the_same(tmp_path: Path) -> None:
    keys = stored(["aa 1", "aa 22", "aa ３", "aa,", "aa, bb"], tmp_path).array("keys").reshape(-1).tolist()
    edges = ngrams.edge_keys("en")
    assert keys.count(int(edges[ord("0")])) == 3
    assert keys.count(int(edges[ord(",")])) == 3
    assert int(edges[ord("“")]) == int(edges[ord("a")]) == 0


# --- statistics, against a plain count
# ------------------------------------------------------------------------------------------


def test_counts_and_entropies_equal_a_plain_count(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    texts = [
        " ".join(random.choice(["aa", "bb", "cc", "dd", "ee,", "ff"], 40, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05]))
        for _ in range(30)
    ]
    min_count = 4
    found = count_ngrams([stored(texts, tmp_path)], min_count, 4, tmp_path)
    lines = [["\n", *re.findall(r"\w+|,", text), "\n"] for text in texts]
    runs = [run for line in lines for run in runs_of(line)]
    pairs = Counter(pair for run in runs for pair in itertools.pairwise(run))
    for length in (2, 3, 4):
        counts, left, right = Counter[tuple[str, ...]](), Counter[Any](), Counter[Any]()
        for run in runs:
            for start in range(len(run) - length + 1):
                gram = tuple(run[start : start + length])
                if not {"\n", ","} & set(gram):
                    counts[gram] += 1
                    left[gram, run[start - 1]] += 1
                    right[gram, run[start + length]] += 1
        expected = {}
        for gram, count in counts.items():
            if count >= min_count:
                entropies = []
                for sides, edge in ((left, lambda g, n: (n, g[0])), (right, lambda g, n: (g[-1], n))):
                    near = [
                        c
                        for (other, neighbour), c in sides.items()
                        if other == gram and pairs[edge(gram, neighbour)] >= min_count
                    ]
                    entropies.append(math.log2(count) - sum(c * math.log2(c) for c in near) / count)
                expected[key_of(gram)] = (count, *entropies)
        grams = found[length]
        shown = zip(
            grams.key_D.tolist(),
            zip(grams.count_D.tolist(), *(side.tolist() for side in grams.entropy()), strict=True),
            strict=True,
        )
        assert {key: pytest.approx(row, abs=1e-9) for key, row in shown} == expected


def runs_of(line: list[str]) -> Iterator[list[str]]:
    """A line of words, `,` and line ends, cut at the breaks; both sides keep the break as their edge."""
    run: list[str] = []
    for token in line:
        run.append(token)
        if token in (",", "\n") and len(run) > 1:
            yield run
            run = [token]


def key_of(gram: tuple[str, ...]) -> int:
    keys = TokenKeys("en")
    array = np.array([[keys[word] for word in gram]], np.uint64)
    return int(mining.ngram_keys(array, np.full(array.shape, ngrams.SPACED, np.uint8), 0, len(gram))[0])


def test_npmi_is_taken_at_the_weakest_cut(tmp_path: Path) -> None:
    texts = sentences("new york", 40) + sentences("york", 10)
    entry = mined(texts, tmp_path, min_entropy=0.5)["new york"]
    total = sum(len(text.split()) for text in texts)
    assert entry["count"] == "40"
    assert float(entry["npmi"]) == pytest.approx(math.log(40 * total / (40 * 50)) / -math.log(40 / total), abs=5e-4)


def divisions(words: tuple[str, ...]) -> Iterator[list[tuple[str, ...]]]:
    """Every way to cut a row of words, the whole row included."""
    for cuts in itertools.product([False, True], repeat=len(words) - 1):
        edges = [0, *(place + 1 for place, cut in enumerate(cuts) if cut), len(words)]
        yield [words[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize("score", ["pmi", "pmi_squared"])
def test_pmi_is_the_minimum_over_all_divisions_by_a_plain_count(score: str, tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    texts = [" ".join(random.choice(["aa", "bb", "cc", "dd"], 60, p=[0.4, 0.3, 0.2, 0.1])) for _ in range(40)]
    found = mined(texts, tmp_path, score=score, min_npmi=-1, min_entropy=0, nested_share=1, max_words=4, min_count=2)
    counts = Counter(
        tuple(words[start : start + length])
        for words in map(str.split, texts)
        for length in (1, 2, 3, 4)
        for start in range(len(words) - length + 1)
    )
    total = sum(count for gram, count in counts.items() if len(gram) == 1)
    assert {len(surface.split()) for surface in found} == {2, 3, 4}
    finer = 0
    for surface, entry in found.items():
        gram = tuple(surface.split())
        share = {part: math.log2(counts[part] / total) for parts in divisions(gram) for part in parts}
        sums = {len(parts): 0.0 for parts in divisions(gram)}
        sums = {
            size: max(sum(share[part] for part in parts) for parts in divisions(gram) if len(parts) == size)
            for size in sums
            if size > 1
        }
        factor = 2 if score == "pmi_squared" else 1
        assert float(entry["score"]) == pytest.approx(factor * share[gram] - max(sums.values()), abs=6e-4)
        finer += max(sums.values()) > sums[2] + 1e-3
    assert finer > 5, "for some n-grams the most likely division has more than two parts, or cuts in two would do"


def test_every_length_has_its_quota_of_the_best(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    texts = [" ".join(random.choice(["aa", "bb", "cc", "dd", "ee"], 60)) for _ in range(40)]
    settings = {"score": "pmi", "min_npmi": -1, "min_entropy": 0, "nested_share": 1, "max_words": 4, "min_count": 2}
    every = mined(texts, tmp_path / "all", **settings)
    found = mined(texts, tmp_path / "some", **settings, quotas=[0.5, 0.25], max_entries=20)
    by_length = {length: [surface for surface in every if len(surface.split()) == length] for length in (2, 3, 4)}
    assert sorted(found) == sorted(by_length[2][:10] + by_length[3][:5])
    assert len(by_length[2]) > 10 and len(by_length[4]) > 5


# --- what is chosen
# -------------------------------------------------------------------------------------------------------------


def test_a_phrase_in_free_company_is_found_and_its_fragments_are_not(tmp_path: Path) -> None:
    found = mined(sentences("hall of fame", 60), tmp_path, min_count=10)
    assert list(found) == ["hall of fame"]
    assert found["hall of fame"]["count"] == "60"
    assert "【hall of fame】" in found["hall of fame"]["example"]


def test_a_name_that_the_segmenter_tears_into_letters_is_found(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 1500, 7)]
    texts = ["".join([*random.choice(letters, 5), "谢斯塔克", *random.choice(letters, 5)]) for _ in range(50)]
    found = mined(texts, tmp_path, language="zh")
    assert "谢斯塔克" in found
    assert not {"谢斯塔", "斯塔克", "谢斯", "斯塔", "塔克"} & set(found)


@pytest.mark.parametrize("between", [", ", "\n", " 7 ", " (", ". "])
def test_no_entry_runs_across_a_break(between: str, tmp_path: Path) -> None:
    assert mined(sentences(f"new{between}york", 40), tmp_path) == {}


def test_a_template_that_always_meets_the_same_break_is_no_term_but_a_title_is(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    words = ["".join(pair) for pair in itertools.product("abcdefghij", repeat=2)]
    texts = [
        f"{random.choice(words)} population density 17 {random.choice(words)} 《silent spring》 {random.choice(words)}"
        for _ in range(60)
    ]
    found = mined(texts, tmp_path)
    assert "silent spring" in found
    assert "population density" not in found


def test_function_words_begin_and_end_no_entry(tmp_path: Path) -> None:
    assert set(mined(sentences("The silent spring of", 60), tmp_path, min_count=20, min_entropy=0)) == {"silent spring"}


def test_spaced_and_touching_words_are_different_entries_spelled_as_in_the_text(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 1500, 7)]
    texts = [
        "".join([*random.choice(letters, 4), form, *random.choice(letters, 4)])
        for form in ["AI芯片"] * 30 + ["AI 芯片"] * 30
    ]
    found = mined(texts, tmp_path, language="zh", min_npmi=0.1)
    assert {"AI芯片", "AI 芯片"} <= set(found)
    assert {found["AI芯片"]["count"], found["AI 芯片"]["count"]} == {"30"}


def test_the_best_entries_stay_when_there_are_too_many(tmp_path: Path) -> None:
    texts = sentences("new york", 60) + sentences("hong kong", 30)
    assert [*mined(texts, tmp_path / "all", min_count=10)] == ["new york", "hong kong"]
    assert [*mined(texts, tmp_path / "one", min_count=10, max_entries=1)] == ["new york"]


def test_lines_are_sorted_by_score_and_the_header_tells_the_settings(tmp_path: Path) -> None:
    found = mined(sentences("new york", 60) + sentences("hong kong", 30), tmp_path)
    scores = [float(entry["score"]) for entry in found.values()]
    assert scores == sorted(scores, reverse=True)
    header = [
        line
        for line in (tmp_path / "result" / LEXICON).read_text(encoding="utf-8").splitlines()
        if line.startswith("# ")
    ]
    assert "min_count=3" in header[1]
    assert header[2] == "# " + "\t".join(COLUMNS)


def test_nothing_to_read_gives_a_lexicon_without_entries(tmp_path: Path) -> None:
    assert mined([",,,", "12 13"], tmp_path) == {}


# --- one result for every division of the work
# ----------------------------------------------------------------------------------


def test_parts_and_blocks_do_not_change_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sentences("new york", 50) + sentences("hall of fame", 40) + sentences("hong kong", 30)
    expected = mined(texts, tmp_path / "whole")
    assert {"new york", "hall of fame", "hong kong"} <= set(expected)
    assert mined(texts, tmp_path / "parts", parts=7) == expected
    monkeypatch.setattr(ngrams, "BLOCK_CHARACTERS", 300)
    assert mined(texts, tmp_path / "blocks", parts=2) == expected


def mine_examples(folder: Path, workers: int, part_bytes: int, **settings: Any) -> bytes:
    preparation = Preparation(
        output=str(folder / "data"),
        corpora=[Jsonl(paths=EXAMPLES)],
        part_bytes=part_bytes,
        engine=Local(workers=workers),
    )
    file = folder / f"{workers}-{part_bytes}.tsv"
    mine(preparation, Mining(**{"min_count": 3, **settings}), file, lambda progress: None, lambda done, parts: None)
    assert [path.name for path in folder.iterdir()] == [file.name], "the work folder goes when the lexicon is there"
    return file.read_bytes()


def test_workers_and_part_sizes_give_the_same_bytes(tmp_path: Path) -> None:
    results = []
    for workers, part_bytes in ((1, 1 << 20), (1, 20_000), (2, 50_000)):
        folder = tmp_path / f"{workers}-{part_bytes}"
        folder.mkdir()
        results.append(mine_examples(folder, workers, part_bytes, min_count=2, min_entropy=0.9))
    assert len(results[0].splitlines()) > 20
    assert results[0] == results[1] == results[2]


def test_a_sample_is_drawn_by_document_whatever_the_parts(tmp_path: Path) -> None:
    sizes = {}
    for part_bytes in (1 << 20, 20_000):
        folder = tmp_path / str(part_bytes)
        folder.mkdir()
        sizes[part_bytes] = mine_examples(folder, 1, part_bytes, sample_bytes=60_000)
    assert len(set(sizes.values())) == 1
    whole = tmp_path / "whole"
    whole.mkdir()
    assert len(mine_examples(whole, 1, 0)) > len(sizes[20_000])


def test_only_documents_of_the_languages_wanted_are_read(tmp_path: Path) -> None:
    english = mine_examples(tmp_path, 1, 0, languages=["en"]).decode()
    entries = [line for line in english.splitlines() if not line.startswith("#")]
    assert entries
    assert all(line.split("\t")[0].isascii() for line in entries)


def test_the_examples_hold_what_they_are_about(tmp_path: Path) -> None:
    text = "".join(
        json.loads(line)["text"] for file in EXAMPLES for line in Path(file).read_text(encoding="utf-8").splitlines()
    )
    mine_examples(tmp_path, 1, 0)
    for surface, entry in read(tmp_path / "1-0.tsv").items():
        assert text.count(surface) >= int(entry["count"])
