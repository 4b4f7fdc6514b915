"""BERT's WordPiece on arrays: the ids and offsets of the `tokenizers` library, many times as fast.

    Wordpiece.of(backend).encode(characters)  ->  ids int32[T], start int32[T], end int32[T]

The normaliser and the pre-tokeniser of BERT treat every character by itself. So their effect on a character is asked of
the library once, kept in a table (`forms`), and a text becomes table look-ups and a trie walk:

    É  ->  e (letter)     北  ->  a word of its own     。 -> a word of its own     U+200B -> nothing

What is not BERT's (another model, another normaliser, added tokens that are neither special tokens nor Chinese words:
whole_words.py) is left to the library, and so is a text with a character whose effect depends on its neighbours.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.code_points import code_points
from data_prep.trie import Trie
from data_prep.whole_words import WholeWords

CODE_POINTS = 0x110000
UNSEEN = -1
SELF_TEST = (
    "A naïve café’s “test”: 北京大学2024年 ＡＢＣ　각 İstanbul ﬁne e\u0301 \u200b\x07x ½ №5 ¡hola! ok_now 𠀀🙂 "
    "かなカナ Ünïcödé-ẞ"
)

TESTED_WORDS = 100


def form_of(normalizer: Any, point: int) -> str | None:
    """What BERT's normaliser makes of a character wherever it stands; None when that depends on its neighbours, or is
    long."""
    character = chr(point)
    if 0xD800 <= point < 0xE000 or (unicodedata.combining(character) and unicodedata.category(character) != "Mn"):
        return None
    normal: str = normalizer.normalize_str(character)
    return normal if len(normal) <= 15 else None


class Forms:
    """What BERT's normaliser makes of each character, in a table that grows as characters are met."""

    def __init__(self) -> None:
        self.form_C = np.full(CODE_POINTS, UNSEEN, np.int32)
        """For each code point ``16 * first + count`` of its rows; -1 before it is first met."""
        self.rows_F3 = np.zeros((1024, 3), np.int32)
        """Normalised character, its class, and its token when it is a word of its own."""
        self.filled = self.known = 0

    def add(self, point: int, rows: list[tuple[int, int, int]]) -> None:
        """Give ``point`` its rows."""
        if self.filled + len(rows) > len(self.rows_F3):
            self.rows_F3 = np.concatenate([self.rows_F3, np.zeros_like(self.rows_F3)])
        if rows:
            self.rows_F3[self.filled : self.filled + len(rows)] = rows
        self.form_C[point] = 16 * self.filled + len(rows)
        self.filled += len(rows)
        self.known += 1


class Tokens(NamedTuple):
    """Tokens of several documents; positions count in the characters of all of them."""

    ids_T: npt.NDArray[np.int32]
    start_T: npt.NDArray[np.int32]
    end_T: npt.NDArray[np.int32]
    tokens_D1: npt.NDArray[np.int64]
    """Where each document's tokens begin, and where the last one's end."""
    library_D: npt.NDArray[np.bool_]
    """Documents that must go to the library."""

    @staticmethod
    def none(documents: int) -> Tokens:
        """All must."""
        nothing = np.zeros(0, np.int32)
        return Tokens(nothing, nothing, nothing, np.zeros(documents + 1, np.int64), np.ones(documents, np.bool_))


