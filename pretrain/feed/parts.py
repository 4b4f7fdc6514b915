"""Parts of documents (texts of labelled pairs, turns of dialogues), and samples made of them.

    parts_of(texts)            where the parts lie in each window, their roles, the label of the document
    drawn_parts(texts, ...)    others like them: same role, about as long, from elsewhere in the shard
    pair_pieces(texts, ...)    a pair as pieces of a sample, cut to what a sample holds

A pair that is too long loses tokens from its longer part first, until both are equally long. A cut that would leave
half a unit at the end moves back to where the unit begins, if that is near.

Shape legend: W windows, P parts or pieces, Q questions, U units of one level.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pretrain.feed.building import Keys
from pretrain.feed.texts import Long, Texts, Windows, starts

SLACK = 2
"""How many tokens longer or shorter a drawn part may be than the one it stands for."""
DRAWS = 16
"""How often one is drawn until it may stand there."""
NEAR = 8
"""Most tokens that a cut moves back to spare a unit."""


class Parts(NamedTuple):
    """The parts that reach into windows, window by window; those without tokens are left out."""

    count_W: Long
    total_W: Long
    """Parts of the whole document, those without tokens among them; 0: it is neither pair nor dialogue."""
    label_W: Long
    """The class of the document; -1 when it has none."""
    start_P: Long
    end_P: Long
    """The piece of each that lies in the window, in tokens of the document."""
    whole_P: npt.NDArray[np.bool_]
    """Is that all of it?"""
    role_P: Long

    @property
    def window_P(self) -> Long:
        """The window of each."""
        return np.repeat(np.arange(len(self.count_W)), self.count_W)


def parts_of(texts: Texts) -> Parts:
    """The parts of windows.

    Raises:
        ValueError: a shard without parts, or a damaged one.
    """
    from pretrain.feed import kernels

    windows = texts.windows
    numbers, row_W = np.unique(windows.shard_W, return_inverse=True)
    addresses = [texts.shards[number].part_addresses for number in numbers.tolist()]  # held until everything is copied
    table = np.stack([found.table for found in addresses]) if addresses else np.zeros((0, 5), np.int64)
    place = (windows.document_W, windows.start_W, windows.end_W)
    first_W, count_W, total_W, label_W = (np.empty(len(windows), np.int64) for _ in range(4))
    wrong = kernels.find_parts(table, row_W, *place, first_W, count_W, total_W, label_W)
    if wrong >= 0:
        shard = texts.shards[int(windows.shard_W[wrong])]
        raise shard.damage(
            f"segment_ends: those of document {int(windows.document_W[wrong])} do not rise to its length"
        )
    offsets_W1 = starts(count_W)
    start_P, end_P, role_P = (np.empty(offsets_W1[-1], np.int64) for _ in range(3))
    whole_P = np.empty(offsets_W1[-1], np.bool_)
    kernels.copy_parts(table, row_W, *place, first_W, offsets_W1, start_P, end_P, whole_P, role_P)
    del addresses
    return Parts(count_W, total_W, label_W, start_P, end_P, whole_P, role_P)


def drawn_parts(texts: Texts, window_Q: Long, role_Q: Long, tokens_Q: Long, key_Q: Keys) -> tuple[Windows, Any]:
    """For parts of windows others that may stand there, and whether there is one: bool[Q].

    A part is drawn among all of the shard that have the same role, source and language and differ by at most ``SLACK``
    tokens, up to ``DRAWS`` times, until it belongs to another pair of another first text (another dialogue) and does
    not also occur with this first text (in this dialogue).
    """
    from pretrain.feed import kernels

    shard_Q, document_Q = texts.windows.shard_W[window_Q], texts.windows.document_W[window_Q]
    numbers, row_Q = np.unique(shard_Q, return_inverse=True)
    held = [texts.shards[number].part_table for number in numbers.tolist()]
    table = np.stack([found.addresses for found in held]) if held else np.zeros((0, 10), np.int64)
    group_Q = role_Q.copy()
    for row, found in enumerate(held):
        mine_Q = row_Q == row
        group_Q[mine_Q] = found.groups(document_Q[mine_Q], role_Q[mine_Q])
    columns = [np.zeros(len(window_Q), np.int64) for _ in range(3)]
    kernels.draw_parts(table, row_Q, document_Q, group_Q, tokens_Q, key_Q, SLACK, DRAWS, *columns)
    del held
    return Windows(shard_Q, *columns), columns[0] >= 0


class Pairs(NamedTuple):
    """Windows as one or two pieces each."""

    texts: Texts
    count_W: Long
    segment_P: Long
    asked_W: npt.NDArray[np.bool_]
    """Is it a pair, or a single labelled text, with tokens in every part?"""


def pair_pieces(texts: Texts, parts: Parts, second: tuple[Windows, Any] | None = None) -> Pairs:
    """Windows that are whole documents, as pieces: both parts of a pair, the one of a single text; other documents are
    one piece. ``second`` stands for the second parts of some windows: bool[W]."""
    windows = texts.windows
    asked_W = (parts.total_W == parts.count_W) & (parts.count_W >= 1) & (parts.count_W <= 2)
    count_W = np.where(asked_W, parts.count_W, 1)
    first_W, window_P = starts(count_W)[:-1], np.repeat(np.arange(len(windows)), count_W)
    columns = [column[window_P] for column in windows.columns]
    of_asked_P = asked_W[parts.window_P]
    columns[2][asked_W[window_P]], columns[3][asked_W[window_P]] = parts.start_P[of_asked_P], parts.end_P[of_asked_P]
    if second:
        others, chosen_W = second
        for column, other in zip(columns, others.columns, strict=True):
            column[first_W[chosen_W] + 1] = other[chosen_W]
    room = texts.reader.max_tokens if texts.reader else int(windows.tokens_W.max(initial=0))
    pieces = cut(texts, Windows(*columns), fitted(columns[3] - columns[2], first_W, count_W, room))
    return Pairs(pieces, count_W, np.arange(len(window_P)) - first_W[window_P], asked_W)


def fitted(tokens_P: Long, first_W: Long, count_W: Long, room: int) -> Long:
    """How many tokens of each piece are kept, so that the one or two pieces of a window have at most ``room``: the
    longer one is cut first.

    tokens 30 5 | 30 20, room 20  ->  15 5 | 10 10
    """
    kept_P = np.minimum(tokens_P, room)
    one_W = first_W[count_W == 2]
    a, b = kept_P[one_W], kept_P[one_W + 1]
    kept_b = np.minimum(b, np.maximum(room - a, room // 2))
    kept_P[one_W], kept_P[one_W + 1] = np.minimum(a, room - kept_b), kept_b
    return kept_P


def cut(texts: Texts, windows: Windows, kept_P: Long) -> Texts:
    """The first ``kept_P`` tokens of each window, or up to ``NEAR`` fewer where a unit would be cut."""
    pieces = texts.read(windows)
    long_P = np.flatnonzero(windows.tokens_W > kept_P)
    if not len(long_P):
        return pieces
    kept_L = kept_P[long_P]
    for _ in pieces.units:  # a cut at the start of an entity may lie inside a phrase
        for start_U, end_U, offsets_P1 in pieces.units.values():
            kept_L = _before_units(start_U, end_U, offsets_P1, long_P, kept_L, kept_P[long_P] - NEAR)
    end_P = windows.start_W + kept_P
    end_P[long_P] = windows.start_W[long_P] + kept_L
    return texts.read(Windows(windows.shard_W, windows.document_W, windows.start_W, end_P))


def _before_units(start_U: Long, end_U: Long, offsets_P1: Long, long_L: Long, kept_L: Long, least_L: Long) -> Long:
    """Cuts moved to the start of the unit that they divide."""
    if not len(start_U):
        return kept_L
    far = int(max(end_U.max(), kept_L.max())) + 1
    key_U = start_U + np.repeat(np.arange(len(offsets_P1) - 1), np.diff(offsets_P1)) * far
    unit_L = np.searchsorted(key_U, long_L * far + kept_L, "left") - 1  # the last that begins before the cut
    own_L = unit_L >= offsets_P1[long_L]
    unit_L = np.where(own_L, unit_L, 0)
    divided_L = own_L & (end_U[unit_L] > kept_L) & (start_U[unit_L] >= np.maximum(least_L, 1))
    return np.where(divided_L, start_U[unit_L], kept_L)
