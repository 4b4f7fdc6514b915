"""Two pieces of text that follow each other in a document, or do not: what tasks about pairs of sentences are made of.

    a boundary between two sentences of the window is drawn
        before | after                       ADJACENT    the text on its two sides
        before | ... sentence ... | after'   FAR         the other piece from elsewhere in the document, a sentence or
                                                         more between
        before | after''                     OTHER       the other piece from another document of the same shard, source
                                                         and language
    mirrored: the piece after the boundary comes first, and the second one lies before a boundary

No class may be told by anything but the text. So every place that a task's classes need is drawn before the class: a
window that lacks one (no other document, too few sentences) is no sample of the task whatever its class would have
been. All places are drawn by one law (a token, evenly, then a side of its sentence) and have room on both sides; the
first piece has half of the window, less a drawn part, the second what is left, and neither has more than all of those
places have room for. A piece is the whole sentences that fit; a sentence that is longer alone is cut at the far side.
The first sentence of a document, often its title, is in no piece: it would tell what comes first.

Shape legend: W windows, F forms, S samples, P pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from masking.keyed import combine_array
from pretrain.feed.building import Built, Keys
from pretrain.feed.hiding import Specials
from pretrain.feed.joining import Pieces, joined_samples
from pretrain.feed.neighbours import neighbours
from pretrain.feed.samples import NO_LABEL
from pretrain.feed.texts import Long, Texts, Windows, starts

ADJACENT, FAR, OTHER = 0, 1, 2
"""What the second piece is."""
STRAIGHT, MIRRORED, EITHER = 0, 1, 2
"""Which piece comes first: the one before the boundary, the one after it, one of them by a coin."""
SECOND = 45
"""Sub-key of the second sample of a pair whose pieces are samples of their own."""


class Form(NamedTuple):
    """A kind of pair; all forms of a task are drawn evenly."""

    second: int
    """ADJACENT, FAR or OTHER."""
    mirror: int
    """STRAIGHT, MIRRORED or EITHER."""
    label: int
    """Its class."""


class Pairs(NamedTuple):
    """Two pieces of text for every window."""

    first: Windows
    second: Windows
    label_W: Long
    """Class, NO_LABEL for windows without a pair (whose pieces mean nothing)."""


def sentence_pairs(texts: Texts, key_W: Keys, forms: Sequence[Form], apart: bool = False) -> Pairs:
    """A pair for each of several windows; ``apart``: each piece has a length of its own, up to half of the window.

    Raises:
        ValueError: texts made by hand, or a damaged shard.
    """
    from pretrain.feed import kernels

    windows = texts.windows
    numbers, row_W = np.unique(windows.shard_W, return_inverse=True)
    shards = [texts.shards[number] for number in numbers.tolist()]
    addresses = [shard.addresses for shard in shards]  # held until the loop ends, as are the neighbours
    near = []
    if any(form.second == OTHER for form in forms):
        limit = texts.reader.max_tokens if texts.reader else int(windows.tokens_W.max())
        near = [neighbours(shard, limit) for shard in shards]
    table = np.stack([found.table for found in addresses])
    near_table = np.stack([found.table for found in near]) if near else np.zeros((len(shards), 5), np.int64)
    first_W2, second_W2, other_W, label_W = kernels.sentence_pairs(
        table,
        near_table,
        row_W,
        windows.document_W,
        windows.start_W,
        windows.end_W,
        key_W,
        np.array(forms, np.int64),
        apart,
    )
    del addresses, near
    first = Windows(windows.shard_W, windows.document_W, first_W2[:, 0], first_W2[:, 1])
    return Pairs(first, Windows(windows.shard_W, other_W, second_W2[:, 0], second_W2[:, 1]), label_W)


def paired_samples(
    texts: Texts, key_W: Keys, name: str, specials: Specials, forms: Sequence[Form], hide: bool, apart: bool = False
) -> Built:
    """``[CLS] first [SEP] second [SEP]`` of every window, segments 0 and 1, with its class as label.

    A window without a pair is ``[CLS] window [SEP]`` with no label, for the objectives that hide tokens.

    Args:
        hide: may tokens of pairs be hidden?
        apart: both pieces are samples of their own instead, one behind the other, the first with the label; the length
            of one tells nothing of the other's.
    """
    pairs = sentence_pairs(texts, key_W, forms, apart)
    paired_W = pairs.label_W != NO_LABEL
    count_W = 1 + paired_W
    first_W = starts(count_W)[:-1]
    window_P = np.repeat(np.arange(len(texts)), count_W)
    pieces = texts.windows.take(window_P)
    second_P = np.zeros(len(window_P), np.bool_)
    second_P[first_W[paired_W] + 1] = True
    for column_P, one_W, two_W in zip(pieces.columns, pairs.first.columns, pairs.second.columns, strict=True):
        column_P[first_W[paired_W]] = one_W[paired_W]
        column_P[second_P] = two_W[paired_W]
    window_S = window_P if apart else np.arange(len(texts))
    label_S = pairs.label_W[window_S]
    key_S = key_W[window_S]
    if apart:
        label_S[second_P] = NO_LABEL
        key_S[second_P] = combine_array(key_S[second_P], SECOND)
    return joined_samples(
        texts,
        Pieces(
            texts=texts.read(pieces),
            count_S=np.ones_like(window_S) if apart else count_W,
            segment_P=np.zeros_like(window_P) if apart else second_P.astype(np.int64),
            window_S=window_S,
            labels={name: label_S},
            hide_S=None if hide else ~paired_W[window_S],
        ),
        key_S,
        name,
        specials,
    )
