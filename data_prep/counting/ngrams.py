"""Documents -> blocks of tokens: the arrays behind mining.

    text     他在 New York 工作。2015年       tokens  \\n  他 | 在 | New | York | 工作  。   0  年  \\n
    joins    BREAK TOUCHING SPACED SPACED SPACED TOUCHING BREAK TOUCHING TOUCHING
             (how a token is joined to the one before it)

A word token is a word of the segmenter, or a single letter that no word covers (so names the segmenter has torn apart
can be found). Numbers, punctuation, symbols and line ends break the text: no n-gram of words runs across one. What a
word meets there stands in the block as an edge token, for whoever counts neighbours: the character itself, any digit as
0, the end of the text as a line end. Quotation marks and title marks leave no edge token, only the break.

Shape legend: N tokens of a block, W words, C characters, T word tokens, D distinct tokens.
"""

from __future__ import annotations

import hashlib
import sys
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.code_points import HAN_RANGES, code_points, members
from data_prep.documents import Document, Spans
from masking.keyed import hash_key, mix_array

OTHER, LETTER, SPACE = 0, 1, 2
BREAK, TOUCHING, SPACED = 0, 1, 2
QUOTES = "\"'“”‘’«»‹›「」『』《》〈〉【】"
REMEMBERED = 1 << 19
BLOCK_CHARACTERS = 1 << 22
"""Text counted together in memory: about 2.5 million tokens of Chinese or .8 of English, 300 MB of arrays at most."""

Keys = npt.NDArray[np.uint64]


class TokenKeys(dict[str, int]):
    """Token -> uint64 key, remembered. Languages are counted apart: the statistics of one do not depend on what else is
    mined."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.language = language

    def __missing__(self, token: str) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        name = f"{self.language}\t{token}".encode("utf-8", "surrogatepass")
        self[token] = key = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
        return key


@cache
def edge_keys(language: str) -> npt.NDArray[np.uint64]:
    """uint64[0x110000]: the key of the edge token of each character that breaks the text; 0 for quotation marks and
    letters."""
    keys = np.arange(1, sys.maxunicode + 2, dtype=np.uint64)
    keys[[ord(mark) for mark in QUOTES]] = 0
    keys[0x30:0x3A] = keys[0x30]
    keys[0xFF10:0xFF1A] = keys[0x30]
    return np.where(
        (character_classes() == LETTER) | (keys == 0),
        np.uint64(0),
        mix_array(keys + np.uint64(hash_key("edge", language))),
    )


@cache
def character_classes() -> npt.NDArray[np.uint8]:
    """uint8[0x110000]: OTHER (digits, punctuation, symbols), LETTER (letters and the marks on them) or SPACE for each
    code point."""
    classes = bytes(LETTER if unicodedata.category(chr(code))[0] in "LM" else OTHER for code in range(0x30000))
    table = np.zeros(sys.maxunicode + 1, np.uint8)
    table[: len(classes)] = np.frombuffer(classes, np.uint8)
    table[members(HAN_RANGES)] = LETTER
    table[ord(" ")] = SPACE
    return table


def word_tokens(
    character_C: npt.NDArray[np.uint32], words_W2: Spans
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts and ends of the word tokens of a text. ``words_W2`` are its words of two characters or more."""
    class_C = character_classes()[character_C]
    words_W2 = words_W2.astype(np.int64)
    letters_C = np.concatenate([[0], np.cumsum(class_C == LETTER)])
    size = len(class_C)
    depth_C = np.bincount(words_W2[:, 0], minlength=size + 1) - np.bincount(words_W2[:, 1], minlength=size + 1)
    length_C = ((class_C == LETTER) & (np.cumsum(depth_C)[:size] == 0)).astype(np.int64)
    words_W2 = words_W2[letters_C[words_W2[:, 1]] > letters_C[words_W2[:, 0]]]  # no numbers
    length_C[words_W2[:, 0]] = words_W2[:, 1] - words_W2[:, 0]
    start_T = np.flatnonzero(length_C)
    return start_T, start_T + length_C[start_T]


