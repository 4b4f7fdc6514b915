"""Documents of triples and their text (data_prep/corpora/triples.py): where the parts of a drawn triple stand.

    parts     鲁迅 | 出生地 | 绍兴 | 鲁迅 | 职业 | 作家 | 鲁迅生于绍兴。
    drawn 1                        [triple              ) [text           )
                                         [relation)

Shape legend: W windows, each a whole document.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from masking.keyed import uniform_array
from pretrain.feed.texts import Long, Ragged, Texts, starts


class Drawn(NamedTuple):
    """A triple of each document, in tokens of the document."""

    usable_W: npt.NDArray[np.bool_]
    """Has the document a triple and a text, whose triple takes half of the room at most? Nothing else holds where it
    has not."""
    triple_W: tuple[Long, Long]
    """Where head, relation and tail begin and end."""
    relation_W: tuple[Long, Long]
    text_W: tuple[Long, Long]
    """The text, cut to the room."""


def drawn_triples(texts: Texts, key_W: npt.NDArray[np.uint64], draw: int, room: int) -> Drawn:
    """One triple of each document, drawn evenly; ``room`` is the most tokens of triple and text together."""
    parts = parts_of(texts)
    count_W, first_W = parts.count_S, parts.offsets_S1[:-1]
    shaped_W = (count_W >= 4) & (count_W % 3 == 1)
    triples_W = np.where(shaped_W, (count_W - 1) // 3, 1)
    chosen_W = np.minimum((uniform_array(key_W, draw) * triples_W).astype(np.int64), triples_W - 1)

    def end(part_W: Long) -> Long:
        """Where a part of each document ends; 0 before the first."""
        known_W = shaped_W & (part_W >= 0)
        found_W = np.zeros(len(texts), np.int64)
        found_W[known_W] = parts.values[(first_W + part_W)[known_W]]
        return found_W

    at = [end(3 * chosen_W + part) for part in (-1, 0, 1, 2)]
    triple_W = at[3] - at[0]
    text_W, last_W = end(count_W - 2), end(count_W - 1)
    full_W = (at[1] > at[0]) & (at[2] > at[1]) & (at[3] > at[2]) & (last_W > text_W)
    cut_W = np.minimum(last_W, text_W + np.maximum(room - triple_W, 0))
    return Drawn(shaped_W & full_W & (triple_W <= room // 2), (at[0], at[3]), (at[1], at[2]), (text_W, cut_W))


def parts_of(texts: Texts) -> Ragged:
    """Where the parts of the document of each window end, in its tokens; none for documents without parts.

    Raises:
        ValueError: a shard without parts.
    """
    windows = texts.windows
    first_W, count_W = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    numbers = np.unique(windows.shard_W).tolist()
    columns = {number: texts.shards[number].segment_ends for number in numbers}
    for number, column in columns.items():
        mine = np.flatnonzero(windows.shard_W == number)
        document = windows.document_W[mine]
        first_W[mine] = column.offsets_D1[document]
        count_W[mine] = column.offsets_D1[document + 1] - first_W[mine]
    offsets_W1 = starts(count_W)
    values = np.zeros(int(offsets_W1[-1]), np.int64)
    window_P = np.repeat(np.arange(len(texts)), count_W)
    from_P = np.arange(len(values)) - offsets_W1[window_P] + first_W[window_P]
    for number, column in columns.items():
        mine = windows.shard_W[window_P] == number
        values[mine] = column.values[from_P[mine]]
    return Ragged(values, offsets_W1)
