"""Texts as a model reads them, in batches without padding.

    one text, or a pair  ->  Input: [CLS] first [SEP] (second [SEP]), segments 0 and 1, cut to the longest sample
    Inputs               ->  flat Batch (1, T): one after another, attention inside each

Shape legend: T positions, S samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from data_prep.encoding import Tokenizer
from pretrain.feed.batch import Batch
from pretrain.feed.grids import grids_of

Ids = npt.NDArray[np.int64]
TOKENS = 4096
"""Positions of a batch that is only read."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A sample with its special tokens."""

    ids_T: Ids
    segments_T: Ids
    characters_T2: npt.NDArray[np.int32]
    """Start and end of each token in the text it comes from; (-1, -1) for special tokens."""
    part_T: npt.NDArray[np.int8]
    """0 the first text, 1 the second, -1 special tokens."""


class Tokens(NamedTuple):
    """Tokens of a text: ids, and where each begins and ends in it."""

    ids_T: npt.NDArray[np.int32]
    start_T: npt.NDArray[np.int32]
    end_T: npt.NDArray[np.int32]


def encode(tokenizer: Tokenizer, longest: int, first: str, second: str | None = None) -> Input:
    """``[CLS] first [SEP]`` or ``[CLS] first [SEP] second [SEP]`` of at most ``longest`` tokens; of a pair the longer
    text is cut (of two as long, the second), as BERT's programs do (Devlin et al. 2019, run_classifier.py).

    Raises:
        ValueError: not even the special tokens have room.
    """
    if longest < (2 if second is None else 3):
        raise ValueError(f"longest: {longest} tokens have no room for [CLS] and [SEP]")
    texts = [tokenizer.encode_text(text) for text in ([first] if second is None else [first, second])]
    counts, room = [len(ids) for ids, _, _ in texts], longest - 1 - len(texts)
    kept = [min(counts[0], room)]
    if len(counts) == 2:
        kept = [min(counts[0], max(room - counts[1], (room + 1) // 2))]
        kept.append(min(counts[1], room - kept[0]))
    return assemble(
        tokenizer, [Tokens(*(part[:count] for part in text)) for text, count in zip(texts, kept, strict=True)]
    )


def assemble(tokenizer: Tokenizer, texts: Sequence[Tokens]) -> Input:
    """``[CLS] first [SEP] (second [SEP])`` of texts that are tokens already."""
    special = tokenizer.special_ids
    ids, places, parts = [np.array([special["[CLS]"]])], [np.array([[-1, -1]])], [np.array([-1])]
    for number, text in enumerate(texts):
        ids += [text.ids_T, np.array([special["[SEP]"]])]
        places += [np.stack([text.start_T, text.end_T], 1).reshape(-1, 2), np.array([[-1, -1]])]
        parts += [np.full(len(text.ids_T), number), np.array([-1])]
    segments = np.repeat(np.arange(len(texts)), [len(text.ids_T) + 1 + (not at) for at, text in enumerate(texts)])
    return Input(
        ids_T=np.concatenate(ids).astype(np.int64),
        segments_T=segments.astype(np.int64),
        characters_T2=np.concatenate(places).astype(np.int32),
        part_T=np.concatenate(parts).astype(np.int8),
    )


def flat(ids: Sequence[Ids], segments: Sequence[Ids] | None = None) -> Batch:
    """Samples one after another as one row, with nothing between them and nothing hidden."""
    length_S = np.array([len(one) for one in ids], np.int64)
    ends_S = np.cumsum(length_S)
    starts_S, total = ends_S - length_S, int(ends_S[-1])
    position_T = np.arange(total) - np.repeat(starts_S, length_S)
    segment_T = np.zeros(total, np.int64) if segments is None else np.concatenate(segments)
    edges = np.append(starts_S, total).astype(np.int32)

    def row(array: npt.NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.int64))[None]

    return Batch(
        input_ids=row(np.concatenate(ids)),
        position_ids=row(position_T),
        token_type_ids=row(segment_T),
        task_type_ids=torch.zeros(1, total, dtype=torch.int64),
        cu_seqlens=torch.from_numpy(edges),
        max_seqlen=int(length_S.max()),
        grids=grids_of(starts_S, length_S, total),
        cls_positions_S=torch.from_numpy(starts_S),
        targets={},
        counts={},
        real_tokens=total,
        masked_tokens=0,
        maskable_tokens=total,
        pairs=int((length_S**2).sum()),
    )


def groups(lengths: Sequence[int], tokens: int = TOKENS) -> Iterator[Ids]:
    """Numbers of samples that make a batch together: neighbours in length, at most ``tokens`` positions (or one
    sample), longest first."""
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    ends = np.cumsum(np.asarray(lengths, np.int64)[order])
    first, cuts = 0, [0]
    while first < len(order):
        before = int(ends[first - 1]) if first else 0
        first = max(first + 1, int(np.searchsorted(ends, before + tokens, "right")))
        cuts.append(first)
    for begin, end in pairwise(cuts):
        yield order[begin:end]
