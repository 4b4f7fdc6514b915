"""The units of held-out text that a cloze test hides, chosen by keys: the same for every model.

    prepared folder  ->  windows of held-out documents ([CLS] window [SEP]), the first ones in keyed order
                     ->  Probe: a unit in its window; of each kind so many, the first ones in keyed order

Text is divided as masking divides it: entity > phrase > levels of your own > word > character, so every token belongs
to one unit. Units that hold [UNK] are never asked.

Shape legend: W windows, T tokens of all windows, U units.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_prep.encoding import Tokenizer
from data_prep.shards import Prepared
from masking.keyed import hash_key, permute, place_keys
from masking.spans import KINDS, Units, precedence
from pretrain.evaluation.blanks import framed
from pretrain.evaluation.inputs import Ids
from pretrain.evaluation.subjects import Subject
from pretrain.feed.sources import Source
from pretrain.feed.texts import Texts, Windows

SLOTS = 64
"""Slots whose windows are cut together."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A unit in its window."""

    ids_T: Ids
    """The whole sample, nothing hidden."""
    first: int
    """The unit's first token in it."""
    last: int
    """One past its last token."""
    kind: str
    """One of KINDS."""
    elsewhere: bool
    """Do its tokens stand in the window a second time, where they can be copied from?"""

    @property
    def surface(self) -> tuple[int, ...]:
        """The unit's token ids."""
        return tuple(self.ids_T[self.first : self.last].tolist())


def check_vocabulary(prepared: Prepared, subject: Subject) -> None:
    """Raise ValueError unless the ids of the shards mean the same tokens to the model. One whose vocabulary was
    extended from theirs, behind its end or in its [unused] rows, fits.

    Ids are read as they are, so rules of cutting text need not agree.
    """
    ours, theirs = prepared.tokenizer.tokens, subject.tokenizer.tokens
    wrong = [
        number
        for number, token in enumerate(ours)
        if token and not token.startswith("[unused") and (number >= len(theirs) or theirs[number] != token)
    ]
    if wrong:
        number = wrong[0]
        found = repr(theirs[number]) if number < len(theirs) else "nothing"
        raise ValueError(
            f"data: {prepared.folder} was prepared with another vocabulary than that of model {subject.name} (id "
            f"{number} is {ours[number]!r} there, {found} here; {len(wrong):,} differ). Prepare the text once with the "
            "vocabulary that all models share: that of the model they began from"
        )


def keyed_windows(source: Source, limit: int) -> Windows:
    """Windows of a split: all, or of the stretches of text that come first in keyed order so many.

    Raises:
        ValueError: there is no held-out text.
    """
    order_N = permute(np.arange(source.slots, dtype=np.uint64), source.slots, hash_key("cloze")).astype(np.int64)
    found: list[Windows] = []
    for first in range(0, len(order_N), SLOTS):
        if sum(map(len, found)) >= limit:
            break
        found.append(source.windows(order_N[first : first + SLOTS]))
    if not sum(map(len, found)):
        raise ValueError(f"data: {source.prepared.folder} holds no held-out document (see its setting `heldout`)")
    return Windows.join(found).take(slice(0, limit))


def probes(source: Source, windows: int, units: int, kinds: Collection[str]) -> tuple[list[Probe], dict[str, int]]:
    """(units to ask, how many there were of each kind): at most so many of each kind, window by window."""
    texts = source.texts(keyed_windows(source, windows))
    start_U, end_U, kind_U = divided(texts, source.prepared.tokenizer)
    window_U = np.searchsorted(texts.tokens.offsets_S1, start_U, "right") - 1
    chosen: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    found: dict[str, int] = {}
    for number in [number for number, kind in enumerate(KINDS) if kind in kinds]:
        mine_U = np.flatnonzero(kind_U == number)
        found[KINDS[number]] = len(mine_U)
        begin = texts.windows.start_W[window_U[mine_U]] + start_U[mine_U] - texts.tokens.offsets_S1[window_U[mine_U]]
        names = [texts.document_ids[window] for window in window_U[mine_U].tolist()]
        keys = place_keys(("cloze", KINDS[number]), names, begin.tolist())
        chosen.append(mine_U[np.argsort(keys, kind="stable")[:units]])
    order_U = np.sort(np.concatenate(chosen))
    return [_probe(texts, source.prepared.tokenizer, start_U[u], end_U[u], kind_U[u]) for u in order_U.tolist()], found


def divided(
    texts: Texts, tokenizer: Tokenizer, levels: Collection[str] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """(start_U, end_U, kind_U) of all units without [UNK], in the tokens of all windows; only of some ``levels``, where
    they are given."""
    offsets_W1, total = texts.tokens.offsets_S1, len(texts.tokens.values)
    found = {}
    for level, (start_U, end_U, units_W1) in texts.units.items():
        if levels is not None and level not in levels:
            continue
        shift_U = np.repeat(offsets_W1[:-1], np.diff(units_W1))
        found[level] = ((start_U + shift_U).astype(np.int32), (end_U + shift_U).astype(np.int32))
    units = Units(
        sample_start_S=offsets_W1[:-1].astype(np.int32),
        sample_end_S=offsets_W1[1:].astype(np.int32),
        maskable_T=np.ones(total, np.bool_),
        levels=found,
    )
    unit_end_T, kind_T = units.partition(precedence(found))
    start_U = np.flatnonzero(unit_end_T).astype(np.int64)
    end_U = unit_end_T[start_U].astype(np.int64)
    unknown_T1 = np.concatenate([[0], np.cumsum(texts.tokens.values == tokenizer.special_ids["[UNK]"])])
    known_U = unknown_T1[end_U] == unknown_T1[start_U]
    return start_U[known_U], end_U[known_U], kind_T[start_U[known_U]]


def _probe(texts: Texts, tokenizer: Tokenizer, start: int, end: int, kind: int) -> Probe:
    window = int(np.searchsorted(texts.tokens.offsets_S1, start, "right")) - 1
    begin, close = (int(place) for place in texts.tokens.offsets_S1[window : window + 2])
    ids_T = texts.tokens.values[begin:close]
    unit = ids_T[start - begin : end - begin]
    return Probe(
        ids_T=framed(tokenizer, ids_T),
        first=int(start) - begin + 1,
        last=int(end) - begin + 1,
        kind=KINDS[kind],
        elsewhere=_occurrences(ids_T, unit) > 1,
    )


def _occurrences(ids_T: Ids, unit: Ids) -> int:
    if len(unit) > len(ids_T):
        return 0
    return int((np.lib.stride_tricks.sliding_window_view(ids_T, len(unit)) == unit).all(1).sum())
