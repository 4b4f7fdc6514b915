"""What the strings of a vocabulary tell of its tokens, as tables over the vocabulary that are made once a process.

    token          the   ##ing   3d   北   ,   [SEP]
    cased_tokens   yes   yes     no   no   no  no       its first character has an upper-case and a lower-case form
    spoken_tokens  yes   yes     yes  yes  no  no       it holds a letter or a digit

Shape legend: V ids of the vocabulary.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from data_prep.encoding import Tokenizer
from data_prep.shards import Prepared

Flags = npt.NDArray[np.bool_]


def cased_tokens(prepared: Prepared) -> Flags:
    """bool[V]: does the first character of the token have an upper-case and a lower-case form?"""
    return _tables(prepared.tokenizer, prepared.vocabulary_sha256)[0]


def spoken_tokens(prepared: Prepared) -> Flags:
    """bool[V]: does the token hold a letter or a digit?"""
    return _tables(prepared.tokenizer, prepared.vocabulary_sha256)[1]


@lru_cache(maxsize=4)
def _tables(tokenizer: Tokenizer, vocabulary: str) -> tuple[Flags, Flags]:
    cased_V, spoken_V = (np.zeros(len(tokenizer.tokens), np.bool_) for _ in range(2))
    special = set(tokenizer.all_special_ids)
    for number, (token, text) in enumerate(zip(tokenizer.tokens, tokenizer.texts, strict=True)):
        if number not in special and not (len(token) > 2 and token.startswith("[") and token.endswith("]")):
            cased_V[number] = text[:1].upper() != text[:1].lower()
            spoken_V[number] = any(character.isalnum() for character in text)
    return cased_V, spoken_V
