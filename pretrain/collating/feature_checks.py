"""What users write into features, as arrays that compiled loops may rely on; everything else is a ValueError that names
the feature.

    integers([101, 7], ...)                        ->  int64[2]
    unit_pairs([(5, 7), (1, 3)], ...)              ->  start [1, 5], end [3, 7]; [{start, length}, ...] as in a shard
                                                       too
    check_units(parts, ["word"], edges, special_T)     units inside their feature, disjoint, free of special tokens

Shape legend: F features of a batch, T their tokens one after another, S sentences, U units of a level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from masking.spans import KINDS, Flags
from pretrain.feed.samples import EMPTY

Long = npt.NDArray[np.int64]
Pair = tuple[Long, Long]


class Part(NamedTuple):
    """A feature as arrays; None: not given."""

    name: str
    """For errors."""
    identity: str
    first_token: int
    token_ids_T: Long
    special_T: Flags | None
    segment_ids_T: Long | None
    units: Mapping[str, Pair]
    sentence_ends_S: Long


def integers(value: Any, name: str, what: str) -> Long:
    """A list of whole numbers as an array."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        array = np.zeros((1, 1))
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise ValueError(f"{name}: `{what}` must be a list of whole numbers")
    return array.astype(np.int64, copy=False)


def aligned(feature: Mapping[str, Any], what: str, count: int, name: str) -> Long | None:
    """A column with a number for every token, None where it is not given."""
    if feature.get(what) is None:
        return None
    found = integers(feature[what], name, what)
    if len(found) != count:
        raise ValueError(f"{name}: {count} `input_ids`, but {len(found)} in `{what}`")
    return found


def unpadded(attention_T: Long | None, count: int, name: str) -> int:
    """How many tokens stand before the padding."""
    if attention_T is None:
        return count
    real = int(np.count_nonzero(attention_T))
    if np.count_nonzero(attention_T[:real]) < real:
        raise ValueError(
            f"{name}: `attention_mask` is 0 before its last 1; leave padding to the collator, or pad on the right"
        )
    return real


def ends(value: Any, count: int, name: str) -> Long:
    """Sentence ends: rising, from 1 to the number of tokens; none where they are not given."""
    found = EMPTY if value is None else integers(value, name, "sentence_ends")
    if len(found) and (found[0] < 1 or found[-1] > count or (found[1:] <= found[:-1]).any()):
        raise ValueError(f"{name}: `sentence_ends` must rise from 1 or more to at most its {count} tokens")
    return found


def unit_pairs(value: Any, name: str, level: str) -> Pair:
    """Units as (start_U, end_U), by start: from [(start, end), ...] or, as in a shard, [{start, length}, ...] or
    {start: [...], length: [...]}."""
    if value is None:
        return EMPTY, EMPTY
    structs = isinstance(value, Mapping)
    try:
        if not len(value):
            return EMPTY, EMPTY
        structs = structs or isinstance(value[0], Mapping)
        if isinstance(value, Mapping):
            table = np.stack([np.asarray(value[side]) for side in ("start", "length")])
        elif structs:
            table = np.array([[unit[side] for unit in value] for side in ("start", "length")])
        else:  # two long lists: numpy takes twice as long over many short ones
            table = np.array(list(zip(*value, strict=True))) if isinstance(value, list) else np.asarray(value).T
    except (ValueError, TypeError, LookupError, OverflowError):
        table = np.zeros(1)
    if table.ndim == 2 and not table.size:
        return EMPTY, EMPTY
    if table.ndim != 2 or len(table) != 2 or table.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: the units of level {level!r} must be pairs (start, end) of whole numbers, or {{start, length}} "
            "as in a shard"
        )
    start_U, second_U = table.astype(np.int64, order="C", copy=False)
    end_U = start_U + second_U if structs else second_U
    if np.count_nonzero(start_U[1:] < start_U[:-1]):
        order = np.argsort(start_U, kind="stable")
        start_U, end_U = start_U[order], end_U[order]
    return start_U, end_U


def check_levels(given: Mapping[str, Any], hidden: Sequence[str], name: str) -> None:
    """Raise ValueError for a level that nobody knows: a misspelt one would be left unread."""
    known = dict.fromkeys([*KINDS[1:], *hidden])
    if strange := [level for level in given if level not in known]:
        raise ValueError(
            f"{name}: unknown level {strange[0]!r} in `units`; known are {', '.join(known)} (a level of your own must "
            "be named by the strategy)"
        )


def check_ids(parts: Sequence[Part], ids_T: Long, edges: Long, vocabulary: int) -> None:
    """Raise ValueError unless all ids are in the vocabulary."""
    wrong_T = (ids_T < 0) | (ids_T >= vocabulary)
    if wrong_T.any():
        place = int(wrong_T.argmax())
        part = parts[int(np.searchsorted(edges, place, "right")) - 1]
        raise ValueError(
            f"{part.name}: token id {int(ids_T[place])} is not in the tokenizer's vocabulary, which ends at "
            f"{vocabulary - 1}"
        )


def check_units(parts: Sequence[Part], levels: Sequence[str], edges: Long, special_T: Flags) -> None:
    """Raise ValueError unless the units of each level are not empty, inside their feature, disjoint and free of special
    tokens.

    Args:
        edges: where each feature begins in ``special_T``, and the end of the last.
    """
    found = [
        part.units[level] for level in levels for part in parts
    ]  # all at once: a numpy call costs more than its numbers
    if not found:
        return
    start_U, end_U = (np.concatenate([pair[side] for pair in found]) for side in (0, 1))
    group_U = np.repeat(np.arange(len(found)), [len(pair[0]) for pair in found])
    number_U = group_U % len(parts)
    begin_U, length_U = edges[number_U], np.diff(edges)[number_U]
    outside_U = (start_U < 0) | (start_U >= end_U) | (end_U > length_U)
    overlap_U = np.zeros(len(start_U), np.bool_)
    overlap_U[1:] = (start_U[1:] < end_U[:-1]) & (group_U[1:] == group_U[:-1])
    special_T1 = np.concatenate([[0], np.cumsum(special_T)])
    first_U, last_U = (begin_U + np.where(outside_U, 0, side_U) for side_U in (start_U, end_U))
    wrong_U = outside_U | overlap_U | (special_T1[first_U] != special_T1[last_U])
    if not wrong_U.any():
        return
    unit = int(wrong_U.argmax())
    part, level, place = (
        parts[number_U[unit]],
        levels[group_U[unit] // len(parts)],
        f"[{int(start_U[unit])}, {int(end_U[unit])})",
    )
    if outside_U[unit]:
        raise ValueError(
            f"{part.name}: unit {place} of level {level!r} is empty or leaves the {len(part.token_ids_T)} tokens of "
            "its sample"
        )
    if overlap_U[unit]:
        before = f"[{int(start_U[unit - 1])}, {int(end_U[unit - 1])})"
        raise ValueError(
            f"{part.name}: units {before} and {place} of level {level!r} overlap; within a level they must not"
        )
    token = int(start_U[unit]) + int(special_T[first_U[unit] : last_U[unit]].argmax())
    raise ValueError(
        f"{part.name}: unit {place} of level {level!r} contains the special token at {token}; units hold text only"
    )
