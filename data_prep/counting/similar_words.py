"""Which words of a corpus may stand in for each other: words with similar neighbours, as a table for MacBERT-style
masking.

    prepared folder -> words and how near they stand (word_contexts.py)          提高: 水平 412, 效率 200 ...
        提升: 水平 230, 效率 190 ...
                    -> positive PMI, singular vectors (word_vectors.py)          a unit vector for each word
                    -> nearest words by cosine                                   提高<TAB>提升<TAB>0.69

Only words of equal token count and script are compared, because one must be able to take the other's place. The same
folder and settings give the same table for any number of threads: the vectors come from a seed, and cosines are rounded
before they are compared.

    kmask lexicon similar runs/data -o similar.tsv min_count=50

Shape legend: V kept words, K dimensions, P pairs of the table, G words of a group, B words of a block of it, N
neighbours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.code_points import HAN
from data_prep.counting.word_contexts import Words, count_cells, count_frequent_words, tokens_read
from data_prep.counting.word_vectors import attraction, embed
from data_prep.encoding import Tokenizer
from data_prep.files import write_atomic
from data_prep.shards import Prepared
from data_prep.word_lists.similar_pairs import tokenize_surfaces

ROWS = 512
"""Words whose cosines with all others of their group are held at a time."""
DIGITS = 4

StepListener = Callable[[str, int, int], None]
"""Hears the name of the step, how much of it is done and how much there is to do."""


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """Which words are compared, and how."""

    max_words: int = 30_000
    """The most frequent so many words are compared."""
    min_count: int = 20
    """A word occurs at least so often in what is read."""
    window: int = 2
    """Words this near on either side are context, the nearer the more (weights `window` down to 1)."""
    max_tokens: int = 50_000_000
    """At most so many tokens are read, from the beginning of every shard alike."""
    smoothing: float = 0.75
    """Power to which the counts of contexts are raised: below 1, rare contexts count for less."""
    shift: float = 0.0
    """What is subtracted from each PMI before negative ones are cut: the logarithm of word2vec's number of negative
    samples."""
    dimensions: int = 200
    """Length of a word's vector."""
    neighbours: int = 10
    """At most so many similar words are listed for each word."""
    min_similarity: float = 0.3
    """Similar words have at least this cosine."""
    seed: int = 0
    """Of the randomised SVD."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("max_words", 2, 1_000_000),
            ("window", 1, 100),
            ("dimensions", 1, 10_000),
            ("seed", 0, 1 << 63),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name}: {getattr(self, name)} must lie between {least} and {most}")
        for name in ("min_count", "max_tokens", "neighbours"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if not 0 < self.smoothing <= 1:
            raise ValueError(f"smoothing: {self.smoothing} must lie above 0 and not above 1")
        if not 0 <= self.shift < 100:
            raise ValueError(f"shift: {self.shift} must be 0 or more, and below 100")
        if not -1 <= self.min_similarity <= 1:
            raise ValueError(f"min_similarity: {self.min_similarity} must lie between -1 and 1")


class Table(NamedTuple):
    """Similar words, the most frequent word first."""

    surfaces: list[str]
    """Of the kept words."""
    word_P: npt.NDArray[np.int64]
    """Rows of ``surfaces``, sorted."""
    similar_P: npt.NDArray[np.int64]
    cosine_P: npt.NDArray[np.float64]
    """Rounded; of one word the largest first."""
    alone: int
    """Kept words without a similar word."""
    left_out: int
    """Frequent words that were not kept because their text does not give the same tokens again."""
    forgotten: int
    """Counts of rare neighbourhoods that did not fit into memory."""


def similar_words(prepared: Prepared, similarity: Similarity, listen: StepListener) -> Table:
    """The table of a prepared folder's training split.

    Raises:
        ValueError: the folder has no words, fewer than two frequent ones, or none that are similar.
    """
    total = tokens_read(prepared, similarity.max_tokens)
    counted = count_frequent_words(
        prepared, similarity.max_tokens, similarity.min_count, _counter("counting words", total, listen)
    )
    frequent = counted.take(np.arange(min(similarity.max_words, len(counted.key_V))))
    words, surfaces = _readable(frequent, prepared.tokenizer)
    if len(surfaces) < 2:
        raise ValueError(
            f"{prepared.folder}: {len(surfaces)} word(s) occur {similarity.min_count} times or more, two are needed. "
            "Lower min_count."
        )
    cells = count_cells(
        prepared, similarity.max_tokens, words, similarity.window, _counter("counting neighbours", total, listen)
    )
    listen("making vectors", 0, 1)
    vectors_VK = embed(
        attraction(cells, len(surfaces), similarity.smoothing, similarity.shift), similarity.dimensions, similarity.seed
    )
    listen("making vectors", 1, 1)
    group_V = np.diff(words.offsets_V1) * len(SCRIPTS) + np.array([script_group(surface) for surface in surfaces])
    word_P, similar_P, cosine_P = nearest(
        vectors_VK, group_V, similarity, lambda done: listen("comparing", done, len(surfaces))
    )
    if not len(word_P):
        raise ValueError(
            f"{prepared.folder}: no two of {len(surfaces)} words are similar. Lower min_similarity or min_count, or "
            "read a larger corpus."
        )
    alone = len(surfaces) - len(np.unique(word_P))
    return Table(surfaces, word_P, similar_P, cosine_P, alone, len(frequent.key_V) - len(surfaces), cells.forgotten)


def _counter(step: str, total: int, listen: StepListener) -> Callable[[int], None]:
    read = 0

    def hear(tokens: int) -> None:
        nonlocal read
        read += tokens
        listen(step, read, total)

    return hear


def _readable(words: Words, tokenizer: Tokenizer) -> tuple[Words, list[str]]:
    """The words whose text gives their token ids again, with that text: pieces joined without `##`, tokens joined by
    nothing or a space."""
    tokens = [token.removeprefix("##") for token in tokenizer.tokens]
    wanted = _rows(words.ids_T, words.offsets_V1)
    chosen: dict[int, str] = {}
    for glue in (" ", ""):
        surfaces = [glue.join(tokens[index] for index in row) for row in wanted]
        found = _rows(*tokenize_surfaces(surfaces, tokenizer))
        chosen |= {
            row: surface for row, surface in enumerate(surfaces) if found[row] == wanted[row] and surface[0] != "#"
        }
    rows = sorted(chosen)
    return words.take(np.array(rows, np.int64)), [chosen[row] for row in rows]


def _rows(ids_T: npt.NDArray[Any], offsets_V1: npt.NDArray[np.int64]) -> list[list[int]]:
    ids = ids_T.tolist()
    return [ids[begin:end] for begin, end in pairwise(offsets_V1.tolist())]


SCRIPTS = ("Han", "Latin", "other")


def script_group(surface: str) -> int:
    """Index into SCRIPTS: Han and Latin for surfaces of such letters alone (marks like ' and - aside), other for the
    rest, digits too."""
    letters = [character for character in surface if character.isalnum()]
    if letters and all(map(HAN.match, letters)):
        return 0
    return (
        1
        if letters
        and all((letter.isalpha() and letter < "\u0250") or "\u1e00" <= letter < "\u1f00" for letter in letters)
        else 2
    )


def nearest(
    vectors_VK: npt.NDArray[np.float32],
    group_V: npt.NDArray[np.int64],
    similarity: Similarity,
    listen: Callable[[int], None],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Words, similar words of the same group and rounded cosines, sorted by word and then by cosine; equal cosines by
    word."""
    import torch

    words, others, cosines = [], [], []
    done = 0
    for group in np.unique(group_V):
        row_G = np.flatnonzero(group_V == group)
        vectors_GK = torch.from_numpy(vectors_VK[row_G])
        for begin in range(0, len(row_G), ROWS):
            cosine_BG = vectors_GK[begin : begin + ROWS] @ vectors_GK.T
            cosine_BG[torch.arange(len(cosine_BG)), begin + torch.arange(len(cosine_BG))] = -torch.inf
            best_BN, at_BN = cosine_BG.topk(min(similarity.neighbours, len(row_G)))
            rounded_BN = np.round(best_BN.double().numpy(), DIGITS)
            chosen_BN = rounded_BN >= similarity.min_similarity
            words.append(np.repeat(row_G[begin : begin + ROWS], chosen_BN.sum(1)))
            others.append(row_G[at_BN.numpy()[chosen_BN]])
            cosines.append(rounded_BN[chosen_BN])
            done += len(cosine_BG)
            listen(done)
    word_P, similar_P, cosine_P = (np.concatenate(column) for column in (words, others, cosines))
    order_P = np.lexsort((similar_P, -cosine_P, word_P))
    return word_P[order_P], similar_P[order_P], cosine_P[order_P]


def write_table(path: Path, table: Table, prepared: Prepared, similarity: Similarity) -> None:
    """Write the file that data_prep/word_lists/similar_pairs.py reads, atomically."""
    settings = " ".join(f"{name}={value}" for name, value in dataclasses.asdict(similarity).items())
    notes = [
        f"Similar words of the prepared corpus with fingerprint {prepared.fingerprint}, "
        "by `kmask lexicon similar`: word, similar word, cosine.",
        f"{len(table.surfaces)} words, {len(table.word_P)} pairs; {settings}",
    ]
    columns = zip(table.word_P.tolist(), table.similar_P.tolist(), table.cosine_P.tolist(), strict=True)
    lines = [
        f"{table.surfaces[word]}\t{table.surfaces[similar]}\t{cosine:.{DIGITS}f}" for word, similar, cosine in columns
    ]
    write_atomic(path, "\n".join([*(f"# {note}" for note in notes), *lines]) + "\n")
