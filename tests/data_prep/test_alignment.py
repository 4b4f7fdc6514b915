"""Token spans against a slow second opinion: every character unit on token boundaries is encoded, and nothing else is.

``check`` below looks each unit up, character by character, in the offsets of the `tokenizers` library itself; it shares
no code with data_prep/encoding.py. benchmarks/bench_quality.py runs it over whole corpora.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.annotating.annotation import WORD, Annotation
from data_prep.annotators.lexicon import Lexicon
from data_prep.documents import Annotated, Document, Units
from data_prep.encoded import Encoded, TokenUnits
from data_prep.encoding import Tokenizer, encode
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.sentences import split_sentences

HAN = "的一是在了有和人这中大国为上个北京学江水山书生天地东西南长城市海"
LONGEST = 65535


class Alignment(NamedTuple):
    """What became of the character units of one level."""

    seen: int
    on_boundaries: int
    """No token reaches over an edge of the unit, and it has tokens (at most 65,535)."""
    single: int
    """Of these, words of one token, which are not listed: the token is its own unit."""
    kept: int
    """Listed in the encoded document as they should be."""
    misfits: int
    """Not on boundaries."""
    missing: int
    """Should be listed and are not."""
    invented: int
    """Listed and should not be; a unit with wrong edges or a wrong label is missing and invented."""
    miscounted: int
    """By how much the encoder's own count of misfits is off."""


def backend_of(folder: Path) -> Any:
    """The library's tokenizer of a folder, special tokens in the text taken as text."""
    from tokenizers import Tokenizer as Backend

    backend = Backend.from_file(str(folder / "tokenizer.json"))
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    return backend


def check(annotated: Annotated, encoded: Encoded, backend: Any) -> dict[str, Alignment]:
    """Look every character unit up in the library's offsets; by level.

    Raises:
        AssertionError: the token ids are not the library's.
    """
    encoding = backend.encode(annotated.document.text, add_special_tokens=False)
    assert encoded.token_ids_T.tolist() == encoding.ids, f"{annotated.document.id}: token ids differ from the library's"
    begins: dict[int, list[int]] = {}
    covered = set[int]()
    for number, (start, end) in enumerate(encoding.offsets):
        begins.setdefault(start, []).append(number)
        covered.update(range(start + 1, end))
    return {level: check_level(level, units, encoded, begins, covered) for level, units in annotated.units.items()}


def check_level(
    level: str, units: Units, encoded: Encoded, begins: dict[int, list[int]], covered: set[int]
) -> Alignment:
    """One level. ``begins``: character -> tokens that begin there; ``covered``: characters with a token on both sides
    of their left edge."""
    expected: Counter[tuple[int, int, int]] = Counter()
    fitting = single = 0
    for start, end, label in zip(units.start_U.tolist(), units.end_U.tolist(), units.label_U.tolist(), strict=True):
        tokens = [token for character in range(start, end) for token in begins.get(character, ())]
        if start in covered or end in covered or not tokens or len(tokens) > LONGEST:
            continue
        fitting += 1
        if level == "word" and len(tokens) == 1:
            single += 1
        else:
            expected[tokens[0], len(tokens), label] += 1
    listed = encoded.units[level]
    found = Counter(zip(listed.start_U.tolist(), listed.length_U.tolist(), listed.label_U.tolist(), strict=True))
    misfits = len(units) - fitting
    return Alignment(
        seen=len(units),
        on_boundaries=fitting,
        single=single,
        kept=(expected & found).total(),
        misfits=misfits,
        missing=(expected - found).total(),
        invented=(found - expected).total(),
        miscounted=abs(encoded.dropped.get(f"{level} fits no token boundary", 0) - misfits),
    )


def added(results: list[dict[str, Alignment]]) -> dict[str, Alignment]:
    """The counts of several documents in one."""
    totals: dict[str, Alignment] = {}
    for result in results:
        for level, counts in result.items():
            totals[level] = Alignment(
                *map(sum, zip(totals.get(level, (0,) * len(Alignment._fields)), counts, strict=True))
            )
    return totals


def faults(result: dict[str, Alignment]) -> int:
    return sum(counts.missing + counts.invented + counts.miscounted for counts in result.values())


def marked(text: str, levels: dict[str, list[tuple[int, int, int]]]) -> Annotated:
    document = Document(id="d", language="en", text=text, title="", source="test")
    sentences_S2, paragraph_ends_P = split_sentences(document.characters)
    units = {level: Units.of(found) for level, found in levels.items()}
    return Annotated(
        document=document, sentences_S2=sentences_S2, paragraph_ends_P=paragraph_ends_P, units=units, dropped={}
    )


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer(folder=tokenizer_folder)


@pytest.fixture(scope="module")
def backend(tokenizer_folder: Path) -> Any:
    return backend_of(tokenizer_folder)


