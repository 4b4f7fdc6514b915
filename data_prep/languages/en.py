"""English: Latin letters, and whatever has no letters at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.cleaning.letters import FOREIGN, HAN, HANGUL, KANA, LATIN, LATIN_RANGES, Letters
from data_prep.cleaning.quality_limits import QualityLimits
from data_prep.cleaning.verdicts import Page, Verdict
from data_prep.languages import Language
from data_prep.segmenters import Segmenter
from data_prep.segmenters.pretokenizer import Pretokenizer

FUNCTION_WORDS = """
a an the this that these those some any each every all both either neither no not such own same other another many much
more most few several
i me my we us our you your he him his she her it its they them their who whom whose which what when where why how there
here
of in on at by for with from to into onto upon over under about above below after before between among through during
against within without
toward towards across along around behind beside beyond off out up down near since until till via per as than like
despite throughout
and or but nor so yet if because although though while whereas unless whether then also too very just only even still
again ever never always
often however therefore thus hence moreover is am are was were be been being do does did done doing have has had having
will would shall should can
could may might must ought let lets s t d ll re ve m one two first later including became become called made went came
"""


@dataclass(frozen=True, kw_only=True)
class English(Language):
    """English, recognised by Latin letters: at least as many as of other alphabets, and few Han characters, kana and
    Hangul."""

    code = "en"
    names = ("eng", "english")
    scripts = LATIN_RANGES
    asked = 20
    trial = "The river."
    begins = ()
    guests = ("zh",)
    function_words = tuple(
        dict.fromkeys(form for word in FUNCTION_WORDS.split() for form in (word, word.capitalize(), word.upper()))
    )

    def segmenter(self) -> Segmenter:
        return Pretokenizer()

    def speaks(self, letters: Letters) -> bool:
        if letters.ascii:
            return True
        counts = letters.counts
        others = counts[KANA] + counts[HANGUL] + (0 if letters.chinese else counts[HAN])
        return counts[FOREIGN] <= counts[LATIN] and (not others or others < letters.han_share * letters.total)

    def verdicts(self, page: Page, limits: QualityLimits) -> Iterator[Verdict]:
        yield from super().verdicts(page, limits)
        mean = page.visible / page.words
        yield Verdict("mean word length", mean, limits.min_word_length, False)
        yield Verdict("mean word length", mean, limits.max_word_length, True)
