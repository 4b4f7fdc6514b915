"""The parts of a shard's documents (texts of labelled pairs, turns of dialogues), sorted so that one can be drawn in
place of another: of the same role, source and language and about the same length, from elsewhere.

    parts   of pairs the second texts: "长江在哪里" + "长江源头" gives 长江源头; of dialogues all turns
    owner   what a part belongs to: of a pair its first text, of a turn its dialogue
    known   (owner, text) of all parts: what must not be drawn for an owner, because it is its own

Texts are compared by a hash of their tokens.

Shape legend: D documents, G parts, P parts that may be drawn, T tokens.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from masking.keyed import mix_array

BASE = np.uint64(0x9E3779B97F4A7C15)
INVERSE = np.uint64(pow(int(BASE), -1, 1 << 64))
ROLES = 256
"""More than there are roles."""
CHUNK = 1 << 18
"""Tokens that are hashed at a time."""
Long = npt.NDArray[np.int64]


class PartTable(NamedTuple):
    """The parts of a shard that may be drawn, sorted by ``key_P``."""

    key_P: Long
    """``group << 32 | tokens``; the group is the origin of the document times ROLES, and the role of a turn (0 for
    second texts of pairs)."""
    document_P: Long
    start_P: Long
    end_P: Long
    """In the tokens of the document."""
    text_P: Long
    """Hash of the tokens."""
    owner_D: Long
    """Hash of what the parts of each document belong to."""
    known_P: Long
    """``known(owner, text)`` of all of them, rising."""
    origin_D: Long
    """A number for the source and language of each document: a part of another origin would be told by its look."""

    @staticmethod
    def of(
        tokens: npt.NDArray[Any],
        token_offsets_D1: npt.NDArray[Any],
        ends_G: npt.NDArray[Any],
        end_offsets_D1: npt.NDArray[Any],
        roles_G: npt.NDArray[Any] | None,
        origin_D: Long,
    ) -> PartTable:
        """The table of a shard.

        Args:
            ends_G: where parts end, in the tokens of their documents, rising.
            roles_G: the roles of turns; None: the documents are labelled pairs.
        """
        count_D = np.diff(end_offsets_D1).astype(np.int64)
        document_G = np.repeat(np.arange(len(count_D)), count_D)
        end_G = ends_G.astype(np.int64)
        start_G = np.concatenate([[0], end_G[:-1]]).astype(np.int64)[: len(end_G)]
        first_D = end_offsets_D1[:-1][count_D > 0].astype(np.int64)
        start_G[first_D] = 0
        text_G = _hashes(tokens, token_offsets_D1.astype(np.int64), document_G, start_G, end_G)
        if roles_G is None:
            owner_D = np.zeros(len(count_D), np.int64)
            owner_D[count_D > 0] = text_G[first_D]
            group_G = np.zeros(len(end_G), np.int64)
            place_G = np.arange(len(end_G)) - np.repeat(end_offsets_D1[:-1].astype(np.int64), count_D)
            drawn_G = (place_G == 1) & (count_D[document_G] == 2)
        else:
            owner_D = np.arange(len(count_D), dtype=np.int64)
            group_G, drawn_G = roles_G.astype(np.int64), np.ones(len(end_G), np.bool_)
        group_G += origin_D[document_G] * ROLES
        chosen_P = np.flatnonzero(drawn_G & (end_G > start_G))
        key_P = group_G[chosen_P] << 32 | (end_G - start_G)[chosen_P]
        order_P = np.argsort(key_P, kind="stable")
        chosen_P = chosen_P[order_P]
        return PartTable(
            key_P[order_P],
            document_G[chosen_P],
            start_G[chosen_P],
            end_G[chosen_P],
            text_G[chosen_P],
            owner_D,
            np.sort(known(owner_D[document_G[chosen_P]], text_G[chosen_P])),
            origin_D,
        )

    def groups(self, document_Q: Long, role_Q: Long) -> Long:
        """The groups of parts of documents, by their roles."""
        return self.origin_D[document_Q] * ROLES + role_Q

    @property
    def addresses(self) -> Long:
        """Parts and documents in the table, and where its columns lie in memory, for compiled loops."""
        return np.array([len(self.key_P), len(self.owner_D), *(column.ctypes.data for column in self)], np.int64)


def parts_problem(offsets_D1: npt.NDArray[Any], ends_G: npt.NDArray[Any], length_D: npt.NDArray[Any]) -> str:
    """What is wrong with the ends of parts, which never fall and end inside their document; empty when nothing is."""
    ends_G = ends_G.astype(np.int64)
    document_G = np.repeat(np.arange(len(length_D)), np.diff(offsets_D1))
    wrong_G = ends_G > length_D[document_G]
    wrong_G[1:] |= (np.diff(ends_G) < 0) & (np.diff(document_G) == 0)
    return f"those of document {int(document_G[wrong_G.argmax()])} do not rise to its length" if wrong_G.any() else ""


def known(owner_P: Long, text_P: Long) -> Long:
    """One number for an owner and a text."""
    with np.errstate(over="ignore"):
        return (mix_array(owner_P.view(np.uint64)) + text_P.view(np.uint64)).view(np.int64)


def _hashes(tokens: npt.NDArray[Any], offsets_D1: Long, document_G: Long, start_G: Long, end_G: Long) -> Long:
    """A hash of the tokens of each part, equal wherever it stands: the sum of ``mixed(token) * BASE ** place``."""
    out_G = np.zeros(len(end_G), np.uint64)
    first = 0
    while first < len(document_G):
        begin = int(offsets_D1[document_G[first]])
        last_document = int(np.searchsorted(offsets_D1, begin + CHUNK, "right")) - 1
        last = max(int(np.searchsorted(document_G, last_document)), first + 1)
        last = int(np.searchsorted(document_G, document_G[last - 1], "right"))
        from_G = offsets_D1[document_G[first:last]] - begin
        span_G = from_G + start_G[first:last], from_G + end_G[first:last]
        some_T = tokens[begin : begin + int(span_G[1][-1])].astype(np.uint64)
        power_T = np.cumprod(np.full(len(some_T), BASE))
        sum_T = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mix_array(some_T + np.uint64(1)) * power_T)])
        back_T = np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(len(some_T), INVERSE)]))
        out_G[first:last] = (sum_T[span_G[1]] - sum_T[span_G[0]]) * back_T[span_G[0]]
        first = last
    return mix_array(out_G).view(np.int64)
