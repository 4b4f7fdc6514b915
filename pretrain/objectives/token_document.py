"""Does the word also occur elsewhere in its document? (ERNIE 2.0, Sun et al. 2020, section 4.2.1, token-document
relation prediction: does a token of a segment appear in other segments of the original document?)

    document   Basel lies on the Rhine . | The Rhine rises in the Alps . | Basel has a zoo .
    window                                 the rhine rises in the alps .
    labels                                  -    1     0   -   -   0   -       (the, in: function words, not asked)

The segment is the window of a sample; the other segments are the rest of its document, so a label needs the document
and cannot be read from the sample. A word of several tokens is compared as a whole, and stands where its first token
stands: 北京 also occurs in 在 北京 住, not in 北 京城.
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
import numpy.typing as npt

from data_prep.shards import Prepared
from masking.spans import Keys
from pretrain.feed.document_tokens import ShardSamples, asked_tokens
from pretrain.feed.document_words import frequent_words, skipped_hashes
from pretrain.feed.packed import Packed
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
    reach: int = 0
    """Tokens before and after the sample in which the word is looked for; 0: the whole document, whose length then
    decides what a batch costs (about a nanosecond for each token of it)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.level not in LEVELS:
            raise ValueError(f"level: {self.level!r} is not one of {', '.join(LEVELS)}")
        for name in ("frequent", "reach"):
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
    def _hashes(self) -> dict[str, Keys]:
        """Of the words that are not asked, by vocabulary."""
        return {}

    def labels(self, packed: Packed, name: str) -> tuple[Long, Long]:
        return asked_tokens(packed, self.folders, self._write)

    def _write(self, samples: ShardSamples, label_T: Long) -> None:
        """1 elsewhere, too; 0 here only."""
        from pretrain.feed import kernels

        shard, folder = samples.shard, samples.reader.prepared
        if folder.vocabulary_sha256 not in self._hashes:
            self._hashes[folder.vocabulary_sha256] = skipped_hashes(self.skipped, folder)
        words = shard.units[self.level][:3] if self.level != "token" else no_units(len(shard))
        kernels.recurring_words(
            *samples.placed,
            *shard.token_ids,
            *words,
            spoken_tokens(folder),
            self._hashes[folder.vocabulary_sha256],
            self.every_token,
            self.reach,
            label_T,
        )


def no_units(documents: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
    """The columns of a level that no document has."""
    return np.zeros(documents + 1, np.int32), np.zeros(0, np.uint32), np.zeros(0, np.uint16)
