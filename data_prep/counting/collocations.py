"""Which n-grams occur together more often than chance, and in how free a context: counts over stored blocks, then two
statistics.

    pairs     every pair of neighbouring tokens is counted; pairs below min_count make no longer n-gram worth counting
    n-grams   2 .. max_words + 1 tokens, wherever all pairs inside are frequent: one sorted table a block and length,
              merged
    NPMI      min over all cuts a|b of  log(p(ab) / p(a)p(b)) / -log p(ab)
              Bouma 2009, for n words the weakest cut decides
    entropy   log2 N - 1/N sum c log2 c  over what follows (and precedes) the N occurrences
              branching entropy, in bits

All counts are exact. The punctuation that an n-gram meets is a neighbour like a word (so a phrase of a template, always
followed by a number, has no freedom). A quotation or title mark, and a neighbour whose pair with the n-gram's edge is
rarer than min_count, counts as one of its own each time: 8 times 校长 after 北京大学 and twice a 》 give right entropy
log2 10 - 8/10 log2 8 = 0.92.

Shape legend: N tokens of a block, D distinct n-grams of one length, n words of an n-gram.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.arrow_arrays import values_of
from data_prep.counting.counted_tables import Keys, fold, merged, write_sorted_table
from data_prep.counting.ngrams import BREAK, StoredTokenBlock

PLACE_BITS = np.uint64(32)


@dataclass(frozen=True)
class Ngrams:
    """The n-grams of one length that occur often enough, sorted by key."""

    key_D: Keys
    count_D: npt.NDArray[np.int64]
    place_D: npt.NDArray[np.uint64]
    """First occurrence: block number * 2^32 + token number within the block."""
    left_D: npt.NDArray[np.float64]
    """Sum of c log2 c over what precedes."""
    right_D: npt.NDArray[np.float64]
    """Sum of c log2 c over what follows."""

    def __len__(self) -> int:
        return len(self.key_D)

    def entropy(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Left and right branching entropy in bits."""
        left_D, right_D = (np.log2(self.count_D) - part / self.count_D for part in (self.left_D, self.right_D))
        return np.maximum(left_D, 0), np.maximum(right_D, 0)


def look_up(key_D: Keys, wanted: Keys) -> npt.NDArray[np.int64]:
    """Index of each of ``wanted`` in the sorted ``key_D``, -1 where it is not there."""
    if not len(key_D):
        return np.full(len(wanted), -1, np.int64)
    place = np.minimum(np.searchsorted(key_D, wanted), len(key_D) - 1)
    return np.where(key_D[place] == wanted, place, -1)


def write_ngrams(
    path: Path, key_P: Keys, at_P: npt.NDArray[np.int64], columns: dict[str, npt.NDArray[Any]], number: int = 0
) -> None:
    """Write the table of the n-grams at positions P: counts, and with ``columns`` (equal wherever the key is) the first
    place, too."""
    import pyarrow

    order_P = np.argsort(key_P)
    sorted_P = key_P[order_P]
    first_D = np.flatnonzero(np.concatenate([np.ones(min(1, len(key_P)), bool), sorted_P[1:] != sorted_P[:-1]]))
    earliest_D = np.minimum.reduceat(order_P, first_D) if len(first_D) else order_P
    count_D = np.diff(np.append(first_D, len(key_P)))
    table = {
        "key": sorted_P[first_D],
        "count": count_D,
        **{name: column[earliest_D] for name, column in columns.items()},
    }
    if columns:
        table["place"] = (np.uint64(number) << PLACE_BITS) + at_P[earliest_D].astype(np.uint64)
    write_sorted_table(path, pyarrow.table(table))


def write_counts(block: StoredTokenBlock) -> None:
    """Count the tokens of a block into ``words.arrow`` and the pairs of neighbouring tokens into ``pairs.arrow``."""
    key_N, join_N = block.array("keys"), block.array("joins")
    at_P = np.flatnonzero(join_N[1:] != BREAK)
    write_ngrams(block.folder / "words.arrow", key_N, np.arange(len(key_N)), {})
    write_ngrams(block.folder / "pairs.arrow", fold(key_N[at_P], key_N[at_P + 1], join_N[at_P + 1]), at_P, {})


def frequent(paths: Sequence[Path], min_count: int, folder: Path) -> dict[str, npt.NDArray[Any]]:
    """The rows of the merged tables that count at least ``min_count``: key, count and whatever else the tables hold."""
    import pyarrow

    rows = pyarrow.concat_tables(
        [piece.filter(values_of(piece.column("count")) >= min_count) for piece in merged(paths, ["count"], folder)]
    )
    return {name: values_of(rows.column(name)) for name in rows.column_names}


