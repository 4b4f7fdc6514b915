"""Half of the draws are phrases, half are random words (SpanBERT's comparison of schemes, Joshi et al. 2020, section
5.1).

A draw that finds none in its sample is a random word. SpanBERT's released program draws spans of geometric length
instead of words: ``max_words: 10``. SpanBERT found its units with spaCy; here they are the level of the prepared
data.
"""

from __future__ import annotations

from dataclasses import dataclass

from masking.strategies.named_entity_mix import NamedEntityMix


@dataclass(frozen=True, kw_only=True)
class NounPhraseMix(NamedEntityMix):
    """Phrases and random words in turn, by chance."""

    level: str = "phrase"
    """The level of the phrases."""
