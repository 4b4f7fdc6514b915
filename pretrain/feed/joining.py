"""Samples of several texts: pieces of one document or of several, with [SEP] after each.

    [CLS] piece [SEP] piece [SEP] ...       joined_samples

Which pieces a sample is made of is decided by its task; ``Texts.read`` gathers them all at once.

Shape legend: P pieces, S samples, T tokens, U units of one level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrain.feed.building import Built, Keys
from pretrain.feed.hiding import Specials
from pretrain.feed.samples import NOWHERE, Samples
from pretrain.feed.text_sequences import Picked
from pretrain.feed.texts import Long, Texts, starts


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Samples as pieces of text, before they are framed."""

    texts: Texts
    """All pieces, sample by sample."""
    count_S: Long
    """Pieces of each sample, at least one."""
    segment_P: Long
    """Segment id of each piece and of the [SEP] after it; [CLS] has that of the first piece."""
    window_S: Long
    """The window that each sample is built of, rising; every window gives at least one."""
    labels: Mapping[str, Long]
    """int64[S] by task; NO_LABEL where a sample is not asked."""
    hide_S: npt.NDArray[np.bool_] | None = None
    """May tokens of the sample be hidden? None: of all."""


def joined_samples(home: Texts, pieces: Pieces, key_S: Keys, name: str, specials: Specials) -> Built:
    """The samples of several windows.

    Tokens of a piece of the window's own document keep their place in it; those of another document stand nowhere.

    Args:
        home: the windows.
        key_S: a key for each sample; those of one window differ.
    """
    texts, count_S = pieces.texts, pieces.count_S
    first_S, length_P = starts(count_S)[:-1], texts.tokens.count_S + 1
    sample_P = np.repeat(np.arange(len(count_S)), count_S)
    length_S = _summed(length_P, first_S) + 1
    start_S, start_P = starts(length_S)[:-1], starts(length_P)[:-1] + sample_P + 1
    token_ids_T = np.full(int(length_S.sum()), specials.sep, np.int64)
    token_ids_T[start_S] = specials.cls
    maskable_T, place_T = np.zeros(len(token_ids_T), np.bool_), np.full(len(token_ids_T), NOWHERE, np.int32)
    piece_T = np.repeat(np.arange(len(length_P)), length_P - 1)
    inside_T = np.arange(len(piece_T)) - texts.tokens.offsets_S1[piece_T]
    to_T = start_P[piece_T] + inside_T
    token_ids_T[to_T] = texts.tokens.values
    maskable_T[to_T] = True if pieces.hide_S is None else pieces.hide_S[sample_P[piece_T]]
    at_home_P = _at_home(home, texts, pieces.window_S[sample_P])
    place_T[to_T] = np.where(at_home_P[piece_T], texts.windows.start_W[piece_T] + inside_T, NOWHERE)
    begins_P = np.diff(sample_P, prepend=-1)
    shift_P = start_P - start_S[sample_P]
    ends = texts.sentence_ends
    numbers = pieces.window_S.tolist()
    samples = Samples(
        token_ids_T=token_ids_T,
        maskable_T=maskable_T,
        segment_ids_T=np.repeat(pieces.segment_P, length_P + begins_P),
        place_T=place_T,
        length_S=length_S,
        units={level: _units(columns, shift_P, first_S) for level, columns in texts.units.items()},
        sentence_ends=(ends.values + np.repeat(shift_P, ends.count_S), _summed(ends.count_S, first_S)),
        tasks=[name] * len(count_S),
        labels=pieces.labels,
        key_S=key_S,
        document_ids=[home.document_ids[window] for window in numbers],
        first_token_S=home.windows.start_W[pieces.window_S],
        texts=Picked(home, numbers),
    )
    return Built(samples, np.bincount(pieces.window_S, minlength=len(home)))


def _at_home(home: Texts, texts: Texts, window_P: Long) -> npt.NDArray[np.bool_]:
    """Is each piece of the document of its window?"""
    same: npt.NDArray[np.bool_] = (texts.windows.shard_W == home.windows.shard_W[window_P]) & (
        texts.windows.document_W == home.windows.document_W[window_P]
    )
    return same


def _units(columns: tuple[Long, Long, Long], shift_P: Long, first_S: Long) -> tuple[Long, Long, Long]:
    start_U, end_U, offsets_P1 = columns
    count_P = np.diff(offsets_P1)
    shift_U = np.repeat(shift_P, count_P)
    return start_U + shift_U, end_U + shift_U, _summed(count_P, first_S)


def _summed(count_P: Long, first_S: Long) -> Long:
    return np.add.reduceat(count_P, first_S) if len(first_S) else np.zeros(0, np.int64)