@dataclass(frozen=True, kw_only=True)
class Wordpiece:
    """A compiled copy of one tokenizer. Not thread-safe: the table of characters grows as they are met."""

    backend: Any
    trie: Trie
    ids: npt.NDArray[np.int32]
    vocabulary: dict[str, int]
    unknown: int
    longest_word: int
    """Characters; a longer word is one unknown token."""
    whole: WholeWords
    """Chinese words that are one token."""
    table: Forms = field(default_factory=lambda: Forms())
    """What has been asked of the library so far."""

    @staticmethod
    def of(backend: Any) -> Wordpiece | None:
        """A compiled copy of a ``tokenizers.Tokenizer``, or None when it is not of the kind described above."""
        value = json.loads(backend.to_str())
        model, normalizer, cutter = value["model"], value.get("normalizer"), value.get("pre_tokenizer")
        kinds = (model.get("type"), (normalizer or {}).get("type"), (cutter or {}).get("type"))
        plain_added = [token for token in value.get("added_tokens", []) if not token["special"]]
        if kinds != ("WordPiece", "BertNormalizer", "BertPreTokenizer") or not backend.encode_special_tokens:
            return None
        if (whole := WholeWords.of(backend, plain_added)) is None:
            return None
        prefix, vocabulary = model["continuing_subword_prefix"], model["vocab"]
        if model["unk_token"] not in vocabulary or prefix != "##":
            return None  # "#" is punctuation, so no word of a text can look like a piece
        pieces = [
            (token.removeprefix(prefix), int(token.startswith(prefix)), index) for token, index in vocabulary.items()
        ]
        pieces = [piece for piece in pieces if piece[0]]
        compiled = Wordpiece(
            backend=backend,
            trie=Trie.build([piece[0] for piece in pieces], [piece[1] for piece in pieces]),
            ids=np.array([piece[2] for piece in pieces], np.int32),
            vocabulary=vocabulary,
            unknown=vocabulary[model["unk_token"]],
            longest_word=model["max_input_chars_per_word"],
            whole=whole,
        )
        words = "".join(token["content"] for token in plain_added[:TESTED_WORDS])
        return compiled if compiled._agrees(SELF_TEST + words) else None

    def _agrees(self, text: str) -> bool:
        wanted = self.backend.encode(text, add_special_tokens=False)
        found = self.encode(code_points(text))
        return (
            found is not None
            and wanted.ids == found[0].tolist()
            and wanted.offsets == list(zip(found[1].tolist(), found[2].tolist(), strict=True))
        )

    def encode(
        self, characters_N: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]] | None:
        """Ids, start and end characters of each token; None when the text must go to the library."""
        ids_T, start_T, end_T, _, library_D = self.encode_block(
            characters_N, np.array([0, len(characters_N)], np.int64)
        )
        return None if library_D[0] else (ids_T, start_T, end_T)

    def encode_block(self, characters_N: npt.NDArray[np.uint32], offsets_D1: npt.NDArray[np.int64]) -> Tokens:
        """The tokens of several documents that begin at ``offsets_D1``; those that must go to the library have none."""
        from data_prep import kernels

        while True:
            found = Tokens(
                *kernels.wordpiece(
                    characters_N,
                    offsets_D1,
                    self.table.form_C,
                    self.table.rows_F3,
                    self.trie.keys_H,
                    self.trie.children_H,
                    self.trie.value_N,
                    self.ids,
                    self.trie.shift,
                    self.unknown,
                    self.longest_word,
                )
            )
            if not found.library_D.any() or not self._learn(characters_N):
                joined = self.whole.join(characters_N, *found[:4], offsets_D1)
                return Tokens(*joined, found.library_D)

    def _learn(self, characters_N: npt.NDArray[np.uint32]) -> bool:
        """Put the characters that have no form yet into the table, as far as they can have one; False when none was put
        there."""
        met, filled = np.unique(characters_N), self.table.known
        for point in met[self.table.form_C[met] == UNSEEN].tolist():
            normal = form_of(self.backend.normalizer, point)
            if normal is not None:
                self.table.add(
                    point, [(ord(form), self._class(form), self.vocabulary.get(form, self.unknown)) for form in normal]
                )
        return self.table.known > filled

    def _class(self, character: str) -> int:
        from data_prep import kernels

        pieces = [piece for piece, _ in self.backend.pre_tokenizer.pre_tokenize_str(f"a{character}a")]
        kinds = {1: kernels.LETTER, 2: kernels.SPACE, 3: kernels.ISOLATED}
        return int(kinds[len(pieces)])
