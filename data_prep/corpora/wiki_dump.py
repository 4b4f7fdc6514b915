"""A MediaWiki XML dump (``zhwiki-20260901-pages-articles.xml.bz2``), streamed: one page is one document.

    <page> <title>数学</title> <ns>0</ns> <id>13</id> <revision> ... <text>'''数学'''是...</text>
        ->   Record(id="13", title="数学", text="数学是...")

Only articles become documents. Redirects, pages of other namespaces and pages that hold no wikitext are counted with
the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from xml.etree import ElementTree

from data_prep.corpora import LineCorpus
from data_prep.documents import Place, Record, Rejected
from data_prep.inputs.raw_text import decode, stand_in_id
from data_prep.inputs.wikitext import Wikitext
from data_prep.inputs.wikitext_elements import FALLBACKS

PAGE = b"<page>"
HEADER = re.compile(
    rb"\s*+(?:<\?xml[^<>]*+>\s*+)?(?:<mediawiki[^<>]*+>\s*+)?"
    rb"(?:<siteinfo>(?:(?!</?(?:page|revision|text|siteinfo)[\s/>]).)*+</siteinfo>\s*+)?(?:</mediawiki>\s*+)?",
    re.DOTALL,
)
REDIRECT = re.compile(r"\s*#\s*(?:redirect|重定向|重新導向)\s*:?\s*\[\[", re.IGNORECASE)
SHOWN = {
    **dict.fromkeys(
        [
            "nowrap",
            "nobold",
            "le",
            "link-en",
            "link-ja",
            "link-de",
            "link-fr",
            "ill",
            "interlanguage link",
            "lang-zh",
            "zy",
            "ruby",
        ],
        1,
    ),
    **dict.fromkeys(["lang", "langx", "transl", "transliteration"], 2),
    "tsl": 3,
}


@dataclass(frozen=True, kw_only=True)
class WikiDump(LineCorpus):
    """Pages of a MediaWiki XML dump (pages-articles), .xml or .xml.bz2."""

    variant: str = "zh-hans"
    """Chinese variant that marks such as `-{zh-hans:信息;zh-hant:資訊}-` are resolved to: zh-hans, zh-hant, zh-cn,
    zh-tw, zh-hk, zh-mo, zh-sg, zh-my."""
    shown_templates: dict[str, int] = field(default_factory=lambda: dict(SHOWN))
    """Templates that leave text behind, and which argument it is: `{lang: 2}` shows Rom for {{lang|de|Rom}}. All others
    leave nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant not in FALLBACKS:
            raise ValueError(f"variant: {self.variant!r} is not one of {', '.join(FALLBACKS)}")
        wrong = [name for name, argument in self.shown_templates.items() if argument < 1]
        if wrong:
            raise ValueError(f"shown_templates: arguments are counted from 1 ({', '.join(wrong)})")

    @cached_property
    def wikitext(self) -> Wikitext:
        """The converter with these settings."""
        return Wikitext(
            variant=self.variant,
            shown_templates={name.replace("_", " ").lower(): at for name, at in self.shown_templates.items()},
        )

    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        return line.lstrip().startswith(PAGE)

    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        if not self.starts_document(raw[:200], None):
            return (
                None
                if HEADER.fullmatch(raw)
                else Rejected(place, "not a page", f"{raw.strip()[:60]!r}: is this a pages-articles XML dump?")
            )
        decoded = decode(raw, place)
        if isinstance(decoded, Rejected):
            return decoded
        text, closed, after = decoded.partition("</page>")
        if not closed:
            return Rejected(place, "page without </page>", "the file is cut short or damaged here")
        if after.replace("</mediawiki>", "").strip():
            return Rejected(place, "text outside pages", f"after the </page> of this one: {after.strip()[:60]!r}")
        try:
            page = ElementTree.fromstring(text + closed)
        except ElementTree.ParseError as error:
            return Rejected(place, "not XML", str(error))
        return self.document(page, raw, place, source)

    def document(self, page: ElementTree.Element, raw: bytes, place: Place, source: str) -> Record | Rejected:
        """What one <page> holds; of several revisions, the last."""
        title = (page.findtext("title") or "").strip()
        namespace = (page.findtext("ns") or "0").strip()
        if namespace != "0":
            return Rejected(place, "page of another namespace", f"{title}: namespace {namespace}")
        revision = page.findall("revision")[-1:]
        text = (revision[0].findtext("text") if revision else None) or ""
        if page.find("redirect") is not None or REDIRECT.match(text):
            return Rejected(place, "redirect", title)
        model = (revision[0].findtext("model") if revision else None) or "wikitext"
        if model != "wikitext":
            return Rejected(place, "page without wikitext", f"{title}: {model}")
        plain = self.wikitext.plain(text)
        if not plain:
            return Rejected(
                place,
                "no text",
                f"{title}: {len(text)} characters of wikitext leave nothing" if text else f"{title}: the page is empty",
            )
        id = (page.findtext("id") or "").strip() or stand_in_id(raw, place, source)
        return Record(text=plain, id=id, title=title, language=self.language, place=place)
