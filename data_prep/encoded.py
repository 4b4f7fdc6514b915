"""Documents as tokens: one alone, or several whose arrays lie one behind the other.

    Encoded        token ids, flags, ends of sentences and paragraphs, units of every level, all as places in the
                   document's tokens
    EncodedBlock   the same of several documents:  token_ids ([5 7 7 | 9], begins 0 3 4)   ->   document(1) has token 9

Shape legend: D documents, T tokens, S sentences, P paragraphs, G segments (parts of a pair), U units of one level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.blocks import Offsets, offsets_of

RAGGED = ("token_ids", "flags", "sentence_ends", "paragraph_ends", "segment_ends", "segment_labels")
"""What a document has several of, apart from units."""


@dataclass(frozen=True, slots=True)
class TokenUnits:
    """Units of one level as token ranges ``[start, start + length)``, sorted and disjoint."""

    start_U: npt.NDArray[np.uint32]
    length_U: npt.NDArray[np.uint16]
    label_U: npt.NDArray[np.uint8]
    """Index into the label table of the manifest."""

    def __getitem__(self, chosen_U: npt.NDArray[np.bool_] | slice) -> TokenUnits:
        return TokenUnits(self.start_U[chosen_U], self.length_U[chosen_U], self.label_U[chosen_U])


NO_UNITS = TokenUnits(np.zeros(0, np.uint32), np.zeros(0, np.uint16), np.zeros(0, np.uint8))


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """A whole document as tokens, without special tokens."""

    id: str
    language: str
    source: str
    title: str
    token_ids_T: npt.NDArray[np.int32]
    flags_T: npt.NDArray[np.uint8]
    sentence_ends_S: npt.NDArray[np.uint32]
    """Index one past the last token of each sentence; sentences without tokens are left out."""
    paragraph_ends_P: npt.NDArray[np.uint32]
    """Index one past the last token of each paragraph."""
    units: Mapping[str, TokenUnits]
    dropped: Mapping[str, int]
    """Units that fit no token boundary, by level."""
    segment_ends_G: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    """Index one past the last token of each part of a pair; empty for documents that are no pairs."""
    segment_labels_G: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    """The class of each of these parts: of a turn its role, of a pair the pair's own; -1 when it has none."""
    label: int = -1
    """The class of a labelled pair; -1 when it has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedBlock:
    """Several documents as tokens; positions count in the tokens of each. What a document has several of is an array
    and where each begins."""

    names: Sequence[tuple[str, str, str, str]]
    """Id, language, source and title of each."""
    token_ids: tuple[npt.NDArray[np.int32], Offsets]
    flags: tuple[npt.NDArray[np.uint8], Offsets]
    sentence_ends: tuple[npt.NDArray[np.uint32], Offsets]
    paragraph_ends: tuple[npt.NDArray[np.uint32], Offsets]
    segment_ends: tuple[npt.NDArray[np.uint32], Offsets]
    segment_labels: tuple[npt.NDArray[np.int16], Offsets]
    units: Mapping[str, tuple[TokenUnits, Offsets]]
    dropped: Mapping[str, int]
    label_D: npt.NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, chosen_D: npt.NDArray[np.bool_]) -> EncodedBlock:
        """Some of the documents; what was dropped is left behind."""

        def taken(values: Any, offsets_D1: Offsets) -> Any:
            lengths_D = np.diff(offsets_D1)
            return values[np.repeat(chosen_D, lengths_D)], offsets_of(lengths_D[chosen_D].tolist())

        return EncodedBlock(
            names=[self.names[number] for number in np.flatnonzero(chosen_D).tolist()],
            **{name: taken(*getattr(self, name)) for name in RAGGED},
            units={level: taken(*found) for level, found in self.units.items()},
            dropped={},
            label_D=self.label_D[chosen_D],
        )

    def document(self, number: int) -> Encoded:
        """One document alone. What was dropped is known of a block of one document only."""
        identity, language, source, title = self.names[number]
        token_ids_T, flags_T, sentence_ends_S, paragraph_ends_P, segment_ends_G, segment_labels_G = (
            values[offsets_D1[number] : offsets_D1[number + 1]]
            for values, offsets_D1 in (getattr(self, name) for name in RAGGED)
        )
        return Encoded(
            id=identity,
            language=language,
            source=source,
            title=title,
            token_ids_T=token_ids_T,
            flags_T=flags_T,
            sentence_ends_S=sentence_ends_S,
            paragraph_ends_P=paragraph_ends_P,
            units={
                level: units[slice(offsets_D1[number], offsets_D1[number + 1])]
                for level, (units, offsets_D1) in self.units.items()
            },
            dropped=self.dropped if len(self) == 1 else {},
            segment_ends_G=segment_ends_G,
            segment_labels_G=segment_labels_G,
            label=int(self.label_D[number]),
        )

    @staticmethod
    def of(encoded: Encoded) -> EncodedBlock:
        """A block of one document."""
        arrays: tuple[Any, ...] = (
            encoded.token_ids_T,
            encoded.flags_T,
            encoded.sentence_ends_S,
            encoded.paragraph_ends_P,
            encoded.segment_ends_G,
            encoded.segment_labels_G,
        )
        return EncodedBlock(
            names=[(encoded.id, encoded.language, encoded.source, encoded.title)],
            **{name: (array, offsets_of([len(array)])) for name, array in zip(RAGGED, arrays, strict=True)},
            units={level: (units, offsets_of([len(units.start_U)])) for level, units in encoded.units.items()},
            dropped=encoded.dropped,
            label_D=np.array([encoded.label], np.int16),
        )
