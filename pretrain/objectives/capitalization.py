"""Is the word capitalised in the raw text? (ERNIE 2.0, Sun et al. 2020, section 4.2.1, capitalization prediction.)

    raw text   The  Rhine  flows  through  Basel  ,  莱 茵 河  3D
    token      the  rhine  flows  through  basel  ,  莱 茵 河  3d
    label      -    1      0      0        1      -  - - -  -

A word is asked at its first token, which tells its letter's case as preparation found it in the raw text; tokens whose
first character has no case (Chinese, digits, punctuation) are not asked. Words of which tokens are hidden, replaced or
moved are asked like others.

The first word of a sentence is left out by default: 97 % of them are capitals in English text (Wikipedia, novels,
speeches), whatever they mean, and 11 % of the others. An uncased vocabulary is needed: a cased one shows the answer in
the ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_prep.encoding import FLAG_CAPITAL
from data_prep.shards import Prepared
from pretrain.feed.corpus_counts import sampled
from pretrain.feed.document_tokens import ShardSamples, asked_tokens
from pretrain.feed.packed import Packed
from pretrain.feed.texts import Long
from pretrain.feed.vocabulary_letters import cased_tokens
from pretrain.objectives import Objective, TokenClassification

TRIED = 1_000_000
"""Tokens in which both classes are looked for before training."""


@dataclass(frozen=True, kw_only=True)
class Capitalization(TokenClassification):
    """Is the word capitalised in the raw text? Words without cased letters are not asked."""

    every_token: bool = False
    """Is a word asked at each of its tokens, with the case of its first letter, instead of at the first alone?"""
    sentence_starts: bool = False
    """Is the first word of a sentence asked, too, whose capital says nothing about it?"""

    @property
    def classes(self) -> int:
        """Not capitalised, capitalised."""
        return 2

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("lower", "capital")

    def bind(self, prepared: Mapping[str, Prepared]) -> Objective:
        for name, folder in prepared.items():
            if folder.tokenizer.cased:
                raise ValueError(
                    f"the vocabulary of {name} is cased: the ids show which words are capitalised. Prepare it with an "
                    "uncased vocabulary (`vocabulary.lowercase: true`), or leave this task out"
                )
            if "word" not in folder.levels:
                raise ValueError(f"{name} has no units of level 'word'; it has {', '.join(folder.levels) or 'none'}")
        seen = np.zeros(2, np.int64)
        for folder in prepared.values():
            cased_V = cased_tokens(folder)
            for shard in sampled([folder], TRIED):
                cased_T = cased_V[np.minimum(shard.token_ids.values, len(cased_V) - 1)]
                seen += np.bincount(shard.flags.values[cased_T] & FLAG_CAPITAL, minlength=2)
        if not seen.all():
            found = "no word that has upper and lower case" if not seen.any() else "words of one case only"
            raise ValueError(f"the text of {', '.join(prepared)} has {found}: there is nothing to tell apart")
        return self

    def labels(self, packed: Packed, name: str) -> tuple[Long, Long]:
        return asked_tokens(packed, self.folders, self._write)

    def _write(self, samples: ShardSamples, label_T: Long) -> None:
        """1 capitalised, 0 not."""
        from pretrain.feed import kernels

        shard = samples.shard
        ids, ends, words = shard.token_ids, shard.sentence_ends, shard.units["word"]
        kernels.capital_words(
            *samples.placed,
            *ids,
            shard.flags.values,
            *ends,
            *words[:3],
            cased_tokens(samples.reader.prepared),
            FLAG_CAPITAL,
            self.every_token,
            self.sentence_starts,
            label_T,
        )
