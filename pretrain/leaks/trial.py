"""Samples of one task from prepared folders, as training and evaluation would see them, and what they look like.

Trial.of(corpus, task, limit)   ->  rows of the training split and of the held-out one
trial.fitted, trial.asked       ->  tables for the baselines, or nothing where the task has no classes
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pretrain.corpus import Corpus
from pretrain.feed.loading import BatchMaker
from pretrain.feed.packed import Packed
from pretrain.feed.sampling import Cursor, MicroBatchSpec
from pretrain.leaks.features import Table, choice_table, sample_table, token_table

PER_ROW = 64
"""Tokens of a row that a token-level task is judged by."""


@dataclass(kw_only=True)
class Seen:
    """What rows of a task held."""

    samples: int = 0
    tokens: int = 0
    unasked: int = 0
    """Samples without a target of the task."""
    targets: int = 0
    classes: Counter[int] = field(default_factory=Counter)
    tables: list[Table] = field(default_factory=list)
    examples: dict[int, tuple[Packed, int]] = field(default_factory=dict)
    """By class, or by -1 for tasks without: a batch and the number of a sample of it."""

    @property
    def table(self) -> Table:
        """All targets that were looked at."""
        return Table.join(self.tables)


def look(corpus: Corpus, task: str, split: str, limit: int) -> Seen:
    """The first rows of a task in keyed order, folder after folder, until they hold ``limit`` samples.

    Raises:
        ValueError: a batch cannot be made.
    """
    seen = Seen()
    maker = corpus.trial(task, split)
    for packed in batches(maker, limit):
        add(seen, maker, packed, task, corpus)
    return seen


def batches(maker: BatchMaker, limit: int) -> Iterator[Packed]:
    """One row at a time, from every stream its share of ``limit`` samples; no row twice."""
    for stream in maker.streams.values():
        cursor, samples = Cursor(), 0
        while samples * len(maker.streams) < limit and cursor.epoch == 0 and len(stream.source):
            row, cursor = stream.next(cursor)
            packed = maker.packed(MicroBatchSpec(0, [row], 0.0))
            samples += len(packed.samples)
            yield packed


def add(seen: Seen, maker: BatchMaker, packed: Packed, task: str, corpus: Corpus) -> None:
    """Count a row."""
    targets, count = maker.objectives[task].targets(packed, task)
    seen.samples += len(packed.samples)
    seen.tokens += int(packed.samples.length_S.sum())
    seen.targets += sum(count.values()) if isinstance(count, Mapping) else count
    classes = maker.objectives[task].classes
    labelled = packed.labelled(task)[0]
    if "position" in targets and classes:
        starts = packed.sample_start_S
        asked = {int(sample) for sample in starts.searchsorted(targets["position"], "right") - 1}
        seen.tables.append(token_table(packed, targets, corpus.tokenizer.tokens, PER_ROW))
    elif "candidate" in targets and classes:
        asked = {*targets["sample"].tolist(), *targets["candidate"].flatten().tolist()}
        seen.tables.append(choice_table(packed, targets))
    else:
        asked = set(labelled.tolist()) if classes else set(range(len(packed.samples)))
        if classes:
            seen.tables.append(sample_table(packed, task, corpus.specials.sep))
    seen.unasked += len(packed.samples) - len(asked)
    if classes:
        seen.classes.update(targets["label"].tolist())
    for number in sorted(asked):
        label = packed.samples[number].labels.get(task, -1)
        seen.examples.setdefault(label, (packed, number))