@st.composite
def annotated_texts(draw: st.DrawFn) -> Annotated:
    """Texts in every script with arbitrary units: also on blanks, inside words, between a letter and its accent."""
    odd = "é e\u0301각ﬁ№½İß\u200b\u00a0\n\t😀𠀀か１Ａ–—´`"
    words = ["rome", "opened", "raining", "New York", "北京大学", "[MASK]", "##ed", "x" * 101, " ", "。", ". "]
    pieces = st.one_of(
        st.sampled_from(words), st.text(st.sampled_from(HAN + "abcxyz0189 ,.'-" + odd), max_size=6), st.text(max_size=3)
    )
    text = "".join(draw(st.lists(pieces, max_size=25)))
    levels = {}
    for level in ("word", "phrase", "entity"):
        edges = sorted(draw(st.sets(st.integers(0, len(text)), max_size=30)))
        skipped = draw(st.sets(st.integers(0, 30)))
        levels[level] = [
            (start, end, number % 3) for number, (start, end) in enumerate(pairwise(edges)) if number not in skipped
        ]
    return marked(text, levels)


@settings(max_examples=400, deadline=None)
@given(annotated=annotated_texts())
def test_all_units_on_token_boundaries_are_encoded_and_no_other(
    tokenizer: Tokenizer, backend: Any, annotated: Annotated
) -> None:
    encoded = encode(annotated, tokenizer)
    result = check(annotated, encoded, backend)
    assert faults(result) == 0
    assert all(counts.on_boundaries == counts.single + counts.kept for counts in result.values())


@pytest.fixture(scope="module")
def annotation(tmp_path_factory: pytest.TempPathFactory) -> Annotation:
    file = tmp_path_factory.mktemp("lexicon") / "entities.txt"
    file.write_text("北京大学\nNew York\n江水\nrome\n大学生\n", encoding="utf-8")
    lexicon = Lexicon(level="entity", type="NAME", paths=[str(file)])
    labels = {label: number for number, label in enumerate([WORD, *lexicon.labels()])}
    return Annotation(segmenters={"zh": Rjieba(), "en": Pretokenizer()}, annotators=[lexicon], labels=labels)


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            st.sampled_from(["北京大学", "New York", "Rome was", "大学生", "江水", " ", "。", "opened. "]),
            st.text(HAN, max_size=5),
            st.text(max_size=2),
        )
    )
)
def test_what_segmenters_and_lexicons_find_is_encoded_whole(
    tokenizer: Tokenizer, backend: Any, annotation: Annotation, pieces: list[str]
) -> None:
    text = "".join(pieces)
    for language in ("zh", "en"):
        annotated = annotation.annotate(Document(id="d", language=language, text=text, title="", source="test"))
        assert faults(check(annotated, encode(annotated, tokenizer), backend)) == 0


class TestTheChecker:
    """It would see a fault."""

    @pytest.fixture
    def annotated(self) -> Annotated:
        #                          0123456789012345
        return marked(
            "北京 opened rome", {"word": [(0, 2, 0), (3, 9, 0), (10, 14, 0)], "entity": [(0, 2, 1), (4, 8, 1)]}
        )

    @pytest.fixture
    def encoded(self, annotated: Annotated, tokenizer: Tokenizer) -> Encoded:
        return encode(annotated, tokenizer)

    def test_counts_what_became_of_each_unit(self, annotated: Annotated, encoded: Encoded, backend: Any) -> None:
        result = check(annotated, encoded, backend)
        assert result["word"] == Alignment(
            seen=3, on_boundaries=3, single=2, kept=1, misfits=0, missing=0, invented=0, miscounted=0
        )
        assert result["entity"] == Alignment(
            seen=2, on_boundaries=1, single=0, kept=1, misfits=1, missing=0, invented=0, miscounted=0
        )

    @pytest.mark.parametrize(
        ("units", "missing", "invented"),
        [
            ([], 1, 0),
            ([(0, 2, 1), (2, 1, 1)], 0, 1),
            ([(0, 3, 1)], 1, 1),
            ([(1, 2, 1)], 1, 1),
            ([(0, 2, 0)], 1, 1),
            ([(0, 2, 1), (0, 2, 1)], 0, 1),
        ],
    )
    def test_sees_units_lost_invented_and_changed(
        self,
        annotated: Annotated,
        encoded: Encoded,
        backend: Any,
        units: list[tuple[int, int, int]],
        missing: int,
        invented: int,
    ) -> None:
        table = np.array(units, np.uint32).reshape(-1, 3)
        wrong = TokenUnits(table[:, 0], table[:, 1].astype(np.uint16), table[:, 2].astype(np.uint8))
        changed = dataclasses.replace(encoded, units={**encoded.units, "entity": wrong})
        result = check(annotated, changed, backend)["entity"]
        assert (result.missing, result.invented) == (missing, invented)

    def test_sees_misfits_that_are_not_counted(self, annotated: Annotated, encoded: Encoded, backend: Any) -> None:
        changed = dataclasses.replace(encoded, dropped={})
        assert check(annotated, changed, backend)["entity"].miscounted == 1

    def test_sees_token_ids_that_are_not_the_library_s(
        self, annotated: Annotated, encoded: Encoded, backend: Any
    ) -> None:
        changed = dataclasses.replace(encoded, token_ids_T=encoded.token_ids_T + 1)
        with pytest.raises(AssertionError, match="differ from the library"):
            check(annotated, changed, backend)
