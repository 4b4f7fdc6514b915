"""Does the word also occur elsewhere in its document? (ERNIE 2.0, Sun et al. 2020, section 4.2.1, token-document
relation prediction: does a token of a segment appear in other segments of the original document?)

    document   Basel lies on the Rhine . | The Rhine rises in the Alps . | Basel has a zoo .
    window                                 the rhine rises in the alps .
    labels                                  -    1     0   -   -   0   -       (the, in: function words, not asked)

The segment is the window of a sample; the other segments are the rest of its document, so a label needs the document
and cannot be read from the sample. A word of several tokens is compared as a whole: 北京 in 北京 (town) but not in 北 京城.
A sample of several pieces of a document is asked about what lies outside of all of them; pieces of other documents, and
documents that lie in the sample entirely, are not asked.

Punctuation is never asked, nor are the most frequent words, whose label is always 1. Words of which tokens are
hidden, replaced or moved are asked like others; words that the edge of a sample cuts are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from data_prep.shards import Prepared
from masking.spans import Keys
from pretrain.feed.document_tokens import DocumentTokens, asked_tokens
from pretrain.feed.document_words import WordCache, frequent_words, skipped_hashes
from pretrain.feed.packed import Packed
from pretrain.feed.samples import NO_LABEL
from pretrain.feed.texts import Long
from pretrain.feed.vocabulary_letters import spoken_tokens
from pretrain.objectives import Objective, TokenClassification

LEVELS = ("word", "token")


@dataclass(frozen=True, kw_only=True)
class TokenDocument(TokenClassification):
    """Does the word also occur in its document outside of the sample?"""

    level: str = "word"
    """What is compared: `word`, the words of the data, or `token`, every token by itself."""
    frequent: int = 100
    """So many of the most frequent words of each folder are not asked: function words, mostly."""
    words_file: str = ""
    """File of further words that are not asked, one a line (UTF-8)."""
    skipped: list[str] = field(default_factory=list)
    """Words that are not asked, each as its tokens with blanks between; learned from the folders where it is empty."""
    every_token: bool = False
    """Is a word asked at each of its tokens, instead of at the first alone?"""
    cached_words: int = 4_000_000
    """Words of documents that a data worker keeps, 12 bytes each: a long document is then not read again for each of
    its windows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.level not in LEVELS:
            raise ValueError(f"level: {self.level!r} is not one of {', '.join(LEVELS)}")
        for name in ("frequent", "cached_words"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 0")

    @property
    def classes(self) -> int:
        """Nowhere else in the document, elsewhere too."""
        return 2

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("here only", "elsewhere")

    def bind(self, prepared: Mapping[str, Prepared]) -> Objective:
        for name, folder in prepared.items():
            if self.level != "token" and self.level not in folder.levels:
                raise ValueError(
                    f"level: {name} has no units of level {self.level!r}; it has {', '.join(folder.levels) or 'none'}. "
                    "`token` needs none"
                )
        if self.skipped:
            return self
        lines = Path(self.words_file).read_text(encoding="utf-8-sig").splitlines() if self.words_file else []
        words: dict[str, None] = {}
        for folder in prepared.values():
            tokens = folder.tokenizer.tokens
            listed = (" ".join(tokens[number] for number in folder.tokenizer.ids_of(line)) for line in lines)
            words |= dict.fromkeys([*frequent_words(folder, self.level, self.frequent), *filter(None, listed)])
        return replace(self, skipped=list(words))

    @cached_property
    def _cache(self) -> WordCache:
        return WordCache(self.cached_words)

    @cached_property
    def _skipped(self) -> dict[str, Keys]:
        """Hashes by vocabulary."""
        return {}

    def labels(self, packed: Packed, name: str) -> tuple[Long, Long]:
        return asked_tokens(packed, self.folders, self._labels)

    def _labels(self, tokens: DocumentTokens) -> Long:
        """1 elsewhere, too; 0 here only; NO_LABEL not asked."""
        from pretrain.feed import kernels

        shard, folder = tokens.shard, tokens.reader.prepared
        if folder.vocabulary_sha256 not in self._skipped:
            self._skipped[folder.vocabulary_sha256] = skipped_hashes(self.skipped, folder)
        tables = (spoken_tokens(folder), self._skipped[folder.vocabulary_sha256])
        label_M = np.full(len(tokens.place_M), NO_LABEL, np.int64)
        edges = [0, *(np.flatnonzero(np.diff(tokens.sample_M)) + 1).tolist(), len(label_M)]
        document_S = tokens.document_M[edges[:-1]]
        length_S = shard.token_ids.offsets_D1[document_S + 1] - shard.token_ids.offsets_D1[document_S]
        for sample in np.flatnonzero(np.diff(edges) < length_S).tolist():
            own = slice(edges[sample], edges[sample + 1])
            words = self._cache.words(shard, int(document_S[sample]), self.level, *tables)
            label_M[own] = kernels.recurring_words(tokens.place_M[own], *words, self.every_token)
        return label_M
