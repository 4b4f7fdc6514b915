"""Phrases by rule: noun and verb groups, found as patterns over parts of speech.

    他/r 喜欢/v 佛殿/nz 屋顶/n            NP: <a|b|n.*>*<n>         ->   [3, 7) NP, origin `pos`
    the/DT old/JJ town/NN sleeps/VBZ    NP: <DT>?<JJ>*<NN>+       ->   [0, 12) NP

Chinese needs nothing but rjieba; English needs a spaCy pipeline with a tagger that the user has. A grammar of one's own
replaces the built-in one (see data_prep/tagging/tag_patterns.py for the notation):

    - kind: chunks
      level: phrase
      grammar: {NP: "<a|b>*<n.*>+"}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from data_prep.annotators import Annotator
from data_prep.documents import Document, Label, Spans, Units
from data_prep.tagging.tag_patterns import TagMatcher, check_grammar
from data_prep.tagging.tagging import JIEBA_ENGINES, Tagger

CHINESE = {
    "NP": "<a|an|b|j|n|ng|nr.*|ns|nt|nz|vn|eng>{0,4}<an|j|n|ng|nr.*|ns|nt|nz|vn>",
    "VP": "<ad|d|vd>{0,2}<v|vd|vg|vi>{1,2}<ug|ul|uz>?",
}
"""Over jieba's tags: 普通 列车, 佛殿 屋顶; 已经 完成 了, 打算 整修."""
ENGLISH = {
    "NP": (
        r"(<DT|PDT|POS|PRP\$|WP\$|DET>{1,2}<RB.*|ADV>?<VBG|VBN>?)?"
        r"<CD|JJ.*|NN.*|RBR|RBS|\$|#|ADJ|NOUN|NUM|PROPN>{0,6}<CD|NN.*|NOUN|NUM|PROPN>"
    ),
    "VP": "<MD|TO|VB.*|AUX|PART|VERB>(<RB.*|ADV|PART>?<TO|VB.*|AUX|VERB>){1,4}",
}
"""Over Penn's tags and the universal ones: the old town, its best steam engine; will not be sold, has risen. Groups of
two words or more agree with CoNLL-2000 (its own tags, its convention that `'s` begins a group) at F1 .87 for NP and .84
for VP."""


@dataclass(frozen=True, kw_only=True)
class Chunks(Annotator):
    """Groups of words whose parts of speech match a grammar."""

    tagger: str = "rjieba"
    """Where parts of speech come from: `rjieba` or `jieba` (Chinese), or the name or folder of a spaCy pipeline with a
    tagger."""
    grammar: dict[str, str] = field(default_factory=dict)
    """Pattern of tags for each type of chunk, tried in this order; empty for the built-in NP and VP of the tagger's
    language."""
    min_words: int = 2
    """Chunks of fewer words are no units."""
    user_words: list[str] = field(default_factory=list)
    """Of rjieba and jieba: dictionary files in jieba's format (`word frequency tag`) whose words and tags are added."""
    languages: list[str] = field(default_factory=list)
    """Only documents of these languages are read; empty for the tagger's own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            check_grammar(self.grammar)
        except ValueError as error:
            raise ValueError(f"grammar: {error}") from None
        if self.min_words < 1:
            raise ValueError(f"min_words: {self.min_words} must be at least 1")
        if self.user_words and self.tagger not in JIEBA_ENGINES:
            raise ValueError("user_words: only the taggers rjieba and jieba take user words")

    @property
    def rules(self) -> dict[str, str]:
        """The grammar in use."""
        return self.grammar or (CHINESE if self.tagger in JIEBA_ENGINES else ENGLISH)

    @cached_property
    def _tagger(self) -> Tagger:
        return Tagger(engine=self.tagger, user_words=tuple(self.user_words))

    @cached_property
    def _matcher(self) -> TagMatcher:
        return TagMatcher(self.rules)

    def labels(self) -> list[Label]:
        return [Label(kind, "pos") for kind in self.rules]

    def annotate(self, document: Document, sentences_S2: Spans) -> Units:
        if not self._tagger.reads(document, self.languages):
            return Units.of([])
        start_T, end_T, tags = self._tagger.tag(document, sentences_S2)
        ends = np.searchsorted(start_T, sentences_S2[:, 0]).tolist()
        found = [item for item in self._matcher.find(tags, ends) if item[1] - item[0] >= self.min_words]
        table_U3 = np.array(found, np.int32).reshape(-1, 3)
        return Units(start_T[table_U3[:, 0]], end_T[table_U3[:, 1] - 1], table_U3[:, 2].astype(np.uint8))

    def fingerprint(self) -> dict[str, Any]:
        settings = {
            "rules": [list(rule) for rule in self.rules.items()],
            "min_words": self.min_words,
            "languages": sorted(self.languages),
        }
        return {"kind": "chunks", "level": self.level, **settings, **self._tagger.fingerprint()}
