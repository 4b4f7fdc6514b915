"""What a report tells about a prepared corpus and plain counters cannot: histograms, frequent units, unknown
characters, samples.

    part       Tally.add_block(AnnotatedBlock, EncodedBlock) for each block  ->  Tally.plain()
               ->  parts/NNNNNN/tally.json
    finish     merge([every part's])                            ->  PREPARED/tally.json

Documents are collected and counted four million characters at a time, as arrays. Nothing depends on how the corpus was
divided, except the counts of frequent surfaces, whose error is known (``floor``, see surfaces.py), and the samples are
those documents whose ids have the smallest hashes in the whole corpus.

    document lengths 3, 3, 9 characters  ->  EDGES 1 2 3 4 5 6 7 8 10 ...  ->  counts [0, 0, 2, 0, 0, 0, 0, 1]

Shape legend: D documents of a batch, S sentences, T tokens, U units of one level, B bins of a histogram, G groups
(source, language).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from data_prep.blocks import AnnotatedBlock
from data_prep.code_points import HAN
from data_prep.counting.merging import merge
from data_prep.counting.passages import SAMPLES, passage
from data_prep.counting.unit_counts import STRIDE, UnitCounts
from data_prep.documents import Annotated, Label
from data_prep.encoded import Encoded, EncodedBlock
from data_prep.encoding import Tokenizer
from data_prep.vocabularies.unknowns import alphabet_of, characters_near_unknowns
from masking.keyed import mix_array

TALLY = "tally.json"
EDGES = np.array(sorted({round(2 ** (step / 4)) for step in range(4 * 32)}), np.int64)
"""Lower ends of the bins of all length histograms: four bins an octave, up to 2^32."""
HISTOGRAMS = ("document_characters", "document_tokens", "sentence_tokens")
BATCH_CHARACTERS = 1 << 22
Pending = tuple[AnnotatedBlock, EncodedBlock, npt.NDArray[np.uint64]]


class Tally:
    """Collects one part. Cheap enough to be always on: below 3 % of preparation."""

    def __init__(self, labels: Sequence[Label], tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.types = list(dict.fromkeys(label.type for label in labels))
        self.type_names = [label.type for label in labels]
        self.languages: dict[str, int] = {}
        self.groups: dict[tuple[str, str], int] = {}
        self.sums = np.zeros((0, 5), np.int64)
        self.tables = {name: np.zeros((0, len(EDGES)), np.int64) for name in HISTOGRAMS}
        self.units = UnitCounts(np.array([self.types.index(label.type) for label in labels], np.int64))
        self.sampled = np.zeros(0, np.int64)
        self.alphabet = alphabet_of(tokenizer)
        self.unknown: Counter[str] = Counter()
        self.samples: dict[str, list[tuple[int, Annotated]]] = {}
        self._pending: list[Pending] = []
        self._size = 0

    def add(self, annotated: Annotated, encoded: Encoded) -> None:
        """Count one document."""
        self.add_block(AnnotatedBlock.of(annotated), EncodedBlock.of(encoded))

    def add_block(self, annotated: AnnotatedBlock, encoded: EncodedBlock) -> None:
        """Count several documents."""
        ends_D = annotated.block.offsets_D1[1:]
        # With so many documents a batch is full.
        filled = int(np.searchsorted(ends_D, BATCH_CHARACTERS - self._size)) + 1
        if filled < len(annotated):
            chosen_D = np.arange(len(annotated)) < filled
            self.add_block(annotated.part(0, filled), encoded.take(chosen_D))
            self.add_block(annotated.part(filled, len(annotated)), encoded.take(~chosen_D))
            return
        hashes_D = np.array([crc32(names[0].encode("utf-8", "surrogatepass")) for names in encoded.names], np.uint64)
        keys_D = mix_array(hashes_D)
        self._pending.append((annotated, encoded, keys_D))
        self._size += int(ends_D[-1])
        self._sample(annotated, keys_D.tolist())
        if self._size >= BATCH_CHARACTERS:
            self._count()

    def _sample(self, annotated: AnnotatedBlock, keys: Sequence[int]) -> None:
        for number, (document, key) in enumerate(zip(annotated.block.documents, keys, strict=True)):
            kept = self.samples.setdefault(document.language, [])
            if len(kept) < SAMPLES or key <= kept[-1][0]:
                kept.append((key, annotated.document(number)))
                kept.sort(key=lambda item: (item[0], item[1].document.source, item[1].document.text))
                del kept[SAMPLES:]

    def _count(self) -> None:
        """Turn the documents collected so far into counts."""
        if not self._pending:
            return
        pending, self._pending, self._size = self._pending, [], 0
        blocks, encoded = [annotated.block for annotated, _, _ in pending], [e for _, e, _ in pending]
        names = [names for e in encoded for names in e.names]
        group_D = np.array(
            [self.groups.setdefault((source, language), len(self.groups)) for _, language, source, _ in names], np.int64
        )
        characters_D = np.concatenate([np.diff(block.offsets_D1) for block in blocks])
        tokens_D = np.concatenate([np.diff(e.token_ids[1]) for e in encoded])
        sentences_D = np.concatenate([np.diff(e.sentence_ends[1]) for e in encoded])
        unknown = np.flatnonzero(
            np.concatenate([e.token_ids[0] for e in encoded]) == self.tokenizer.special_ids["[UNK]"]
        )
        unknown_D = np.bincount(np.searchsorted(np.cumsum(tokens_D), unknown, "right"), minlength=len(names))
        columns = (np.ones_like(tokens_D), characters_D, tokens_D, sentences_D, unknown_D)
        counts = [np.bincount(group_D, column, len(self.groups)).astype(np.int64) for column in columns]
        self.sums = _added(self.sums, np.stack(counts, 1))
        ends_S = np.concatenate([e.sentence_ends[0] for e in encoded]).astype(np.int64)
        lengths_S = np.diff(ends_S, prepend=0)
        first_D = (np.cumsum(sentences_D) - sentences_D)[sentences_D > 0]
        lengths_S[first_D] = ends_S[first_D]
        for name, group, lengths in zip(
            HISTOGRAMS,
            (group_D, group_D, np.repeat(group_D, sentences_D)),
            (characters_D, tokens_D, lengths_S),
            strict=True,
        ):
            bins = np.searchsorted(EDGES, np.maximum(lengths, 1), "right") - 1
            table = np.bincount(group * len(EDGES) + bins, minlength=len(self.groups) * len(EDGES))
            self.tables[name] = _added(self.tables[name], table.reshape(-1, len(EDGES)))
        characters_N = np.concatenate([block.characters_N for block in blocks])
        self.sampled = _sum_of(self.sampled, np.bincount(characters_N[STRIDE // 2 :: STRIDE]))
        if len(unknown):
            self.unknown.update(self.alphabet.unknown(characters_near_unknowns(pending, unknown, unknown_D)))
        language_D = np.array(
            [self.languages.setdefault(language, len(self.languages)) for _, language, _, _ in names], np.int64
        )
        keys_D = np.concatenate([keys_D for _, _, keys_D in pending])
        for level in sorted({level for a, _, _ in pending for level in a.units}):
            self.units.add(level, [(a, e) for a, e, _ in pending], characters_N, language_D, keys_D)

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values, in an order that depends on the content alone."""
        self._count()
        names = ("documents", "characters", "tokens", "sentences", "unknown")
        groups = [
            {
                "source": source,
                "language": language,
                **dict(zip(names, self.sums[number].tolist(), strict=True)),
                **{name: np.trim_zeros(table[number], "b").tolist() for name, table in self.tables.items()},
            }
            for (source, language), number in sorted(self.groups.items())
        ]
        surfaces = []
        names_of_languages = list(self.languages)
        for level, found in sorted(self.units.surfaces.items()):
            for number in found.counts:
                named = {
                    "level": level,
                    "type": self.types[number // 256],
                    "language": names_of_languages[number % 256],
                }
                surfaces.append({**named, **found.top(number)._asdict()})
        scripts: Counter[str] = Counter()
        for code in np.flatnonzero(self.sampled).tolist():
            scripts[writing_system(code)] += int(self.sampled[code]) * STRIDE
        return merge(
            [
                {
                    "groups": groups,
                    "unit_lengths": {
                        level: np.trim_zeros(counts, "b").tolist() for level, counts in self.units.lengths.items()
                    },
                    "surfaces": surfaces,
                    "scripts": scripts,
                    "unknown_characters": list(self.unknown.items()),
                    "unknown_alone": self.unknown.total(),
                    "samples": [
                        {"key": key, **passage(found, key, self.type_names)}
                        for kept in self.samples.values()
                        for key, found in kept
                    ],
                }
            ]
        )


def _sum_of(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Both added, the shorter one as if it ended in zeros."""
    return _added(left, right) if len(left) <= len(right) else _added(right, left)


def _added(before: npt.NDArray[np.int64], more: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """``more`` plus the rows of ``before``, which may be fewer."""
    more[: len(before)] += before
    return more


@cache
def writing_system(code: int) -> str:
    """The writing system of a character, as a reader would name it."""
    character = chr(code)
    if HAN.match(character):
        return "Han"
    if character.isspace():
        return "space"
    if 0xFF01 <= code <= 0xFF5E and character.isalnum():
        return "full-width letters and digits"
    if character.isdigit():
        return "digits"
    if unicodedata.category(character)[0] not in "LM":
        return "punctuation and symbols"
    name = unicodedata.name(character, "").split()[0:1]
    return {
        "LATIN": "Latin",
        "HIRAGANA": "kana",
        "KATAKANA": "kana",
        "HANGUL": "Hangul",
        "CYRILLIC": "Cyrillic",
        "GREEK": "Greek",
    }.get("".join(name), "other")