def write_block_ngrams(block: StoredTokenBlock, number: int, pair_D: Keys, longest: int, folder: Path) -> None:
    """Count the n-grams of 2 .. ``longest`` tokens of a block whose pairs all stand in ``pair_D``, into
    ``n-NUMBER.arrow``."""
    key_N, join_N = np.array(block.array("keys")), np.array(block.array("joins"))
    edge_N = block.array("starts") == block.array("ends")
    gram_N = fold(key_N[:-1], key_N[1:], join_N[1:])
    order = np.argsort(gram_N)
    alive_N = np.zeros(len(key_N), bool)
    alive_N[order] = look_up(pair_D, gram_N[order]) >= 0  # sorted questions keep to the processor's cache
    alive_N[:-1] &= join_N[1:] != BREAK
    at_P = np.flatnonzero(alive_N)
    shorter_N = key_N
    for length in range(2, longest + 1):
        if length > 2:
            at_P = at_P[at_P + length - 2 < len(key_N) - 1]
            at_P = at_P[alive_N[at_P + length - 2]]
            shorter_N, gram_N = gram_N, np.zeros(len(key_N), np.uint64)
            gram_N[at_P] = fold(shorter_N[at_P], key_N[at_P + length - 1], join_N[at_P + length - 1])
        columns = {
            "prefix": shorter_N[at_P],
            "suffix": shorter_N[at_P + 1],
            "words": ~(edge_N[at_P] | edge_N[at_P + length - 1]),
        }
        write_ngrams(folder / f"{length}-{number}.arrow", gram_N[at_P], at_P, columns, number)


def count_ngrams(blocks: Sequence[StoredTokenBlock], min_count: int, max_words: int, folder: Path) -> dict[int, Ngrams]:
    """All n-grams of 2 .. ``max_words`` tokens that occur at least ``min_count`` times, by length. ``folder`` is for
    intermediate tables."""
    pair_D = frequent([block.folder / "pairs.arrow" for block in blocks], min_count, folder)["key"]
    for number, block in enumerate(blocks):
        write_block_ngrams(block, number, pair_D, max_words + 1, folder)
    found: dict[int, Ngrams] = {}
    for length in range(2, max_words + 2):
        paths = [folder / f"{length}-{number}.arrow" for number in range(len(blocks))]
        kept: list[Any] = []
        for piece in merged(paths, ["count"], folder):
            if length > 2:
                _add_neighbours(found[length - 1], piece)
            often_D = (values_of(piece.column("count")) >= min_count) & values_of(piece.column("words"))
            kept.append(piece.filter(often_D).select(["key", "count", "place"]))
        if length <= max_words:
            found[length] = _ngrams(kept)
        for path in paths:
            path.unlink()
    return found


def _ngrams(pieces: list[Any]) -> Ngrams:
    import pyarrow

    rows = pyarrow.concat_tables(pieces)
    key_D, count_D, place_D = (values_of(rows.column(name)) for name in ("key", "count", "place"))
    return Ngrams(key_D, count_D, place_D, np.zeros(len(key_D)), np.zeros(len(key_D)))


def _add_neighbours(shorter: Ngrams, piece: Any) -> None:
    """Each longer n-gram is a neighbour of the n-gram before its last word and of the one after its first."""
    count = values_of(piece.column("count"))
    for name, sums_D in (("prefix", shorter.right_D), ("suffix", shorter.left_D)):
        index = look_up(shorter.key_D, values_of(piece.column(name)))
        several = (index >= 0) & (count > 1)
        # One after the other in the order of keys: rounding must not depend on where pieces end.
        np.add.at(sums_D, index[several], count[several] * np.log2(count[several]))


def npmi(
    key_Dn: Keys,
    join_Dn: npt.NDArray[np.uint8],
    total_D: npt.NDArray[np.int64],
    words: tuple[Keys, Any],
    longer: dict[int, Ngrams],
) -> Any:
    """float64[D]: normalised pointwise mutual information of n-grams, given by the keys and joins of their words, at
    their weakest cut.

    ``total_D`` is the number of tokens of each one's language, ``words`` the keys and counts of single tokens.
    """

    def count(start: int, end: int) -> npt.NDArray[np.float64]:
        keys, counts = words if end - start == 1 else (longer[end - start].key_D, longer[end - start].count_D)
        return counts[look_up(keys, ngram_keys(key_Dn, join_Dn, start, end))].astype(np.float64)

    length = key_Dn.shape[1]
    together_D = count(0, length)
    cuts = [np.log(together_D * total_D / (count(0, cut) * count(cut, length))) for cut in range(1, length)]
    return np.min(cuts, axis=0) / -np.log(together_D / total_D)


def ngram_keys(key_Dn: Keys, join_Dn: npt.NDArray[np.uint8], start: int, end: int) -> Keys:
    """Keys of the n-grams made of the words ``start`` .. ``end - 1``."""
    key_D = key_Dn[:, start]
    for word in range(start + 1, end):
        key_D = fold(key_D, key_Dn[:, word], join_Dn[:, word])
    return key_D


def ngram_words(
    blocks: Sequence[StoredTokenBlock], place_D: npt.NDArray[np.uint64], length: int
) -> tuple[Keys, npt.NDArray[np.uint8]]:
    """Keys and joins of the words of n-grams, read where they first occur."""
    key_Dn, join_Dn = np.zeros((len(place_D), length), np.uint64), np.zeros((len(place_D), length), np.uint8)
    for number, here in by_block(place_D):
        at_Pn = (place_D[here] & np.uint64(0xFFFFFFFF)).astype(np.int64)[:, None] + np.arange(length)
        key_Dn[here], join_Dn[here] = blocks[number].array("keys")[at_Pn], blocks[number].array("joins")[at_Pn]
    return key_Dn, join_Dn


def by_block(place_D: npt.NDArray[np.uint64]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Which rows have their place in which block."""
    block_D = (place_D >> np.uint64(32)).astype(np.int64)
    order_D = np.argsort(block_D, kind="stable")
    numbers, first = np.unique(block_D[order_D], return_index=True)
    yield from zip(numbers.tolist(), np.split(order_D, first[1:]), strict=False)
