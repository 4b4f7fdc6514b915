"""Nothing wrong reaches a compiled masking loop: the arrays of a batch, checked once when its samples are laid out.

    ids       in the vocabulary
    units     of each level sorted, disjoint, not empty, inside their sample
    sentences end inside their sample

The loops trust these promises and would write beside their arrays where one is broken: by a damaged shard that is as
long as it was made, or by an objective that builds wrong samples. Everything is vectorised over the batch; the sample
at fault is looked for only when there is one.

Shape legend: T positions, S samples, U units of one level, E ends of sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from masking.spans import Int

Long = npt.NDArray[np.int64]


class Named(Protocol):
    """A sample, as far as an error names it."""

    @property
    def document_id(self) -> str:
        """Of the document it was built of."""
        ...

    @property
    def task(self) -> str:
        """The task it was built for."""
        ...


def wrong(sample: Named, what: str) -> ValueError:
    """The error that names a sample, what is wrong with it, and what may be the reason."""
    return ValueError(
        f"document {sample.document_id!r}, task {sample.task!r}: {what}. Either its shard is damaged "
        "(`kmask prepare verify FOLDER` tells), or the objective that built the sample is wrong."
    )


def check_lengths(samples: Sequence[Any]) -> None:
    """Raise ValueError unless every sample has tokens, an answer for each of them, and as many ends of units as
    starts."""
    for sample in samples:
        count = len(sample.token_ids_T)
        if not count:
            raise wrong(sample, "a sample without a token")
        if len(sample.maskable_T) != count or len(sample.segment_ids_T) != count:
            raise wrong(
                sample,
                f"{count} tokens, {len(sample.maskable_T)} of them said to be maskable or not, "
                f"{len(sample.segment_ids_T)} with a segment",
            )
        if sample.place_T is not None and len(sample.place_T) != count:
            raise wrong(sample, f"{count} tokens, {len(sample.place_T)} of them with a place in the document")
        for level, (start_U, end_U) in sample.units.items():
            if len(start_U) != len(end_U):
                raise wrong(sample, f"its units of level {level!r} do not have as many ends as starts")


def check_ids(samples: Sequence[Named], original_T: Long, start_S: Int, vocabulary: int | None) -> None:
    """Raise ValueError unless all ids are in the vocabulary (``vocabulary`` None: not known, only negative ones are
    wrong)."""
    top = np.iinfo(np.int64).max if vocabulary is None else vocabulary - 1
    if len(original_T) and (original_T.min() < 0 or original_T.max() > top):
        position = int(((original_T < 0) | (original_T > top)).argmax())
        number = int(np.searchsorted(start_S, position, "right")) - 1
        known = "" if vocabulary is None else f", the vocabulary has {vocabulary:,}"
        raise wrong(
            samples[number],
            f"token {position - int(start_S[number])} of its sample has the id {int(original_T[position])}{known}",
        )


def check_units(
    samples: Sequence[Named], level: str, start_U: Long, end_U: Long, count_S: Long, start_S: Int, end_S: Int
) -> None:
    """Raise ValueError unless the units of a level are sorted, disjoint, not empty, and inside their sample.

    ``count_S`` is how many each sample has.
    """
    fine_U = (start_U < end_U) & (start_U >= np.repeat(start_S, count_S)) & (end_U <= np.repeat(end_S, count_S))
    fine_U[1:] &= start_U[1:] >= end_U[:-1]
    if not fine_U.all():
        unit = int(fine_U.argmin())
        number = int(np.searchsorted(np.cumsum(count_S), unit, "right"))
        start, length = int(start_S[number]), int(end_S[number] - start_S[number])
        place = f"[{int(start_U[unit]) - start}, {int(end_U[unit]) - start})"
        raise wrong(
            samples[number],
            f"unit {place} of level {level!r} is empty, overlaps the one before it, or leaves its sample of {length} "
            "tokens",
        )


def check_sentences(samples: Sequence[Named], end_E: Long, count_S: Long, start_S: Int, end_S: Int) -> None:
    """Raise ValueError unless every sentence ends inside its sample, after one token at least."""
    fine_E = (end_E > np.repeat(start_S, count_S)) & (end_E <= np.repeat(end_S, count_S))
    if not fine_E.all():
        end = int(fine_E.argmin())
        number = int(np.searchsorted(np.cumsum(count_S), end, "right"))
        start, length = int(start_S[number]), int(end_S[number] - start_S[number])
        raise wrong(
            samples[number], f"a sentence ends at {int(end_E[end]) - start}, outside its sample of {length} tokens"
        )


def arrays_problem(samples: Any) -> str:
    """How the arrays of Samples do not fit together; empty when they do. Compiled loops trust them."""
    tokens, count = len(samples.token_ids_T), len(samples)
    if count and samples.length_S.min() < 1:
        return "a sample without a token"
    by_token: dict[str, Any] = {
        "maskable_T": samples.maskable_T,
        "segment_ids_T": samples.segment_ids_T,
        "place_T": samples.place_T,
    }
    by_sample: dict[str, Any] = {
        name: getattr(samples, name) for name in ("tasks", "key_S", "document_ids", "first_token_S")
    }
    by_sample |= samples.labels
    if int(samples.length_S.sum()) != tokens:
        return f"{tokens} token ids, but samples of {int(samples.length_S.sum())} tokens"
    for name, array in by_token.items():
        if len(array) != tokens:
            return f"{tokens} token ids, {len(array)} entries of {name}"
    for name, values in by_sample.items():
        if len(values) != count:
            return f"{count} samples, {len(values)} entries of {name}"
    ends = {"sentence_ends": (samples.sentence_ends[0], samples.sentence_ends[0], samples.sentence_ends[1])}
    for name, (start_U, end_U, count_S) in {**ends, **samples.units}.items():
        if (
            len(count_S) != count
            or (count and count_S.min() < 0)
            or not len(start_U) == len(end_U) == int(count_S.sum())
        ):
            counts = f"counts of {int(count_S.sum())} in {len(count_S)} of {count} samples"
            return f"{name}: {len(start_U)} starts and {len(end_U)} ends, but {counts}"
    return ""
