"""Documents -> AnnotatedBlock: sentences, words, and the units of every level, brought into agreement, for many
documents in a few compiled calls.

Precedence inside a level: the spans the user gave with the document, then the annotators in their order; a unit that
overlaps one of higher precedence is dropped and counted by type. A unit that crosses a sentence end is dropped and
counted. Units of phrases and entities *cut* the words they cross and leave the words inside them alone:

    words  他 | 在北 | 京大 | 学    entity 北京大学    ->    words 在 北 | 京大 | 学 with 在北 cut at the entity's start

A word without a letter, a digit or an ideograph (——, ...... , ☆☆) is no unit: hiding it teaches nothing about words.
Those are counted. All spans of a block count in the characters of all its documents, and no unit lies in two of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.annotating.word_spans import has_letters, with_guests
from data_prep.annotators import NONE, Annotator, Together
from data_prep.blocks import AnnotatedBlock, Block, BlockUnits
from data_prep.code_points import character_class
from data_prep.documents import SEGMENT, Annotated, Document, Label, Spans, Units
from data_prep.languages import Language, by_code, ends_of
from data_prep.segmenters import Segmenter
from data_prep.sentences import block_sentences

WORD = Label("", "segmenter")
CUT = "word cut by a higher unit or a sentence end"
SIGNS = "word without a letter, digit or ideograph"
"""Reasons under which words are counted that are cut, or no units."""
ALL_LABELS = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """The segmenters by language and the annotators in order of precedence."""

    segmenters: Mapping[str, Segmenter]
    annotators: Sequence[Annotator]
    labels: Mapping[Label, int]
    """Every label that can occur, numbered."""
    languages: Mapping[str, Language] = field(default_factory=by_code)
    """The languages of the documents by code: where sentences end, and whose words are looked for in whose texts."""

    @cached_property
    def _groups(self) -> list[tuple[list[int], Together]]:
        """Annotators of one kind work together (one pass over the text for all lexicons): their places in the list, and
        how."""
        kinds: dict[type[Annotator], list[int]] = {}
        for number, annotator in enumerate(self.annotators):
            kinds.setdefault(type(annotator), []).append(number)
        return [
            (numbers, kind.together([self.annotators[number] for number in numbers])) for kind, numbers in kinds.items()
        ]

    @cached_property
    def _numbers(self) -> list[npt.NDArray[np.uint8]]:
        """For each annotator: its own label numbers -> the plan's."""
        return [
            np.array([self.labels[label] for label in annotator.labels()], np.uint8) for annotator in self.annotators
        ]

    def annotate(self, document: Document) -> Annotated:
        """Everything known about ``document``."""
        return self.annotate_block(Block([document])).document(0)

    def annotate_block(self, block: Block) -> AnnotatedBlock:
        """Everything known about several documents."""
        from data_prep import kernels

        characters_N, offsets_D1 = block.characters_N, block.offsets_D1
        ends = [ends_of(self.languages, document.language) for document in block.documents]
        sentences_S2, sentences_D1, paragraph_ends_P, paragraphs_D1 = block_sentences(characters_N, offsets_D1, ends)
        whole_W2 = np.ascontiguousarray(self._words(block))
        dropped: Counter[str] = Counter()
        units = self._merged(block, sentences_S2, whole_W2, dropped)
        edges = np.concatenate(
            [sentences_S2[:, 0], *(array for found in units.values() for array in (found.start_U, found.end_U))]
        )
        edges.sort()
        words_W2, crossed = kernels.cut(whole_W2, edges)
        if crossed:
            dropped[CUT] += crossed
        kept_W = has_letters(words_W2, characters_N)
        if signs := len(words_W2) - int(kept_W.sum()):
            dropped[SIGNS] += signs
            words_W2 = words_W2[kept_W]
        words_D, cut_D = kernels.crossed(whole_W2, edges, offsets_D1)
        start_W, end_W = np.ascontiguousarray(words_W2.T)
        units["word"] = Units(start_W, end_W, np.full(len(words_W2), self.labels[WORD], np.uint8))
        return AnnotatedBlock(
            block=block,
            sentences_S2=sentences_S2,
            sentences_D1=sentences_D1,
            paragraph_ends_P=paragraph_ends_P,
            paragraphs_D1=paragraphs_D1,
            units={
                level: BlockUnits(found, np.searchsorted(found.start_U, offsets_D1.astype(np.int32)))
                for level, found in units.items()
            },
            levels=list(dict.fromkeys([*(annotator.level for annotator in self.annotators), "word"])),
            dropped=dropped,
            words_D=words_D,
            cut_D=cut_D,
        )

    def _merged(self, block: Block, sentences_S2: Spans, words_W2: Spans, dropped: Counter[str]) -> dict[str, Units]:
        """The units of every level but `word`, by precedence; those that give way are counted."""
        from data_prep import kernels

        units: dict[str, Units] = {}
        for level, numbers_L, found in [*self._given(block), *self._found(block, sentences_S2, words_W2, dropped)]:
            earlier = units.get(level, NONE)
            start_U, end_U, label_U, crossing, clashing = kernels.merge_units(
                earlier.start_U,
                earlier.end_U,
                earlier.label_U,
                found.start_U,
                found.end_U,
                found.label_U,
                numbers_L,
                sentences_S2,
            )
            units[level] = Units(start_U, end_U, label_U)
            for labels, reason in (
                (crossing, "crosses a sentence end"),
                (clashing, "overlaps one of higher precedence"),
            ):
                if len(labels):
                    self._count(dropped, labels, level, reason)
        return units

    def _given(self, block: Block) -> list[tuple[str, npt.NDArray[np.uint8], Units]]:
        """What the users have marked themselves, by level."""
        units: dict[str, list[tuple[int, int, int]]] = {}
        for document, start in zip(block.documents, block.offsets_D1.tolist(), strict=False):
            for level, spans in document.given.items():
                if level not in ("word", SEGMENT):
                    marked = (
                        (start + span.start, start + span.end, self.labels[Label(span.type, "user")]) for span in spans
                    )
                    units.setdefault(level, []).extend(marked)
        return [(level, ALL_LABELS, Units.of(found)) for level, found in units.items()]

    def _found(
        self, block: Block, sentences_S2: Spans, words_W2: Spans, dropped: Counter[str]
    ) -> list[tuple[str, npt.NDArray[np.uint8], Units]]:
        """What each annotator finds, in their order, with what its label numbers are in the plan; what it refuses is
        counted."""
        found: dict[int, Units] = {}
        for numbers, annotate in self._groups:
            for number, (units, refused) in zip(numbers, annotate(block, sentences_S2, words_W2), strict=True):
                found[number] = units
                if len(refused):
                    self._count(
                        dropped, self._numbers[number][refused.label_U], self.annotators[number].level, "crosses a word"
                    )
        return [
            (self.annotators[number].level, self._numbers[number], found[number])
            for number in range(len(self.annotators))
        ]

    def _count(self, dropped: Counter[str], labels: npt.NDArray[np.uint8], level: str, reason: str) -> None:
        names = list(self.labels)
        for number, count in Counter(labels.tolist()).items():
            kind = names[number].type
            dropped[f"{level}{' ' + kind if kind else ''} {reason}"] += count

    def words(self, document: Document) -> Spans:
        """Words by the segmenter of the document's language, the user's own when given; where letters of a guest stand
        in it, by that one's."""
        if "word" in document.given:
            return np.array([(span.start, span.end) for span in document.given["word"]], np.int32).reshape(-1, 2)
        main = self.segmenters.get(document.language)
        words_W2 = (
            np.asarray(main.words(document.text), np.int32).reshape(-1, 2) if main else np.zeros((0, 2), np.int32)
        )
        for guest in self._guests(document):
            letter, _ = self._letters[guest]
            guest_W2 = np.asarray(self.segmenters[guest].words(document.text), np.int32).reshape(-1, 2)
            words_W2 = with_guests(words_W2, guest_W2, document, letter)
        return words_W2

    def _guests(self, document: Document) -> list[str]:
        """The languages whose words are looked for in the document, because letters of theirs stand in it."""
        known, found = self.languages.get(document.language), []
        for guest in known.guests if known else ():
            if guest in self.segmenters and guest in self._letters:
                letter, is_beyond_ascii = self._letters[guest]
                if not (is_beyond_ascii and document.text.isascii()) and letter.search(document.text):
                    found.append(guest)
        return found

    @cached_property
    def _letters(self) -> dict[str, tuple[re.Pattern[str], bool]]:
        """One letter of each language, and whether none of them is ASCII."""
        patterns = {
            code: re.compile(f"[{character_class(language.scripts)}]") for code, language in self.languages.items()
        }
        return {
            code: (pattern, not pattern.search("".join(map(chr, range(128))))) for code, pattern in patterns.items()
        }

    def _words(self, block: Block) -> Spans:
        """The words of all documents: each segmenter is asked once for the documents that it has to itself."""
        alone: list[int] = []
        languages: dict[str, list[int]] = {}
        for number, document in enumerate(block.documents):
            if "word" in document.given or self._guests(document):
                alone.append(number)
            else:
                languages.setdefault(document.language, []).append(number)
        found = list(block.spans(alone, [self.words(block.documents[number]) for number in alone]))
        for language, numbers in languages.items():
            segmenter = self.segmenters.get(language)
            if segmenter:
                words_W2 = np.asarray(
                    segmenter.block_words([block.documents[number].text for number in numbers]), np.int32
                ).reshape(-1, 2)
                if len(numbers) == len(block):
                    return words_W2
                found.append(block.moved(numbers, words_W2))
        if len(found) < 2:
            return found[0] if found else np.zeros((0, 2), np.int32)
        joined: Any = np.concatenate(found)
        return joined[np.argsort(joined[:, 0], kind="stable")]  # type: ignore[no-any-return]
