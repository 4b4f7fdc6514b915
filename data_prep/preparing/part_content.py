"""What the documents of a part add up to: their tokens by split, those set aside, and counts.

    AnnotatedBlock, EncodedBlock  ->  add     train | heldout, by a hash of each id    counts, tally
    a block of records, errors    ->  set_aside     in the order of the records

Shape legend: D documents of a block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.blocks import AnnotatedBlock
from data_prep.counting.tallies import Tally
from data_prep.discourse.discourse import SPLITS as DISCOURSE_SPLITS
from data_prep.documents import Document, Label, Place, Rejected
from data_prep.encoded import EncodedBlock
from data_prep.encoding import Tokenizer
from data_prep.preparing.reading import failed
from data_prep.shards import SPLITS
from masking.keyed import hash_keys, uniform_array


class PartContent:
    """Grows block by block."""

    def __init__(self, labels: Sequence[Label], tokenizer: Tokenizer) -> None:
        self.labels = labels
        self.unknown = tokenizer.special_ids["[UNK]"]
        self.encoded: dict[str, list[EncodedBlock]] = {split: [] for split in (*SPLITS, *DISCOURSE_SPLITS.values())}
        self.rejected: list[Rejected] = []
        self.counts = Counter[str]()
        self.tally = Tally(labels, tokenizer)
        self.draws: list[npt.NDArray[np.float64]] = []

    def add(self, annotated: AnnotatedBlock, encoded: EncodedBlock, threshold: float) -> npt.NDArray[np.bool_]:
        """Take documents in, and tell which are held out: those whose draw lies below ``threshold``."""
        count(annotated, encoded, self.labels, self.counts)
        self.tally.add_block(annotated, encoded)
        self.counts["tokens.unknown"] += int((encoded.token_ids[0] == self.unknown).sum())
        self.draws.append(uniform_array(hash_keys("heldout", (names[0] for names in encoded.names)), 0))
        heldout_D = self.draws[-1] < threshold
        self.divide(encoded, heldout_D, {split: split for split in SPLITS})
        return heldout_D

    def divide(self, encoded: EncodedBlock, heldout_D: npt.NDArray[np.bool_], names: Mapping[str, str]) -> None:
        """Add documents to the splits under the names of `train` and `heldout`."""
        for split, chosen_D in (("train", ~heldout_D), ("heldout", heldout_D)):
            if chosen_D.any():
                self.encoded[names[split]].append(encoded if chosen_D.all() else encoded.take(chosen_D))

    def set_aside(self, block: Sequence[tuple[Place, Document | Rejected]], errors: Mapping[int, Exception]) -> None:
        """Remember which records are no document, and which documents the code failed on, by their numbers among the
        documents."""
        number = 0
        for place, document in block:
            if isinstance(document, Rejected):
                self.rejected.append(document)
                continue
            if number in errors:
                self.rejected.append(failed(place, errors[number]))
            number += 1

    def least_draw(self) -> list[Any]:
        """The smallest draw and how many documents have it; empty when there is none."""
        if not self.draws:
            return []
        draws_D = np.concatenate(self.draws)
        return [float(draws_D.min()), int((draws_D == draws_D.min()).sum())]


def count(annotated: AnnotatedBlock, encoded: EncodedBlock, labels: Sequence[Label], counts: Counter[str]) -> None:
    """Count documents with their characters and units."""
    groups: dict[tuple[str, str], int] = {}
    group_D = np.array([groups.setdefault((source, language), len(groups)) for _, language, source, _ in encoded.names])
    columns = (np.ones(len(group_D)), np.diff(annotated.block.offsets_D1), annotated.words_D, annotated.cut_D)
    sums = [np.bincount(group_D, column).astype(np.int64).tolist() for column in columns]
    for (source, language), documents, characters, words, cut in zip(groups, *sums, strict=True):
        counts[f"documents.{source}.{language}"] += documents
        counts[f"characters.{source}.{language}"] += characters
        counts[f"words.{language}"] += words
        counts[f"words cut.{language}"] += cut
    for level, (units, _) in encoded.units.items():
        for label, number in enumerate(np.bincount(units.label_U).tolist()):
            if number:
                counts[f"units.{level}.{labels[label].type or '-'}.{labels[label].origin}"] += number
    for reason, number in [*annotated.dropped.items(), *encoded.dropped.items()]:
        counts[f"dropped.{reason}"] += number
