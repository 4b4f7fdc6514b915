"""Document -> Annotated: sentences, words, and the units of every level, brought into agreement.

Precedence inside a level is the order of the annotators: a unit that overlaps one of an earlier annotator is dropped and
counted. A unit that crosses a sentence end is dropped and counted. Units of phrases and entities *cut* the words they cross and
leave the words inside them alone:

    words  他 | 在北 | 京大 | 学    entity 北京大学    ->    words 在 北 | 京大 | 学 with 在北 cut at the entity's start
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass

from data_prep.annotators import Annotator
from data_prep.cleaning import HAN
from data_prep.documents import Annotated, Document, Label, Span, Unit
from data_prep.segmenters import Segmenter
from data_prep.sentences import split_sentences

WORD = Label("", "segmenter")


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """The segmenters by language and the annotators in order of precedence."""

    segmenters: dict[str, Segmenter]
    annotators: list[Annotator]

    def annotate(self, document: Document) -> Annotated:
        """Everything known about ``document``."""
        sentences, paragraph_ends = split_sentences(document.text)
        dropped: Counter[str] = Counter()
        units: dict[str, list[Unit]] = {}
        starts = [sentence.start for sentence in sentences]
        for annotator in self.annotators:
            level = units.setdefault(annotator.level, [])
            found = annotator.annotate(document.text)
            inside = [unit for unit in found if self._in_sentence(unit, sentences, starts)]
            if len(inside) < len(found):
                dropped[f"{annotator.level} crosses a sentence end"] += len(found) - len(inside)
            units[annotator.level] = merge(level, inside, annotator.level, dropped)
        edges = {edge for level in units.values() for unit in level for edge in (unit.start, unit.end)}
        words = cut(self.words(document), sorted(edges.union(starts)))
        units["word"] = [Unit(start, end, WORD) for start, end in words if end - start > 1]
        return Annotated(document=document, sentences=sentences, paragraph_ends=paragraph_ends, units=units, dropped=dropped)

    @staticmethod
    def _in_sentence(unit: Unit, sentences: list[Span], starts: list[int]) -> bool:
        index = bisect_right(starts, unit.start) - 1
        return index >= 0 and unit.end <= sentences[index].end

    def words(self, document: Document) -> list[Span]:
        """Words by the segmenter of the document's language; Han runs inside English text go to the Chinese segmenter."""
        main = self.segmenters.get(document.language)
        words = main.words(document.text) if main else []
        chinese = self.segmenters.get("zh")
        if document.language != "zh" and chinese and HAN.search(document.text):
            extra = [span for span in chinese.words(document.text) if HAN.match(document.text, span.start)]
            starts = [span.start for span in extra]
            pieces = cut(words, sorted({edge for span in extra for edge in span}))
            # After the cut a piece lies inside one Chinese word or touches none.
            outside = [piece for piece in pieces if not starts or (at := bisect_right(starts, piece.start) - 1) < 0 or piece.start >= extra[at].end]
            words = sorted([*extra, *outside])
        return words


def merge(earlier: list[Unit], later: list[Unit], level: str, dropped: Counter[str]) -> list[Unit]:
    """Both lists as one; units of ``later`` that overlap one of ``earlier`` are dropped and counted."""
    if not earlier:
        return later
    starts = [unit.start for unit in earlier]
    kept: list[Unit] = []
    for unit in later:
        index = bisect_right(starts, unit.end - 1) - 1
        if index >= 0 and earlier[index].end > unit.start:
            dropped[f"{level} overlaps one of higher precedence"] += 1
        else:
            kept.append(unit)
    return sorted([*earlier, *kept])


def cut(words: list[Span], edges: list[int]) -> list[Span]:
    """``words`` cut at every edge strictly inside them."""
    if not edges:
        return words
    result: list[Span] = []
    position, count = 0, len(edges)
    for start, end in words:
        while position < count and edges[position] <= start:
            position += 1
        if position == count or edges[position] >= end:
            result.append(Span(start, end))
            continue
        probe = position
        while probe < count and edges[probe] < end:
            result.append(Span(start, edges[probe]))
            start = edges[probe]
            probe += 1
        result.append(Span(start, end))
    return result
