"""Logs of a search engine: a query, the titles that were shown, and which of them were clicked.

    {"query": "长江", "titles": [{"title": "长江源头", "clicked": true}, {"title": "黄河", "clicked": false}]}
        ->  Record("长江\\n\\n长江源头", label strong)  Record("长江\\n\\n黄河", label weak)

A title that was shown and clicked is a strong answer to the query, one that was only shown a weak one (ERNIE 2.0,
section 4.2.3); training draws the third class, titles of other queries (objectives/search_relevance.py). A line holds a
query with its titles, or one query and one title; each title becomes a labelled pair, as of ``kind: pairs``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_prep.corpora import LineCorpus
from data_prep.documents import SEGMENT, Given, Place, Record, Rejected
from data_prep.inputs.raw_text import as_text, json_object, stand_in_id

STRONG, WEAK = "strong", "weak"


@dataclass(frozen=True, kw_only=True)
class SearchLog(LineCorpus):
    """Queries with shown and clicked titles in JSON Lines."""

    query_key: str = "query"
    """Key of the query."""
    titles_key: str = "titles"
    """Key of the list of titles that were shown; a line without it holds one title."""
    title_key: str = "title"
    """Key of a title."""
    clicked_key: str = "clicked"
    """Key that says whether a title was clicked: true, false, or how often."""
    id_key: str = "id"
    """Key of the identifier of the line; source and line number stand in. The titles of a list are numbered."""
    language_key: str = "lang"
    """Key of the language (`zh`, `en-US`, `jpn` ...), when there is one."""

    def pair_classes(self) -> list[str]:
        return [STRONG, WEAK]

    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        return True

    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        return next(iter(self.parse_all(raw, place, source)), None)

    def parse_all(self, raw: bytes, place: Place, source: str) -> Iterator[Record | Rejected]:
        if not raw.strip():
            return
        value = json_object(raw, place)
        if isinstance(value, Rejected):
            yield value
            return
        query, shown = value.get(self.query_key), value.get(self.titles_key, [value])
        if not isinstance(query, str) or not query.strip():
            keys = ", ".join(list(value)[:8])
            yield Rejected(place, "no query", f"key {self.query_key!r} is missing or empty; keys here: {keys}")
        elif not isinstance(shown, list) or not shown:
            yield Rejected(place, "no titles", f"key {self.titles_key!r} is no list of objects, or empty")
        else:
            name = as_text(value.get(self.id_key)) or stand_in_id(raw, place, source)
            language = self.language or as_text(value.get(self.language_key))
            for number, item in enumerate(shown):
                own = name if shown == [value] else f"{name}#{number}"
                yield self._pair(query, item, Record("", own, "", language, place))

    def _pair(self, query: str, item: Any, record: Record) -> Record | Rejected:
        """A query and a title, with the name and the place of ``record``."""
        title = item.get(self.title_key) if isinstance(item, Mapping) else None
        if not isinstance(title, str) or not title.strip():
            return Rejected(record.place, "no title", f"key {self.title_key!r} is missing, empty or not text")
        clicked = item.get(self.clicked_key)
        if not isinstance(clicked, bool | int | float) or clicked < 0:
            detail = f"key {self.clicked_key!r} is {clicked!r}; true, false or a number of clicks is wanted"
            return Rejected(record.place, "not said whether it was clicked", detail)
        label, start = STRONG if clicked > 0 else WEAK, len(query) + 2
        parts = (Given(0, len(query), label), Given(start, start + len(title), label))
        return record._replace(text=f"{query}\n\n{title}", given={SEGMENT: parts})
