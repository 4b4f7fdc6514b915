"""Languages: one file here is one language. ``kind: zh`` in ``cleaning.languages`` is ``languages/zh.py``; a dotted
kind is a module of yours.

A file says by which letters a language is recognised, what finds its words, where its sentences end, which words are
function words and what its pages look like to the quality rules. Nothing else in the project knows a language by name.

    Letters  --speaks, in the order of `asked`-->  the language of a document
             declared "zh-TW", "eng" --names-->  zh, en

A document in none of the languages belongs to `other`; where a configuration leaves that one out, such documents are
set aside.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar

from data_prep.cleaning.letters import Letters
from data_prep.cleaning.quality_limits import QualityLimits
from data_prep.cleaning.verdicts import Page, Verdict
from data_prep.code_points import Ranges
from data_prep.files import sha256_json
from data_prep.portable import Portable
from data_prep.segmenters import Segmenter
from data_prep.sentences import COMMON, Ends

OTHER = "other"
"""The language of documents that are in none of the others."""
UNDETERMINED = frozenset(["und", "mul", "zxx", "mis", "unk", "nan", "na"])
"""What is written where no language is known."""
MAJORITY = 0.5


@dataclass(frozen=True, kw_only=True)
class Language(Portable, ABC):
    """A language of the corpus: how it is recognised, where its sentences end, what finds its words. Documents are
    counted under its code."""

    code: ClassVar[str]
    """Its name in counts, in `segmenters` and in the shards: the file's own."""
    names: ClassVar[tuple[str, ...]] = ()
    """Other codes and names under which documents declare it, in small letters; what follows a hyphen (`zh-tw`) need
    not be listed."""
    scripts: ClassVar[Ranges]
    """Its letters."""
    asked: ClassVar[int] = 0
    """Languages are asked in this order whether a text is theirs: the more particular ones first."""
    trial: ClassVar[str]
    """A short text: what cannot be done with it can be done with no document."""
    stops: ClassVar[str] = ""
    """Marks that end its sentences besides 。！？ and !?, and its lines for the quality rules."""
    begins: ClassVar[Ranges | None] = None
    """Letters (small ones excepted) that begin a sentence after a full stop besides Latin capitals and Han; its scripts
    when None."""
    spaced: ClassVar[bool] = True
    """Are its words divided by white space? n-grams are counted in words then, in characters otherwise."""
    guests: ClassVar[tuple[str, ...]] = ()
    """Languages whose words are looked for in its texts too, where their letters stand."""
    function_words: ClassVar[tuple[str, ...]] = ()
    """Words that begin or end no term."""

    @abstractmethod
    def segmenter(self) -> Segmenter:
        """What finds its words where `segmenters` names nothing."""

    def speaks(self, letters: Letters) -> bool:
        """Is a text with these letters in this language? By default: most of them are of its scripts."""
        return letters.total > 0 and letters.within(self.scripts) > MAJORITY * letters.total

    def verdicts(self, page: Page, limits: QualityLimits) -> Iterator[Verdict]:
        """The quality rules that look at classes of characters. By default: letters, symbols and digits."""
        yield Verdict("letter ratio", page.share(page.letters), limits.min_letter_ratio, False)
        yield from page.signs(limits)

    @cached_property
    def ends(self) -> Ends:
        """Where its sentences end and begin."""
        return Ends(self.stops, self.scripts if self.begins is None else self.begins)

    def fingerprint(self) -> dict[str, Any]:
        """What decides the language of a document, its sentences and what stays."""
        facts = {
            name: getattr(self, name)
            for name in ("names", "scripts", "asked", "stops", "begins", "spaced", "guests", "function_words")
        }
        return {
            "facts": sha256_json(facts)[:16],
            **{item.name: getattr(self, item.name) for item in dataclasses.fields(self)},
        }


@cache
def languages() -> tuple[Language, ...]:
    """The languages of this folder, in the order in which they are asked."""
    found: list[Language] = []
    for entry in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{entry.name}")
        found += [
            item()
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, Language) and item.__module__ == module.__name__
        ]
    return tuple(in_order(found))


def built_in() -> list[Language]:
    """The same as a list, for the default of a setting."""
    return list(languages())


def in_order(chosen: Sequence[Language]) -> list[Language]:
    """The languages in the order in which they are asked."""
    return sorted(chosen, key=lambda language: (language.asked, language.code))


def by_code(chosen: Sequence[Language] | None = None) -> dict[str, Language]:
    """The languages by their codes, in the order in which they are asked; those of this folder when none are given."""
    return {language.code: language for language in in_order(languages() if chosen is None else chosen)}


def declared(known: Mapping[str, Language], name: str) -> str | None:
    """The code of the language that a document declares: None when that says nothing, empty when it is in none of
    ``known``.

    ``zh-TW``, ``zho`` and ``Chinese`` are zh; ``ja`` is `other`, where that one is known; ``unknown`` says nothing.
    """
    name = name.strip().lower().replace("_", "-")
    primary = name.partition("-")[0]
    for wanted in (name, primary):
        found = next((code for code, language in known.items() if wanted and wanted in (code, *language.names)), None)
        if found:
            return found
    if not (2 <= len(primary) <= 3 and primary.isascii() and primary.isalpha()) or primary in UNDETERMINED:
        return None
    return OTHER if OTHER in known else ""


def recognised(known: Mapping[str, Language], letters: Letters) -> str:
    """The code of the first language that takes a text for its own; empty when none does."""
    for code, language in known.items():
        if language.speaks(letters):
            return code
    return ""


def ends_of(known: Mapping[str, Language], code: str) -> Ends:
    """Where the sentences of a language end; those of any text when it is not known."""
    return known[code].ends if code in known else COMMON
