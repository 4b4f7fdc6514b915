"""What a preparation warns of: lines and files that are left out, words that cannot be produced or are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN_REJECTED = 5
MANY_CUT = 0.02
"""Share of cut words that is worth a warning."""


def malformed_lines(preparation: Any) -> list[str]:
    """A line for each lexicon of which lines were left out, each segmenter that cannot produce words it was given; files left out or named twice."""
    found: list[list[str]] = [getattr(annotator, "malformed", []) for annotator in preparation.annotators]
    lexicons = [f"lexicon: {len(lines)} malformed line(s) left out, first {lines[0]}" for lines in found if lines]
    taught = {name: words for name, segmenter in preparation.segmenters.items() if (words := getattr(segmenter, "dictionary", None)) and words.unreachable}
    return [
        *file_lines([corpus.found() for corpus in preparation.corpora]),
        *lexicons,
        *(f"segmenter {name}: {len(words.unreachable):,} word(s) it cannot produce left out, first {words.unreachable[0]}" for name, words in taught.items()),
    ]


def file_lines(found: Sequence[Any]) -> list[str]:
    """A warning for each reason for which files are left out, and one for those that are named twice."""
    lines = []
    left_out = [item for one in found for item in one.left_out]
    for reason in dict.fromkeys(item.reason for item in left_out):
        items = [item for item in left_out if item.reason == reason]
        shown = ", ".join(f"{item.path} ({item.detail})" for item in items[:SHOWN_REJECTED])
        lines.append(f"warning: {len(items):,} file(s) left out, {reason}: {shown}")
    again = [pair for one in found for pair in one.again]
    if again:
        shown = ", ".join(f"{path} (is {earlier})" for path, earlier in again[:SHOWN_REJECTED])
        lines.append(f"warning: {len(again):,} other name(s) of files that are read already: {shown}")
    return lines


def cut_lines(counts: Mapping[str, int]) -> list[str]:
    """A warning for each language in which units cut more than a few words."""
    lines = []
    for name, words in counts.items():
        language = name.removeprefix("words.")
        cut = counts.get(f"words cut.{language}", 0)
        if name.startswith("words.") and cut > MANY_CUT * words:
            remedy = "`boundaries: words` in a lexicon leaves its matches inside words out, `min_frequency` rare entries; `lexicons` of a segmenter teaches it"
            lines.append(f"warning: phrases and entities cut {cut:,} of {words:,} {language} words ({cut / words:.1%}). {remedy}.")
    return lines
