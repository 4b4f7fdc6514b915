"""Files of similar words, for masking that replaces a word by a similar one (MacBERT, Cui et al. 2020): lines in, token
ids out.

    提高<TAB>提升<TAB>0.83        word, similar word, and if you like a score; `#` begins a comment; .gz, .zst, .bz2 and
                                  .xz are read too

    read_pairs(path, tokenizer)  ->  Pairs(word_ids_T=[提 高], similar_ids_T=[提 升], offsets_P1=[0, 2], left_out={})

A pair works in one direction; list it the other way round too where that is meant. Both words need the same number of
tokens, because one takes the other's place. Pairs that cannot be used are counted by reason; a line that cannot be
understood is an error.

Shape legend: N distinct surfaces, P pairs, T tokens of all surfaces or of all pairs.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.cleaning.text_rules import TextRules
from data_prep.documents import Document
from data_prep.encoding import Tokenizer
from data_prep.inputs.text_lines import lines_of, refusal

WHAT = "similar words"
REASONS = ("no token", "unknown token", "different number of tokens", "identical", "listed before")
"""Why a pair is left out, in the order in which the reasons are tried."""
CHUNK = 10_000
"""Surfaces that are tokenized in one call."""

Ids = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]


class SimilarPairs(NamedTuple):
    """Words, and for each the words that may replace it.

    The pairs of one word stand together, the best score first; words stand in the order in which the file first names
    them.
    """

    word_ids_T: Ids
    """Token ids of the words; those of pair p lie in ``[offsets_P1[p], offsets_P1[p + 1])``."""
    similar_ids_T: Ids
    """Token ids of the similar words, in the same places."""
    offsets_P1: Offsets
    left_out: dict[str, int]
    """How many pairs were not taken, by reason."""

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return len(self.offsets_P1) - 1


def read_pairs(path: Path, tokenizer: Tokenizer) -> SimilarPairs:
    """The usable pairs of a file. Scores serve for the order alone; pairs without one follow those that have one, as
    the file has them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is malformed, the compressed data are damaged, or no pair is usable; says where and why.
    """
    surfaces, word_P, similar_P, score_P = _read_lines(path)
    ids_T, offsets_N1 = tokenize_surfaces(surfaces, tokenizer)
    number_N = _numbers(ids_T, offsets_N1)
    order_P = np.lexsort((-score_P, number_N[word_P]))  # stable: equal scores keep the order of the file
    word_P, similar_P = word_P[order_P], similar_P[order_P]
    one_P, other_P, length_N = number_N[word_P], number_N[similar_P], np.diff(offsets_N1)
    unknown_N = np.zeros(len(surfaces), bool)
    unknown_N[np.searchsorted(offsets_N1, np.flatnonzero(ids_T == tokenizer.special_ids["[UNK]"]), "right") - 1] = True
    repeated_P = np.ones(len(word_P), bool)
    repeated_P[np.unique(one_P * len(surfaces) + other_P, return_index=True)[1]] = False
    wrong: Sequence[npt.NDArray[Any]] = (
        (length_N[word_P] == 0) | (length_N[similar_P] == 0),
        unknown_N[word_P] | unknown_N[similar_P],
        length_N[word_P] != length_N[similar_P],
        one_P == other_P,
        repeated_P,
    )
    left_out, usable_P = {}, np.ones(len(word_P), bool)
    for reason, wrong_P in zip(REASONS, wrong, strict=True):
        if count := int((wrong_P & usable_P).sum()):
            left_out[reason] = count
        usable_P &= ~wrong_P
    if not usable_P.any():
        raise ValueError(_refused(path, tokenizer, left_out))
    word_ids_T, offsets_P1 = gather(ids_T, offsets_N1, word_P[usable_P])
    return SimilarPairs(word_ids_T, gather(ids_T, offsets_N1, similar_P[usable_P])[0], offsets_P1, left_out)


def tokenize_surfaces(surfaces: Sequence[str], tokenizer: Tokenizer) -> tuple[Ids, Offsets]:
    """Token ids of every surface by itself: surface n has ``ids_T[offsets_N1[n] : offsets_N1[n + 1]]``. No surface
    holds a line break."""
    ids, lengths = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]
    for begin in range(0, len(surfaces), CHUNK):
        chunk = surfaces[begin : begin + CHUNK]
        ids_T, start_T, _ = tokenizer.encode(Document(id="", language="", text="\n".join(chunk), title="", source=""))
        end_N = np.cumsum(
            np.fromiter(map(len, chunk), np.int64, len(chunk)) + 1
        )  # the line break belongs to the surface before it
        ids.append(ids_T)
        lengths.append(np.bincount(np.searchsorted(end_N, start_T, "right"), minlength=len(chunk)))
    return np.concatenate(ids), np.cumsum(np.concatenate(lengths))


def gather(
    ids_T: npt.NDArray[Any], offsets_N1: Offsets, row_P: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], Offsets]:
    """The values of the rows ``row_P`` of a ragged array, one row after the other, and their offsets."""
    length_P = (offsets_N1[1:] - offsets_N1[:-1])[row_P]
    offsets_P1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(length_P)])
    return ids_T[np.arange(offsets_P1[-1]) + np.repeat(offsets_N1[row_P] - offsets_P1[:-1], length_P)], offsets_P1


def _read_lines(path: Path) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Distinct surfaces, cleaned like the text of documents; for each line the rows of its two surfaces, and its score
    (-inf without one)."""
    clean = TextRules().text
    rows: dict[str, int] = {}
    surfaces: list[str] = []
    malformed: list[str] = []
    word_P, similar_P, score_P = array("q"), array("q"), array("d")
    for number, line in lines_of(str(path), malformed, what=WHAT):
        fields = [field.strip() for field in line.split("\t")]
        for surface in fields[:2]:
            if surface not in rows:
                rows[surface] = len(surfaces)
                plain = surface.isprintable() and unicodedata.is_normalized("NFC", surface)
                surfaces.append(surface if plain else clean(surface))
        try:
            score = _score(fields, line)
            if any("\n" in surfaces[rows[surface]] for surface in fields[:2]):
                raise ValueError("a line break inside a word")
        except ValueError as error:
            malformed.append(f"{path}:{number}: {error}")
            continue
        word_P.append(rows[fields[0]])
        similar_P.append(rows[fields[1]])
        score_P.append(score)
    if malformed:
        raise refusal(
            WHAT, malformed, "Write `word<TAB>similar word` or `word<TAB>similar word<TAB>score` on each line."
        )
    return (
        surfaces,
        np.frombuffer(word_P, np.int64),
        np.frombuffer(similar_P, np.int64),
        np.frombuffer(score_P, np.float64),
    )