@dataclass
class TokenBlock:
    """Documents of one language, collected until `full` and then written."""

    keys: TokenKeys
    _texts: list[str] = field(default_factory=list)
    _words: list[Spans] = field(default_factory=list)
    _characters: int = 0

    def add(self, document: Document, words_W2: Spans) -> None:
        """Append a document and its words of two characters or more."""
        self._texts.append(document.text)
        self._words.append(words_W2 + np.int32(self._characters))
        self._characters += len(document.text) + 1

    @property
    def full(self) -> bool:
        """Time to write it and to begin another."""
        return self._characters >= BLOCK_CHARACTERS

    def write(self, folder: Path) -> bool:
        """Fill ``folder`` with the arrays and the texts. A block without words writes nothing, and says so."""
        import zstandard

        text = "\n".join(self._texts)
        character_C = code_points(text)
        start_T, end_T = word_tokens(character_C, np.concatenate([np.zeros((0, 2), np.int32), *self._words]))
        if not len(start_T):
            return False
        words = map(text.__getitem__, map(slice, start_T.tolist(), end_T.tolist()))
        key_T = np.fromiter(map(self.keys.__getitem__, words), np.uint64, len(start_T))
        folder.mkdir()
        arrays: tuple[npt.NDArray[Any], ...] = with_edges(
            character_C, key_T, start_T, end_T, edge_keys(self.keys.language)
        )
        for name, array in zip(("keys", "starts", "ends", "joins"), arrays, strict=True):
            np.save(folder / f"{name}.npy", array)
        (folder / "texts.zst").write_bytes(zstandard.compress(text.encode("utf-8", "surrogatepass"), 1))
        return True


def with_edges(
    character_C: npt.NDArray[np.uint32],
    key_T: Keys,
    start_T: npt.NDArray[np.int64],
    end_T: npt.NDArray[np.int64],
    edges: Keys,
) -> tuple[Keys, npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """Keys, starts, ends and joins of the tokens, edge tokens put between the words. An edge token is empty: it ends
    where it starts."""
    character_C = np.append(character_C, np.uint32(10))  # character_C[-1] is the line end around the text
    spaced_T = np.zeros(len(start_T) + 1, bool)
    spaced_T[1:-1] = (start_T[1:] - end_T[:-1] == 1) & (character_C[end_T[:-1]] == 32)
    broken_T = np.ones(len(start_T) + 1, bool)
    broken_T[1:-1] = (start_T[1:] != end_T[:-1]) & ~spaced_T[1:-1]
    # What stands left of a word and right of the one before, a space skipped.
    left_T = character_C[start_T - 1 - ((character_C[start_T - 1] == 32) & (start_T > 0))]
    right_T = character_C[end_T + ((character_C[end_T] == 32) & (end_T < len(character_C) - 1))]
    key_T3 = np.stack([np.where(broken_T[:-1], edges[left_T], 0), key_T, np.where(broken_T[1:], edges[right_T], 0)], 1)
    join_T3 = np.zeros(key_T3.shape, np.uint8)
    join_T3[:, 1] = np.where(
        broken_T[:-1], np.where(key_T3[:, 0] > 0, TOUCHING, BREAK), np.where(spaced_T[:-1], SPACED, TOUCHING)
    )
    join_T3[:, 2] = TOUCHING
    present_T3 = key_T3 > 0
    start_T3, end_T3 = (
        np.stack(arrays, 1, dtype=np.uint32, casting="unsafe")
        for arrays in ((start_T, start_T, end_T), (start_T, end_T, end_T))
    )
    return key_T3[present_T3], start_T3[present_T3], end_T3[present_T3], join_T3[present_T3]


@dataclass(frozen=True)
class StoredTokenBlock:
    """A block on disk, its arrays memory-mapped."""

    folder: Path

    @property
    def language(self) -> str:
        """Of its documents: its name is ``zh-000001``."""
        return self.folder.name.partition("-")[0]

    def array(self, name: str) -> Any:
        """``keys`` (uint64[N]), ``starts`` and ``ends`` (uint32[N], in characters of the text) or ``joins``
        (uint8[N])."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    def text(self) -> str:
        """The texts of its documents, a line end between them."""
        import zstandard

        return zstandard.decompress((self.folder / "texts.zst").read_bytes()).decode("utf-8", "surrogatepass")
