"""Texts -> samples: what a batch asks of an objective, the common forms compiled, and what is refused.

    [CLS] window [SEP]                          plain_samples
    [CLS] segment [SEP] segment [SEP] ...       shuffled_samples

Shape legend: W windows, S samples, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from masking.keyed import combine
from pretrain.feed.hiding import Specials
from pretrain.feed.packed import Packed
from pretrain.feed.sample_checks import arrays_problem
from pretrain.feed.samples import NO_LABEL, Sample, Samples
from pretrain.feed.texts import Long, Text, Texts, starts

Keys = npt.NDArray[np.uint64]


class Built(NamedTuple):
    """Samples of several windows, and how many each window gave."""

    samples: Samples
    count_W: Long


class Builder(Protocol):
    """An objective as the feed sees it (pretrain/objectives)."""

    @property
    def weight(self) -> float:
        """Factor of its mean loss in the total."""
        ...

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that its figures are split by."""
        ...

    @property
    def means(self) -> Mapping[str, float]:
        """Weights of the parts of its targets that have a mean each; none: one mean of all."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes of its labels; 0 where it has none."""
        ...

    def special_tokens(self) -> int:
        """Most special tokens that it adds to a window."""
        ...

    def lengths(self, tokens_W: Long) -> Long:
        """Most tokens of all samples of windows of so many tokens."""
        ...

    def build_all(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        """The samples of several windows."""
        ...

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int | Mapping[str, int]]:
        """Arrays that its loss reads, and the number of targets, of each part where it has parts."""
        ...


@contextmanager
def named(task: str, objective: Any, doing: str) -> Iterator[None]:
    """Whatever a plug-in's code raises becomes a ValueError that names the task and its class."""
    try:
        yield
    except (ValueError, OSError, MemoryError):
        raise
    except Exception as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"task {task!r} ({type(objective).__name__}) failed {doing}: {type(error).__name__}: {what}"
        ) from error


def each(build: Any, texts: Sequence[Text], key_W: Keys, name: str, specials: Specials) -> Built:
    """The samples of ``build(text, key, name, specials)`` for each text, which gives one or several.

    Of several samples with one key, the later ones get keys of their own.
    """
    found: list[Sample] = []
    counts = []
    for text, key in zip(texts, key_W.tolist(), strict=True):
        made = build(text, key, name, specials)
        several = [made] if isinstance(made, Sample) else list(made)
        used: set[int] = set()
        for number, sample in enumerate(several):
            if not isinstance(sample, Sample):
                raise ValueError(
                    f"task {name!r}: `build` returned a {type(sample).__name__} where a Sample is expected"
                )
            if sample.key in used:
                sample = replace(sample, key=combine(sample.key, number))
            used.add(sample.key)
            found.append(sample)
        counts.append(len(several))
    return Built(Samples.of(found), np.array(counts, np.int64))


