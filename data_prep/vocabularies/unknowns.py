"""Which characters a tokenizer does not know: those that become [UNK] when they stand alone.

    characters of the sentences that hold an [UNK]  ->  {"蠊": 3, "⒈": 2}
    groups of a tally                               ->  a warning for each language that loses more than 1 % of its
                                                        tokens

Each character is shown to the tokenizer once in a process; afterwards a table answers for whole arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.blocks import AnnotatedBlock
from data_prep.documents import Document
from data_prep.encoded import EncodedBlock
from data_prep.encoding import Tokenizer

NEW, KNOWN, UNKNOWN = 0, 1, 2
MOST_UNKNOWN = 0.01
"""A larger share of [UNK] among the tokens of a language is worth a warning."""


def warnings(tally: Mapping[str, Any]) -> list[str]:
    """A sentence for each language of which more than 1 % of the tokens are [UNK], and what to do."""
    tokens, unknown = Counter[str](), Counter[str]()
    for group in tally["groups"]:
        tokens[group["language"]] += group["tokens"]
        unknown[group["language"]] += group["unknown"]
    shown = " ".join(character for character, _ in tally["unknown_characters"][:10])
    remedy = "Raise vocabulary.size, train on more text (vocabulary.train_characters), or give another vocabulary.path."
    return [
        (
        f"{unknown[language] / tokens[language]:.1%} of the {tokens[language]:,} tokens of {language} are [UNK]: the "
        "vocabulary does not fit this text")
        + (f" (most frequent unknown characters: {shown})" if shown else "") + f". {remedy}"
        for language in sorted(tokens)
        if unknown[language] > MOST_UNKNOWN * tokens[language]
    ]  # fmt: skip


class Alphabet:
    """What is known about each code point."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.state = np.zeros(0x110000, np.uint8)
        self.state[0xD800:0xE000] = KNOWN  # halves of a pair are no characters

    def unknown(self, characters_N: npt.NDArray[np.uint32]) -> dict[str, int]:
        """The unknown characters among ``characters_N`` with their counts."""
        state_N = self.state[characters_N]
        if len(new := np.unique(characters_N[state_N == NEW])):
            self._learn(new)
            state_N = self.state[characters_N]
        codes, counts = np.unique(characters_N[state_N == UNKNOWN], return_counts=True)
        return {chr(code): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}

    def _learn(self, codes: npt.NDArray[np.uint32]) -> None:
        text = " ".join(map(chr, codes.tolist()))
        ids_T, starts_T, _ = self.tokenizer.encode(Document(id="", language="", text=text, title="", source=""))
        self.state[codes] = KNOWN
        self.state[codes[starts_T[ids_T == self.tokenizer.special_ids["[UNK]"]] // 2]] = UNKNOWN


def characters_near_unknowns(
    blocks: Sequence[tuple[AnnotatedBlock, EncodedBlock, Any]],
    unknown: npt.NDArray[np.int64],
    count_D: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint32]:
    """The characters of the sentences that hold an [UNK].

    ``unknown`` numbers the [UNK] in all tokens of all blocks together, of which ``count_D`` belong to each document.
    """
    pieces, first, done, before = [], 0, 0, 0
    for annotated, encoded, _ in blocks:
        own_D = count_D[before : before + len(annotated)]
        tokens_D1 = encoded.token_ids[1]
        for number in np.flatnonzero(own_D).tolist():
            count = int(own_D[number])
            sentences_S2 = annotated.sentences_S2[annotated.sentences_D1[number] : annotated.sentences_D1[number + 1]]
            ends_S = encoded.sentence_ends[0][encoded.sentence_ends[1][number] : encoded.sentence_ends[1][number + 1]]
            if len(sentences_S2) == len(ends_S):
                found = np.unique(
                    np.searchsorted(ends_S, unknown[done : done + count] - first - tokens_D1[number], "right")
                )
                pieces += [annotated.block.characters_N[start:end] for start, end in sentences_S2[found].tolist()]
            else:  # some sentences hold no token, so places cannot be told by counting
                pieces.append(
                    annotated.block.characters_N[
                        annotated.block.offsets_D1[number] : annotated.block.offsets_D1[number + 1]
                    ]
                )
            done += count
        first, before = first + int(tokens_D1[-1]), before + len(annotated)
    return np.concatenate(pieces)


@cache
def alphabet_of(tokenizer: Tokenizer) -> Alphabet:
    """The one alphabet of a tokenizer in this process."""
    return Alphabet(tokenizer)
