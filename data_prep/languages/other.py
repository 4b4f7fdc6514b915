"""Every language that has no file of its own: Japanese, Korean, Russian, Arabic, Thai, and what declares itself French.

Such documents are kept by default, because a corpus that its owner chose should not shrink unasked, and counted apart,
so that the report shows them. `cleaning.languages: [zh, en]` sets them aside. Languages in Latin letters are told from
English only where a document declares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.cleaning.letters import Letters
from data_prep.cleaning.quality_limits import QualityLimits
from data_prep.cleaning.verdicts import Page, Verdict
from data_prep.languages import Language
from data_prep.segmenters import Segmenter
from data_prep.segmenters.spaced import Spaced


@dataclass(frozen=True, kw_only=True)
class Other(Language):
    """Documents in none of the other languages."""

    code = "other"
    scripts = ((0x370, 0x1FFFF),)
    asked = 100
    trial = "Река течёт."
    stops = "؟۔।॥።፧།༎។॥"

    def segmenter(self) -> Segmenter:
        return Spaced()

    def speaks(self, letters: Letters) -> bool:
        return True

    def verdicts(self, page: Page, limits: QualityLimits) -> Iterator[Verdict]:
        yield Verdict(
            "letter ratio", page.share(page.letters + page.marks), limits.min_letter_ratio, False
        )  # vowels may be marks on letters
        yield from page.signs(limits)
