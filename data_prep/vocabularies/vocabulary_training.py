"""Texts -> counted words -> a WordPiece vocabulary; memory does not grow with the corpus.

    texts      "The river 长江, the"   normalised as the tokenizer will:  the river 长 江 , the
    tallies    characters: t 2, h 2, e 4, 长 1 ...      words of two characters or more: the 2, river 1
    training   the alphabet from the characters; pieces from the words, each fed as often as it was seen (`the the
               river`)

Han characters are words of one character, so a Chinese corpus feeds the trainer hardly anything. At most MAX_WORDS
distinct words are held: when there are more, the rarest are forgotten (lossy counting), which touches only words too
rare to decide a merge. Tallies of parts are written, and joined in the order of the parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from data_prep.blocks import BLOCK_CHARACTERS
from data_prep.segmenters.pretokenizer import inner_C
from data_prep.vocabularies.word_table import WordTable

MAX_WORDS = 1_000_000
MOST_DIGITS = 4
"""Words with more digits are numbers of things (70160000000h1): they are spelled digit by digit, and teach no
pieces."""
FED_CHARACTERS = 1 << 14
CHINESE_SHARE = 0.01
"""With so many level-1 characters among all, a corpus is taken to hold Chinese."""


class WordTally:
    """Counts of characters and of words of two characters or more, in text as the tokenizer sees it."""

    def __init__(self, normalizer: Any) -> None:
        """``normalizer``: of a ``tokenizers.Tokenizer``; None leaves text as it is."""
        self.forgotten = 0
        """A count of a word is short by at most this; words seen no more often may be missing."""
        self._table = WordTable(normalizer)
        self._characters, self._words = Counter[str](), Counter[str]()
        self._waiting: list[str] = []
        self._size = 0

    @property
    def characters(self) -> Counter[str]:
        """By character."""
        self._settle()
        return self._characters

    @property
    def words(self) -> Counter[str]:
        """By word."""
        self._settle()
        return self._words

    def add(self, text: str) -> None:
        """Count one text."""
        self._waiting.append(text)
        self._size += len(text)
        if self._size >= BLOCK_CHARACTERS:
            self._count()

    def _count(self) -> None:
        """Count the texts that wait; words are forgotten after the text that brings too many."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        while waiting:
            done = self._table.add(waiting, max(0, MAX_WORDS - len(self._words)))
            del waiting[:done]
            if self._table.words > MAX_WORDS - len(self._words):
                self._take()

    def _settle(self) -> None:
        if self._waiting:
            self._count()
        if self._table.filled:
            self._take()

    def _take(self) -> None:
        characters, words = self._table.counts()
        self._characters.update(characters)
        self._words.update(words)
        self._table.clear()
        self._forget()

    def _forget(self) -> None:
        while len(self._words) > MAX_WORDS:
            self.forgotten += 1
            self._words = Counter({word: count - 1 for word, count in self._words.items() if count > 1})

    def write(self, file: Path) -> None:
        """Keep the counts for ``join``."""
        import orjson

        file.write_bytes(
            orjson.dumps({"characters": self.characters, "words": self.words, "forgotten": self.forgotten})
        )

    def join(self, file: Path) -> None:
        """Add the counts that another tally wrote."""
        import orjson

        counts = orjson.loads(file.read_bytes())
        self.characters.update(counts["characters"])
        self.words.update(counts["words"])
        self.forgotten += counts["forgotten"]
        self._forget()

    def alphabet(self, size: int, min_frequency: int, *, common: bool = False) -> list[str]:
        """The characters of a vocabulary of ``size`` entries, sorted: seen often enough and among the most frequent.

        With ``common``, those of GB2312's first level as well, where Chinese was seen and they leave a quarter of the
        entries free.
        """
        frequent = sorted(
            (-count, character)
            for character, count in self.characters.items()
            if count >= min_frequency and not character.isspace()
        )
        seen = {character for _, character in frequent[: max(size // 2, size - 20000)]}
        chinese = sum(self.characters[character] for character in common_characters()) if common else 0
        if (
            chinese
            and chinese >= CHINESE_SHARE * self.characters.total()
            and len(both := seen.union(common_characters())) <= size * 3 // 4
        ):
            seen = both
        return sorted(seen)

    def feed(self) -> Iterator[str]:
        """Every word as often as it was counted (long numbers left out), in lines of bounded length."""
        line: list[str] = []
        characters = 0
        for word, count in sorted(self.words.items()):
            if sum(map(str.isdecimal, word)) > MOST_DIGITS:
                continue
            while count:
                repeats = min(count, 1 + FED_CHARACTERS // len(word))
                line.append(" ".join([word] * repeats))
                count -= repeats
                characters += repeats * (len(word) + 1)
                if characters >= FED_CHARACTERS:
                    yield " ".join(line)
                    line, characters = [], 0
        yield " ".join(line)


@cache
def common_characters() -> tuple[str, ...]:
    """The first level of GB2312: the 3,755 characters of common Chinese text."""
    codes = (
        bytes((row, column))
        for row in range(0xB0, 0xD8)
        for column in range(0xA1, 0xFF)
        if (row, column) < (0xD7, 0xFA)
    )
    return tuple(code.decode("gb2312") for code in codes)


def train_pieces(
    tally: WordTally, characters: list[str], *, size: int, min_frequency: int, special_tokens: tuple[str, ...]
) -> dict[str, int]:
    """Token -> id of a WordPiece vocabulary over an alphabet, with the pieces of counted words.

    Raises:
        ValueError: the alphabet is empty.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    if not characters:
        raise ValueError("the corpus holds no text to train a vocabulary on")
    # The trainer numbers `##c` pieces in the random order of a hash map, and ids break ties between pieces. Numbered
    # here, as if they were special tokens, they make the result a function of the texts.
    joined = [f"##{character}" for character in characters if inner_C()[ord(character)]]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        limit_alphabet=len(characters),
        initial_alphabet=characters,
        special_tokens=[*special_tokens, *joined],
        continuing_subword_prefix="##",
        show_progress=False,
    )
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]", continuing_subword_prefix="##"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.train_from_iterator(tally.feed(), trainer)
    ids: dict[str, int] = backend.get_vocab()
    return ids
