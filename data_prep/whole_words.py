"""Chinese words that are one token: added tokens, which are found in the raw text before BERT's rule cuts it.

    vocabulary 民 法 典 ..., added token 民法典      《民法典》第一条  ->  《 民法典 》 第 一 条

BERT's normaliser sets every Han character apart, so WordPiece alone never sees a word of two. Such a word is listed as
an added token (not special, taken literally), as the `tokenizers` library has them: where several begin, the longest
wins, the leftmost first. Only words all of whose characters stand apart in any text can be such tokens here: then
tokens that WordPiece made are joined, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.trie import Trie

PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
"""How the library lists such a token."""


def stands_apart(backend: Any, character: str) -> bool:
    """Is a character a token of its own, unchanged, wherever it stands?"""
    text = f"a{character}a"
    normal = backend.normalizer.normalize_str(text) if backend.normalizer else text
    return [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(normal)] == ["a", character, "a"]


def can_be_whole(backend: Any, word: str) -> bool:
    """Can a word be a token that is found before text is cut?"""
    return len(word) > 1 and all(stands_apart(backend, character) for character in word)


@dataclass(frozen=True, kw_only=True)
class WholeWords:
    """The words of a tokenizer that are added tokens."""

    trie: Trie
    ids_E: npt.NDArray[np.int32]

    @staticmethod
    def of(backend: Any, added: Sequence[Mapping[str, Any]]) -> WholeWords | None:
        """The words of plain ``added`` tokens; None when one of them is found in another way than told above."""
        words = [token["content"] for token in added]
        known = {character: stands_apart(backend, character) for character in set("".join(words))}
        for token in added:
            plain = all(token[name] == value for name, value in PLAIN.items())
            if not plain or len(token["content"]) < 2 or not all(known[character] for character in token["content"]):
                return None
        return WholeWords(trie=Trie.build(words), ids_E=np.array([token["id"] for token in added], np.int32))

    def join(
        self,
        characters_N: npt.NDArray[np.uint32],
        ids_T: npt.NDArray[np.int32],
        start_T: npt.NDArray[np.int32],
        end_T: npt.NDArray[np.int32],
        tokens_D1: npt.NDArray[np.int64],
        offsets_D1: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids, start and end characters of the tokens, and where each document's begin, with the words joined."""
        from data_prep import kernels

        if not len(self.ids_E):
            return ids_T, start_T, end_T, tokens_D1
        trie = self.trie
        return kernels.join_words(  # type: ignore[no-any-return]
            characters_N, offsets_D1, ids_T, start_T, end_T, tokens_D1,
            trie.keys_H, trie.children_H, trie.value_N, self.ids_E, trie.shift,
        )  # fmt: skip
