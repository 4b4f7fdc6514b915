"""Texts -> counted words -> a WordPiece vocabulary; memory does not grow with the corpus.

    texts      "The river 长江, the"   normalised as the tokenizer will:  the river 长 江 , the
    tallies    characters: t 2, h 2, e 4, 长 1 ...      words of two characters or more: the 2, river 1
    training   the alphabet from the characters; pieces from the words, each fed as often as it was seen (`the the river`)

Han characters are words of one character, so a Chinese corpus feeds the trainer hardly anything. At most MAX_WORDS distinct words are
held: when there are more, the rarest are forgotten (lossy counting), which touches only words too rare to decide a merge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from data_prep.segmenters.pretokenizer import Pretokenizer

MAX_WORDS = 1_000_000
LONGEST_WORD = 100
"""BERT's tokenizer gives up on longer ones, so they teach nothing."""
FED_CHARACTERS = 1 << 14


@dataclass
class WordTally:
    """Counts of characters and of words of two characters or more, in text as the tokenizer sees it."""

    normalizer: Any
    """Of a ``tokenizers.Tokenizer``; None leaves text as it is."""
    characters: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    forgotten: int = 0
    """A count of a word is short by at most this; words seen no more often may be missing."""

    def add(self, text: str) -> None:
        """Count one text."""
        normal = self.normalizer.normalize_str(text) if self.normalizer else text
        self.characters.update(normal)
        spans = Pretokenizer().words(normal)
        short = spans[spans[:, 1] - spans[:, 0] <= LONGEST_WORD].tolist()
        self.words.update([normal[start:end] for start, end in short])
        while len(self.words) > MAX_WORDS:
            self.forgotten += 1
            self.words = Counter({word: count - 1 for word, count in self.words.items() if count > 1})

    def alphabet(self, size: int, min_frequency: int) -> list[str]:
        """The characters of a vocabulary of ``size`` entries, sorted: seen often enough and among the most frequent."""
        frequent = sorted((-count, character) for character, count in self.characters.items() if count >= min_frequency and not character.isspace())
        return sorted(character for _, character in frequent[: max(size // 2, size - 20000)])

    def feed(self) -> Iterator[str]:
        """Every word as often as it was counted, in lines of bounded length."""
        line: list[str] = []
        characters = 0
        for word, count in sorted(self.words.items()):
            while count:
                repeats = min(count, 1 + FED_CHARACTERS // len(word))
                line.append(" ".join([word] * repeats))
                count -= repeats
                characters += repeats * (len(word) + 1)
                if characters >= FED_CHARACTERS:
                    yield " ".join(line)
                    line, characters = [], 0
        yield " ".join(line)


def train_pieces(texts: Iterable[str], normalizer: Any, *, size: int, min_frequency: int, special_tokens: tuple[str, ...]) -> dict[str, int]:
    """Token -> id of a WordPiece vocabulary trained on ``texts``, which are read once.

    Raises:
        ValueError: the texts are empty.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tally = WordTally(normalizer)
    for text in texts:
        tally.add(text)
    characters = tally.alphabet(size, min_frequency)
    if not characters:
        raise ValueError("the corpus holds no text to train a vocabulary on")
    # The trainer numbers `##c` pieces in the random order of a hash map, and ids break ties between pieces. Numbered here, as if
    # they were special tokens, they make the result a function of the texts.
    inner = Pretokenizer()
    joined = [f"##{character}" for character in characters if len(inner.words(f"a{character}"))]
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
