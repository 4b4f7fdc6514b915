"""What masking must know of the whole corpus: how often tokens occur, and in how many documents a unit.

    shards of all folders, the first of each in turn until enough tokens are read
        ->   counts, the same in every process

Large corpora are sampled: 50 million tokens tell the law of random tokens and the rarity of units well enough, and take
seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from data_prep.shard import Shard
from data_prep.shards import Prepared
from masking.informativeness import STRETCH, informativeness
from masking.salience import Rarity, hashes
from masking.spans import KINDS, Part

ADVICE = "It is damaged: run `kmask prepare verify` on its folder."
ENOUGH = 50_000_000
"""Tokens that are read."""
PAIRED = 500_000
"""Of them, those whose pairs are counted."""


def sampled(folders: Iterable[Prepared], tokens: int = ENOUGH) -> Iterator[Shard]:
    """Training shards of the folders in turn, until they hold so many tokens."""
    read = 0
    for turn in zip_longest(*(folder.shards("train") for folder in folders)):
        for shard in turn:
            if shard is not None and read < tokens:
                read += len(shard.token_ids.values)
                yield shard


def token_counts(folders: Iterable[Prepared], size: int) -> npt.NDArray[np.int64]:
    """int64[size]: occurrences of every id of the vocabulary.

    Raises:
        ValueError: a damaged shard.
    """
    counts = np.zeros(size, np.int64)
    for shard in sampled(folders):
        found = np.bincount(shard.token_ids.values, minlength=size)
        if len(found) > size:
            raise ValueError(
                f"shard {shard.path} holds token id {len(found) - 1}, the vocabulary ends at {size - 1}. {ADVICE}"
            )
        counts += found
    return counts


def unit_weights(folders: Sequence[Prepared], level: str, law: str) -> Rarity:
    """What units of a level weigh: rare ones more (`idf`, `tf_idf`), or, as single tokens, `informative` ones.

    Raises:
        ValueError: a damaged shard.
    """
    return rarity(folders, level) if law != "informative" else informative_tokens(folders)


def informative_tokens(folders: Sequence[Prepared]) -> Rarity:
    """How informative every token is, from evenly chosen stretches of the sampled shards.

    Raises:
        ValueError: a damaged shard.
    """
    size = len(folders[0].tokenizer.tokens)
    shards = list(sampled(folders))
    found: dict[str, list[npt.NDArray[np.int64]]] = {}
    for shard in shards:
        ids = shard.token_ids
        if len(ids.values) and ids.values.max() >= size:
            raise ValueError(f"shard {shard.path} holds a token id beyond the vocabulary of {size}. {ADVICE}")
        stretches = max(1, min(PAIRED // len(shards), len(ids.values)) // STRETCH)
        firsts = np.unique(np.linspace(0, max(len(ids.values) - STRETCH, 0), stretches).astype(np.int64))
        documents = np.searchsorted(ids.offsets_D1, firsts, "right") - 1
        for first, document in zip(firsts.tolist(), documents.tolist(), strict=True):
            last = min(first + STRETCH, int(ids.offsets_D1[document + 1]))
            stretch_T = ids.values[first:last].astype(np.int64)
            found.setdefault(shard.text_of("language", document), []).append(stretch_T)
    return informativeness(((np.concatenate(pieces), _edges(pieces)) for _, pieces in sorted(found.items())), size)


def _edges(pieces: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)


def rarity(folders: Iterable[Prepared], level: str) -> Rarity:
    """Inverse document frequencies of the units of a level; of the level `character`, of all tokens.

    Raises:
        ValueError: a damaged shard.
    """
    documents, found = 0, []
    for shard in sampled(folders):
        document_U, start_U, length_U = units_of(shard, Part.of(level).level)
        hash_U = hashes(shard.token_ids.values.astype(np.int64), start_U, start_U + length_U)
        once = np.unique(np.stack([document_U.astype(np.uint64), hash_U], 1), axis=0)
        found.append(np.unique(once[:, 1], return_counts=True))
        documents += len(shard)
    if not found:
        return Rarity.of_counts(np.zeros(0, np.uint64), np.zeros(0, np.int64), documents)
    hash_E, inverse = np.unique(np.concatenate([keys for keys, _ in found]), return_inverse=True)
    counts = np.bincount(inverse, np.concatenate([count for _, count in found])).astype(np.int64)
    return Rarity.of_counts(hash_E, counts, documents)


def units_of(shard: Shard, level: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.integer]]:
    """(document, place of the first token in the shard, length) of every unit of a level.

    Raises:
        ValueError: a damaged shard.
    """
    ids = shard.token_ids
    if level == KINDS[0]:
        document_U = np.repeat(np.arange(len(shard)), np.diff(ids.offsets_D1))
        return document_U, np.arange(len(ids.values)), np.ones(len(ids.values), np.int64)
    column = shard.units[level]
    document_U = np.repeat(np.arange(len(shard)), np.diff(column.offsets_D1))
    start_U = ids.offsets_D1[document_U].astype(np.int64) + column.start_U
    if (start_U + column.length_U > ids.offsets_D1[document_U + 1]).any() or not column.length_U.all():
        raise ValueError(
            f"shard {shard.path} holds units of level {level!r} that are empty or reach beyond their document. {ADVICE}"
        )
    return document_U, start_U, column.length_U