def _score(fields: Sequence[str], line: str) -> float:
    if not 2 <= len(fields) <= 3 or not all(fields):
        raise ValueError(f"{line[:60]!r} is not word, similar word, score, separated by tabs")
    if len(fields) == 2:
        return -math.inf
    try:
        score = float(fields[2])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(f"{fields[2][:40]!r} is not a score; list every similar word on a line of its own")
    return score


def _numbers(ids_T: Ids, offsets_N1: Offsets) -> npt.NDArray[np.int64]:
    """int64[N]: equal numbers for surfaces of equal tokens, counted in the order of the surfaces."""
    content, bounds = ids_T.tobytes(), (offsets_N1 * ids_T.itemsize).tolist()
    seen: dict[bytes, int] = {}
    found = (seen.setdefault(content[begin:end], len(seen)) for begin, end in itertools.pairwise(bounds))
    return np.fromiter(found, np.int64, len(bounds) - 1)


def _refused(path: Path, tokenizer: Tokenizer, left_out: dict[str, int]) -> str:
    if not left_out:
        return f"{WHAT} {path}: the file names no pair. Write `word<TAB>similar word` on each line."
    reasons = ", ".join(f"{reason}: {count}" for reason, count in left_out.items())
    return (
        f"{WHAT} {path}: not one usable pair under the tokenizer {tokenizer.folder} ({reasons}). Both words need the "
        "same number of known tokens."
    )
