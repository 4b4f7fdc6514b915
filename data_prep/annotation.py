"""Documents -> AnnotatedBlock: sentences, words, and the units of every level, brought into agreement, for many documents in a few compiled calls.

Precedence inside a level: the spans the user gave with the document, then the annotators in their order; a unit that overlaps one
of higher precedence is dropped and counted by type. A unit that crosses a sentence end is dropped and counted. Units of phrases
and entities *cut* the words they cross and leave the words inside them alone:

    words  他 | 在北 | 京大 | 学    entity 北京大学    ->    words 在 北 | 京大 | 学 with 在北 cut at the entity's start

All spans of a block count in the characters of all its documents, and no unit lies in two of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.annotators import NONE, Annotator, Together
from data_prep.blocks import AnnotatedBlock, Block, BlockUnits
from data_prep.cleaning.normalising import HAN
from data_prep.documents import SEGMENT, Annotated, Document, Label, Spans, Units
from data_prep.segmenters import Segmenter
from data_prep.sentences import block_sentences

WORD = Label("", "segmenter")
CUT = "word cut by a higher unit or a sentence end"
"""Reason under which cut words are counted."""
ALL_LABELS = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """The segmenters by language and the annotators in order of precedence."""

    segmenters: Mapping[str, Segmenter]
    annotators: Sequence[Annotator]
    labels: Mapping[Label, int]
    """Every label that can occur, numbered."""

    @cached_property
    def _groups(self) -> list[tuple[list[int], Together]]:
        """Annotators of one kind work together (one pass over the text for all lexicons): their places in the list, and how."""
        kinds: dict[type[Annotator], list[int]] = {}
        for number, annotator in enumerate(self.annotators):
            kinds.setdefault(type(annotator), []).append(number)
        return [(numbers, kind.together([self.annotators[number] for number in numbers])) for kind, numbers in kinds.items()]

    @cached_property
    def _numbers(self) -> list[npt.NDArray[np.uint8]]:
        """For each annotator: its own label numbers -> the plan's."""
        return [np.array([self.labels[label] for label in annotator.labels()], np.uint8) for annotator in self.annotators]

    def annotate(self, document: Document) -> Annotated:
        """Everything known about ``document``."""
        return self.annotate_block(Block([document])).document(0)

    def annotate_block(self, block: Block) -> AnnotatedBlock:
        """Everything known about several documents."""
        from data_prep import kernels

        characters_N, offsets_D1 = block.characters_N, block.offsets_D1
        sentences_S2, sentences_D1, paragraph_ends_P, paragraphs_D1 = block_sentences(characters_N, offsets_D1)
        whole_W2 = np.ascontiguousarray(self._words(block))
        dropped: Counter[str] = Counter()
        units: dict[str, Units] = {}
        for level, numbers_L, found in [*self._given(block), *self._found(block, sentences_S2, whole_W2, dropped)]:
            earlier = units.get(level, NONE)
            start_U, end_U, label_U, crossing, clashing = kernels.settle(
                earlier.start_U, earlier.end_U, earlier.label_U, found.start_U, found.end_U, found.label_U, numbers_L, sentences_S2
            )
            units[level] = Units(start_U, end_U, label_U)
            for labels, reason in ((crossing, "crosses a sentence end"), (clashing, "overlaps one of higher precedence")):
                if len(labels):
                    self._count(dropped, labels, level, reason)
        edges = np.concatenate([sentences_S2[:, 0], *(array for found in units.values() for array in (found.start_U, found.end_U))])
        edges.sort()
        words_W2, crossed = kernels.cut(whole_W2, edges)
        if crossed:
            dropped[CUT] += crossed
        words_D, cut_D = kernels.crossed(whole_W2, edges, offsets_D1)
        start_W, end_W = np.ascontiguousarray(words_W2.T)
        units["word"] = Units(start_W, end_W, np.full(len(words_W2), self.labels[WORD], np.uint8))
        return AnnotatedBlock(
            block=block,
            sentences_S2=sentences_S2,
            sentences_D1=sentences_D1,
            paragraph_ends_P=paragraph_ends_P,
            paragraphs_D1=paragraphs_D1,
            units={level: BlockUnits(found, np.searchsorted(found.start_U, offsets_D1.astype(np.int32))) for level, found in units.items()},
            levels=list(dict.fromkeys([*(annotator.level for annotator in self.annotators), "word"])),
            dropped=dropped,
            words_D=words_D,
            cut_D=cut_D,
        )

    def _given(self, block: Block) -> list[tuple[str, npt.NDArray[np.uint8], Units]]:
        """What the users have marked themselves, by level."""
        units: dict[str, list[tuple[int, int, int]]] = {}
        for document, start in zip(block.documents, block.offsets_D1.tolist(), strict=False):
            for level, spans in document.given.items():
                if level not in ("word", SEGMENT):
                    marked = ((start + span.start, start + span.end, self.labels[Label(span.type, "user")]) for span in spans)
                    units.setdefault(level, []).extend(marked)
        return [(level, ALL_LABELS, Units.of(found)) for level, found in units.items()]

    def _found(self, block: Block, sentences_S2: Spans, words_W2: Spans, dropped: Counter[str]) -> list[tuple[str, npt.NDArray[np.uint8], Units]]:
        """What each annotator finds, in their order, with what its label numbers are in the plan; what it refuses is counted."""
        found: dict[int, Units] = {}
        for numbers, annotate in self._groups:
            for number, (units, refused) in zip(numbers, annotate(block, sentences_S2, words_W2), strict=True):
                found[number] = units
                if len(refused):
                    self._count(dropped, self._numbers[number][refused.label_U], self.annotators[number].level, "crosses a word")
        return [(self.annotators[number].level, self._numbers[number], found[number]) for number in range(len(self.annotators))]

    def _count(self, dropped: Counter[str], labels: npt.NDArray[np.uint8], level: str, reason: str) -> None:
        names = list(self.labels)
        for number, count in Counter(labels.tolist()).items():
            kind = names[number].type
            dropped[f"{level}{' ' + kind if kind else ''} {reason}"] += count

    def words(self, document: Document) -> Spans:
        """Words by the segmenter of the document's language, the user's own when given; Han runs inside other text go to the Chinese one."""
        if "word" in document.given:
            return np.array([(span.start, span.end) for span in document.given["word"]], np.int32).reshape(-1, 2)
        main, chinese = self.segmenters.get(document.language), self.segmenters.get("zh")
        words_W2 = np.asarray(main.words(document.text), np.int32).reshape(-1, 2) if main else np.zeros((0, 2), np.int32)
        if chinese and _is_mixed(document):
            return _with_chinese(words_W2, np.asarray(chinese.words(document.text), np.int32).reshape(-1, 2), document)
        return words_W2

    def _words(self, block: Block) -> Spans:
        """The words of all documents: each segmenter is asked once for the documents that it has to itself."""
        alone: list[int] = []
        languages: dict[str, list[int]] = {}
        for number, document in enumerate(block.documents):
            if "word" in document.given or ("zh" in self.segmenters and _is_mixed(document)):
                alone.append(number)
            else:
                languages.setdefault(document.language, []).append(number)
        found = list(block.spans(alone, [self.words(block.documents[number]) for number in alone]))
        for language, numbers in languages.items():
            segmenter = self.segmenters.get(language)
            if segmenter:
                words_W2 = np.asarray(segmenter.block_words([block.documents[number].text for number in numbers]), np.int32).reshape(-1, 2)
                if len(numbers) == len(block):
                    return words_W2
                found.append(block.moved(numbers, words_W2))
        if len(found) < 2:
            return found[0] if found else np.zeros((0, 2), np.int32)
        joined: Any = np.concatenate(found)
        return joined[np.argsort(joined[:, 0], kind="stable")]  # type: ignore[no-any-return]


def _is_mixed(document: Document) -> bool:
    """Does other text hold Han characters?"""
    return document.language != "zh" and not document.text.isascii() and HAN.search(document.text) is not None


def _with_chinese(words_W2: Spans, chinese_W2: Spans, document: Document) -> Spans:
    """The words that begin with a Han character join the others, which are cut at their edges and give way inside them."""
    from data_prep import kernels

    chinese_W2 = chinese_W2[[HAN.match(document.text, start) is not None for start in chinese_W2[:, 0].tolist()]]
    if not len(chinese_W2):
        return words_W2
    pieces_W2, _ = kernels.cut(words_W2, np.ascontiguousarray(chinese_W2.reshape(-1)))
    free_W = kernels.free_of(chinese_W2[:, 0], chinese_W2[:, 1], pieces_W2[:, 0], pieces_W2[:, 1])
    joined: Any = np.concatenate([chinese_W2, pieces_W2[free_W]])
    return joined[np.argsort(joined[:, 0], kind="stable")]  # type: ignore[no-any-return]
