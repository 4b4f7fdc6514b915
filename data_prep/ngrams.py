"""Documents -> blocks of tokens, and the n-grams in them: the arrays behind mining and frequencies.

    text     他在 New York 工作。2015年       tokens  他 | 在 | New | York | 工作 | 年
    joins    BREAK TOUCHING SPACED SPACED SPACED BREAK          (how a token is joined to the one before it)

A token is a word of the segmenter, or a single letter that no word covers (so names the segmenter has torn apart can be found).
Numbers, punctuation, symbols and line ends are no tokens but breaks: no n-gram runs across one.

Shape legend: N tokens of a block, W words of a document, C characters, D distinct n-grams.
"""

from __future__ import annotations

import itertools
import sys
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.documents import Document, Spans
from data_prep.tables import Keys, write_table
from masking.keyed import hash_key

OTHER, LETTER, SPACE = 0, 1, 2
BREAK, TOUCHING, SPACED = 0, 1, 2
BLOCK_TOKENS = 1 << 21
"""Tokens counted together in memory; about 9 MB of Chinese or 12 MB of English text, and 100 MB of arrays."""


def word_key(language: str, term: str) -> int:
    """The key of a token. Languages are counted apart: shares of one corpus do not depend on what else is mined."""
    return hash_key("word", language, term)


@cache
def character_classes() -> npt.NDArray[np.uint8]:
    """uint8[0x110000]: OTHER (digits, punctuation, symbols), LETTER (letters and the marks on them) or SPACE for each code point."""
    classes = bytes(LETTER if unicodedata.category(chr(code))[0] in "LM" else OTHER for code in range(0x30000))
    table = np.zeros(sys.maxunicode + 1, np.uint8)
    table[: len(classes)] = np.frombuffer(classes, np.uint8)
    table[0x30000:0x40000] = LETTER  # Han, extensions G and later
    table[ord(" ")] = SPACE
    return table


def tokens(document: Document, words_W2: Spans) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Starts, ends and joins of the document's tokens. ``words_W2`` are its words of two characters or more."""
    class_C = character_classes()[document.characters]
    words_W2 = np.asarray(words_W2, np.int64).reshape(-1, 2)
    letters_C = np.concatenate([[0], np.cumsum(class_C == LETTER)])
    size = len(class_C)
    depth_C = np.bincount(words_W2[:, 0], minlength=size + 1) - np.bincount(words_W2[:, 1], minlength=size + 1)
    single_C = (class_C == LETTER) & (np.cumsum(depth_C)[:size] == 0)
    words_W2 = words_W2[letters_C[words_W2[:, 1]] > letters_C[words_W2[:, 0]]]
    length_C = single_C.astype(np.int64)
    length_C[words_W2[:, 0]] = words_W2[:, 1] - words_W2[:, 0]
    start_N = np.flatnonzero(length_C)
    end_N = start_N + length_C[start_N]
    join_N = np.zeros(len(start_N), np.uint8)
    gap_N = start_N[1:] - end_N[:-1]
    join_N[1:][gap_N == 0] = TOUCHING
    join_N[1:][(gap_N == 1) & (class_C[np.minimum(end_N[:-1], size - 1)] == SPACE)] = SPACED
    return start_N, end_N, join_N


@dataclass
class Block:
    """Tokens of many documents, collected until `full` and then written."""

    _ids: dict[str, dict[str, int]] = field(default_factory=dict)
    """By language: the number of each distinct token within the block."""
    _next: itertools.count[int] = field(default_factory=itertools.count)
    _pieces: list[tuple[npt.NDArray[Any], ...]] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _characters: int = 0
    _tokens: Counter[str] = field(default_factory=Counter)

    def add(self, document: Document, words_W2: Spans) -> None:
        """Append a document's tokens."""
        text = document.text
        start_N, end_N, join_N = tokens(document, words_W2)
        ids = self._ids.setdefault(document.language, defaultdict(self._next.__next__))
        id_N = np.fromiter((ids[text[start:end]] for start, end in zip(start_N.tolist(), end_N.tolist(), strict=True)), np.uint32, len(start_N))
        self._pieces.append((id_N, (start_N + self._characters).astype(np.uint32), (end_N + self._characters).astype(np.uint32), join_N))
        self._texts.append(text)
        self._characters += len(text) + 1
        self._tokens[document.language] += len(start_N)

    @property
    def full(self) -> bool:
        """Time to write it and to begin another."""
        return self._tokens.total() >= BLOCK_TOKENS

    def write(self, folder: Path) -> None:
        """Fill ``folder``: words, pairs of words, tokens and texts. A block without tokens writes nothing."""
        if not self._tokens.total():
            return
        import zstandard

        folder.mkdir()
        id_N, start_N, end_N, join_N = (np.concatenate(arrays) for arrays in zip(*self._pieces, strict=True))
        key_N = self._write_words(folder / "words.arrow", id_N)
        for name, array in (("keys", key_N), ("starts", start_N), ("ends", end_N), ("joins", join_N)):
            np.save(folder / f"{name}.npy", array)
        (folder / "texts.zst").write_bytes(zstandard.compress("\n".join(self._texts).encode("utf-8", "surrogatepass"), 1))

    def _write_words(self, path: Path, id_N: npt.NDArray[np.uint32]) -> Keys:
        """Write the table of words with their counts, and return the key of each token."""
        import pyarrow

        count_D = np.bincount(id_N)
        key_D, language_D = np.zeros(len(count_D), np.uint64), np.zeros(len(count_D), object)
        for language, ids in self._ids.items():
            for term, number in ids.items():
                key_D[number], language_D[number] = word_key(language, term), language
        order = np.argsort(key_D)
        write_table(path, pyarrow.table({"key": key_D[order], "language": pyarrow.array(language_D[order], pyarrow.string()), "count": count_D[order]}))
        return key_D[id_N]


@dataclass(frozen=True)
class StoredBlock:
    """A block on disk, its arrays memory-mapped."""

    folder: Path

    def array(self, name: str) -> Any:
        """``keys`` (uint64[N], of the tokens), ``starts`` and ``ends`` (uint32[N], in characters of the text) or ``joins`` (uint8[N])."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    def text(self) -> str:
        """The texts of its documents, a line end between them."""
        import zstandard

        return zstandard.decompress((self.folder / "texts.zst").read_bytes()).decode("utf-8", "surrogatepass")