def plain_samples(texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
    """``[CLS] window [SEP]`` of every window, one segment."""
    from pretrain.feed import kernels

    tokens, windows = texts.tokens, texts.windows
    whole_X2 = np.stack([np.zeros_like(tokens.count_S), tokens.count_S], 1)
    one_S = np.ones_like(tokens.count_S)
    arrays = kernels.frame(
        tokens.values, tokens.offsets_S1, windows.start_W, whole_X2, one_S, specials.cls, specials.sep
    )
    units = {
        level: (start_U + 1, end_U + 1, np.diff(offsets_S1))
        for level, (start_U, end_U, offsets_S1) in texts.units.items()
    }
    ends = (texts.sentence_ends.values + 1, texts.sentence_ends.count_S)
    return _built(texts, key_W, name, arrays, tokens.count_S + 2, units, ends, {})


def shuffled_samples(
    texts: Texts, key_W: Keys, name: str, specials: Specials, segments: int, subkeys: tuple[int, int]
) -> Built:
    """Every window as 1 to ``segments`` pieces of whole sentences in a drawn order, each ended by [SEP], with its class
    as label.

    ``subkeys`` are those of the edges and of the order (keyed.combine). The class counts all orders of fewer pieces
    first, then the rank of the order among itertools.permutations; a window of one sentence has no label.
    """
    from pretrain.feed import kernels

    tokens, ends, windows = texts.tokens, texts.sentence_ends, texts.windows
    segment_X2, segments_S, class_S = kernels.shuffled_segments(
        tokens.offsets_S1, ends.values, ends.offsets_S1, key_W, *subkeys, segments
    )
    arrays = kernels.frame(
        tokens.values, tokens.offsets_S1, windows.start_W, segment_X2, segments_S, specials.cls, specials.sep
    )
    units = {level: kernels.move_intervals(*columns, segment_X2, segments_S) for level, columns in texts.units.items()}
    end_E = kernels.move_ends(ends.values, ends.offsets_S1, segment_X2, segments_S)
    return _built(
        texts, key_W, name, arrays, tokens.count_S + 1 + segments_S, units, (end_E, ends.count_S), {name: class_S}
    )


def _built(
    texts: Texts,
    key_W: Keys,
    name: str,
    arrays: tuple[Long, npt.NDArray[np.bool_], npt.NDArray[np.int32]],
    length_S: Long,
    units: Mapping[str, tuple[Long, Long, Long]],
    ends: tuple[Long, Long],
    labels: Mapping[str, Long],
) -> Built:
    """One sample of every window."""
    token_ids_T, maskable_T, place_T = arrays
    samples = Samples(
        token_ids_T=token_ids_T,
        maskable_T=maskable_T,
        segment_ids_T=np.zeros(len(token_ids_T), np.int64),
        place_T=place_T,
        length_S=length_S,
        units=units,
        sentence_ends=ends,
        tasks=[name] * len(texts),
        labels=labels,
        key_S=key_W,
        document_ids=texts.document_ids,
        first_token_S=texts.windows.start_W,
        texts=texts,
    )
    return Built(samples, np.ones(len(texts), np.int64))


def check_built(built: Built, texts: Texts, objective: Builder, name: str, longest: int) -> None:
    """Raise ValueError unless every window gave samples, none is too long, and their labels are classes of the task."""
    samples, who = built.samples, f"task {name!r} ({type(objective).__name__})"
    if problem := arrays_problem(samples):
        raise ValueError(f"{who} built samples whose arrays do not fit together: {problem}")
    if len(built.count_W) != len(texts) or int(built.count_W.sum()) != len(samples):
        raise ValueError(
            f"{who} built {len(samples)} samples of {len(texts)} windows, but says {int(built.count_W.sum())}"
        )
    if (built.count_W < 1).any():
        raise ValueError(
            f"{who} made no sample of document {texts[int(built.count_W.argmin())].document_id!r}; `build` returns "
            "one or several"
        )
    if (samples.length_S > longest).any():
        sample = int(samples.length_S.argmax())
        raise ValueError(
            f"{who} made a sample of {int(samples.length_S[sample])} tokens from document "
            f"{samples.document_ids[sample]!r}; batch.max_sample_tokens allows {longest}"
        )
    total_W = np.add.reduceat(samples.length_S, starts(built.count_W)[:-1]) if len(texts) else np.zeros(0, np.int64)
    room_W = objective.lengths(np.minimum(texts.windows.tokens_W, longest - objective.special_tokens()))
    if (total_W > room_W).any():
        window = int((total_W > room_W).argmax())
        raise ValueError(
            f"{who} made {int(total_W[window])} tokens of a window of document {texts[window].document_id!r}; its "
            f"`lengths` (or `special_tokens`) announced at most {int(room_W[window])}"
        )


def check_labels(samples: Samples, objectives: Mapping[str, Builder], name: str, segments: int | None) -> None:
    """Raise ValueError unless the labels of every task are classes of it, and all segments exist.

    Args:
        name: the task that built the samples.
        segments: how many there are; None: not known.
    """
    who = f"task {name!r} ({type(objectives[name]).__name__})" if name in objectives else f"task {name!r}"
    for task, label_S in samples.labels.items():
        classes = objectives[task].classes if task in objectives else 0
        wrong_S = (label_S < NO_LABEL) | ((label_S >= max(classes, 1)) if task in objectives else False)
        if wrong_S.any():
            sample = int(wrong_S.argmax())
            of = "" if task == name else f" for task {task!r}"
            raise ValueError(
                f"{who} gave document {samples.document_ids[sample]!r} the label {int(label_S[sample])}{of}; "
                f"its classes are 0 to {classes - 1}"
            )
    if len(samples.segment_ids_T) and (
        samples.segment_ids_T.min() < 0 or samples.segment_ids_T.max() >= (segments or 1 << 62)
    ):
        worst = int(samples.segment_ids_T.max() if samples.segment_ids_T.min() >= 0 else samples.segment_ids_T.min())
        raise ValueError(
            f"{who} gave a token the segment {worst}; the model has 0 to {(segments or 2) - 1} (model.segment_types)"
        )
