"""What a report tells about a prepared corpus and plain counters cannot: histograms, frequent units, unknown characters, samples.

    part       Tally.add(Annotated, Encoded) for each document  ->  Tally.plain()  ->  parts/NNNNNN/tally.json
    finish     merge([every part's])                            ->  PREPARED/tally.json

Documents are collected and counted four million characters at a time, as arrays. Nothing depends on how the corpus was divided, except
the counts of frequent surfaces, whose error is known (``floor``, see surfaces.py), and the samples are those documents whose ids
have the smallest hashes in the whole corpus.

    document lengths 3, 3, 9 characters  ->  EDGES 1 2 3 4 5 6 7 8 10 ...  ->  counts [0, 0, 2, 0, 0, 0, 0, 1]

Shape legend: D documents of a batch, S sentences, T tokens, U units of one level, B bins of a histogram, G groups (source, language).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import zip_longest
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from data_prep.code_points import HAN
from data_prep.counting.passages import SAMPLES, passage, smallest
from data_prep.counting.surfaces import Surfaces, Top, cut, joined
from data_prep.documents import Annotated, Label
from data_prep.encoding import Encoded, Tokenizer
from data_prep.vocabularies.unknowns import alphabet_of, beside
from masking.keyed import mix

TALLY = "tally.json"
EDGES = np.array(sorted({round(2 ** (step / 4)) for step in range(4 * 32)}), np.int64)
"""Lower ends of the bins of all length histograms: four bins an octave, up to 2^32."""
HISTOGRAMS = ("document_characters", "document_tokens", "sentence_tokens")
LONGEST_UNIT = 64
"""Units of this many tokens and longer are counted together."""
BATCH_CHARACTERS = 1 << 22
EXACT_WORDS, STRIDE = 1 << 13, 16
"""So many words of a part are counted one by one; then every sixteenth of a document for sixteen. Of characters, always every sixteenth."""
MERGED, HELD, UNKNOWN = 1000, 256, 200
"""Frequent surfaces of a class that a merged tally keeps, lists of them that are held before they are joined; unknown characters."""


class Tally:
    """Collects one part. Cheap enough to be always on: below 3 % of preparation."""

    def __init__(self, labels: Sequence[Label], tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.types = list(dict.fromkeys(label.type for label in labels))
        self.type_of_label = np.array([self.types.index(label.type) for label in labels], np.int64)
        self.type_names = [label.type for label in labels]
        self.languages: dict[str, int] = {}
        self.groups: dict[tuple[str, str], int] = {}
        self.sums = np.zeros((0, 5), np.int64)
        self.tables = {name: np.zeros((0, len(EDGES)), np.int64) for name in HISTOGRAMS}
        self.lengths: dict[str, npt.NDArray[np.int64]] = {}
        self.surfaces: dict[str, Surfaces] = {}
        self.words = 0
        self.sampled = np.zeros(0, np.int64)
        self.alphabet = alphabet_of(tokenizer)
        self.unknown: Counter[str] = Counter()
        self.samples: dict[str, list[tuple[int, Annotated]]] = {}
        self._pending: list[tuple[Annotated, Encoded, int]] = []
        self._size = 0

    def add(self, annotated: Annotated, encoded: Encoded) -> None:
        """Count one document."""
        key = mix(crc32(annotated.document.id.encode("utf-8", "surrogatepass")))
        self._pending.append((annotated, encoded, key))
        self._size += len(annotated.document.text)
        self._sample(annotated, key)
        if self._size >= BATCH_CHARACTERS:
            self._count()

    def _sample(self, annotated: Annotated, key: int) -> None:
        kept = self.samples.setdefault(annotated.document.language, [])
        if len(kept) < SAMPLES or key <= kept[-1][0]:
            kept.append((key, annotated))
            kept.sort(key=lambda item: (item[0], item[1].document.source, item[1].document.text))
            del kept[SAMPLES:]

    def _count(self) -> None:
        """Turn the documents collected so far into counts."""
        if not self._pending:
            return
        pending, self._pending, self._size = self._pending, [], 0
        documents, encoded = [a.document for a, _, _ in pending], [e for _, e, _ in pending]
        group_D = np.array([self.groups.setdefault((e.source, e.language), len(self.groups)) for e in encoded], np.int64)
        characters_D = np.array([len(document.text) for document in documents], np.int64)
        tokens_D = np.array([len(e.token_ids_T) for e in encoded], np.int64)
        sentences_D = np.array([len(e.sentence_ends_S) for e in encoded], np.int64)
        unknown = np.flatnonzero(np.concatenate([e.token_ids_T for e in encoded]) == self.tokenizer.special_ids["[UNK]"])
        unknown_D = np.bincount(np.searchsorted(np.cumsum(tokens_D), unknown, "right"), minlength=len(pending))
        columns = (np.ones_like(tokens_D), characters_D, tokens_D, sentences_D, unknown_D)
        self.sums = _added(self.sums, np.stack([np.bincount(group_D, column, len(self.groups)).astype(np.int64) for column in columns], 1))
        ends_S = np.concatenate([e.sentence_ends_S for e in encoded]).astype(np.int64)
        lengths_S = np.diff(ends_S, prepend=0)
        first_D = (np.cumsum(sentences_D) - sentences_D)[sentences_D > 0]
        lengths_S[first_D] = ends_S[first_D]
        for name, group, lengths in zip(HISTOGRAMS, (group_D, group_D, np.repeat(group_D, sentences_D)), (characters_D, tokens_D, lengths_S), strict=True):
            bins = np.searchsorted(EDGES, np.maximum(lengths, 1), "right") - 1
            table = np.bincount(group * len(EDGES) + bins, minlength=len(self.groups) * len(EDGES)).reshape(-1, len(EDGES))
            self.tables[name] = _added(self.tables[name], table)
        characters_N = np.concatenate([document.characters for document in documents])
        self.sampled = _sum_of(self.sampled, np.bincount(characters_N[STRIDE // 2 :: STRIDE]))
        if len(unknown):
            self.unknown.update(self.alphabet.unknown(beside(pending, unknown, unknown_D)))
        for level in sorted({level for a, _, _ in pending for level in a.units}):
            self._count_units(level, pending, characters_N, np.cumsum(characters_D) - characters_D)

    def _count_units(self, level: str, pending: Sequence[Any], characters_N: npt.NDArray[np.uint32], offset_D: npt.NDArray[np.int64]) -> None:
        language_D = np.array([self.languages.setdefault(e.language, len(self.languages)) for _, e, _ in pending], np.int64)
        found = [
            (number, a.units[level], e.units[level], key) for number, (a, e, key) in enumerate(pending) if level in a.units and len(a.units[level].start_U)
        ]
        exact = len(found)
        if level == "word":
            words_D1 = np.cumsum([self.words, *(len(units.start_U) for _, units, _, _ in found)])
            exact, self.words = int(np.searchsorted(words_D1[1:], EXACT_WORDS, "right")), int(words_D1[-1])
        for weight, chosen in ((1, found[:exact]), (STRIDE, found[exact:])):
            if chosen:
                at = [slice(key % weight, None, weight) for *_, key in chosen]
                starts, ends, labels, lengths = (
                    [getattr(item[which], name)[place] for item, place in zip(chosen, at, strict=True)]
                    for which, name in ((1, "start_U"), (1, "end_U"), (1, "label_U"), (2, "length_U"))
                )
                document_U = np.repeat([number for number, *_ in chosen], [len(column) for column in starts])
                start_U, end_U = (np.concatenate(column) + offset_D[document_U] for column in (starts, ends))
                class_U = self.type_of_label[np.concatenate(labels)] * 256 + language_D[document_U]
                counts = np.bincount(np.minimum(np.concatenate(lengths), LONGEST_UNIT), minlength=LONGEST_UNIT + 1) * weight
                self.lengths[level] = self.lengths.get(level, 0) + counts
                long_U = end_U - start_U > (level == "word")  # a single character is no word worth naming
                self.surfaces.setdefault(level, Surfaces()).add(characters_N, start_U[long_U], end_U[long_U], class_U[long_U], weight)

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
        for level, found in sorted(self.surfaces.items()):
            for number in found.counts:
                named = {"level": level, "type": self.types[number // 256], "language": names_of_languages[number % 256]}
                surfaces.append({**named, **found.top(number)._asdict()})
        scripts: Counter[str] = Counter()
        for code in np.flatnonzero(self.sampled).tolist():
            scripts[script(code)] += int(self.sampled[code]) * STRIDE
        return merge(
            [
                {
                    "groups": groups,
                    "unit_lengths": {level: np.trim_zeros(counts, "b").tolist() for level, counts in self.lengths.items()},
                    "surfaces": surfaces,
                    "scripts": scripts,
                    "unknown_characters": list(self.unknown.items()),
                    "unknown_alone": self.unknown.total(),
                    "samples": [{"key": key, **passage(found, key, self.type_names)} for kept in self.samples.values() for key, found in kept],
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


def merge(tallies: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Several tallies as one, whatever their order; merged tallies may be merged again."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    lengths: dict[str, list[int]] = {}
    tops: dict[tuple[str, str, str], list[Top]] = {}
    scripts: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    samples: list[dict[str, Any]] = []
    alone = 0
    for tally in tallies:
        for group in tally["groups"]:
            present = groups.setdefault((group["source"], group["language"]), {})
            for name, value in group.items():
                present[name] = value if isinstance(value, str) else _sum(present.get(name, type(value)()), value)
        for level, counts in tally["unit_lengths"].items():
            lengths[level] = _sum(lengths.get(level, []), counts)
        for item in tally["surfaces"]:
            held = tops.setdefault((item["level"], item["type"], item["language"]), [])
            held.append(Top(item["surfaces"], item["floor"], item["error"]))
            if len(held) > HELD:
                held[:] = [joined(held, MERGED)]
        scripts.update(tally["scripts"])
        unknown.update(dict(tally["unknown_characters"]))
        alone += tally["unknown_alone"]
        samples = smallest([*samples, *tally["samples"]])
    return {
        "groups": [groups[key] for key in sorted(groups)],
        "unit_lengths": dict(sorted(lengths.items())),
        "surfaces": [dict(zip(("level", "type", "language"), key, strict=True)) | _plain(joined(held, MERGED)) for key, held in sorted(tops.items())],
        "scripts": dict(sorted(scripts.items(), key=lambda item: (-item[1], item[0]))),
        "unknown_characters": [list(item) for item in cut(unknown, 0, 0, UNKNOWN).surfaces],
        "unknown_alone": alone,
        "samples": samples,
    }


def _plain(top: Top) -> dict[str, Any]:
    return {**top._asdict(), "surfaces": [list(item) for item in top.surfaces]}


def _sum(left: Any, right: Any) -> Any:
    """Numbers added; lists of numbers added place by place, the shorter one as if it ended in zeros."""
    if not isinstance(right, list):
        return left + right
    return [a + b for a, b in zip_longest(left, right, fillvalue=0)]


@cache
def script(code: int) -> str:
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
    return {"LATIN": "Latin", "HIRAGANA": "kana", "KATAKANA": "kana", "HANGUL": "Hangul", "CYRILLIC": "Cyrillic", "GREEK": "Greek"}.get("".join(name), "other")
