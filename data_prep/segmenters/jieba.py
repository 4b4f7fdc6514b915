"""Chinese words by jieba itself: the exact reference, several times slower than ``rjieba``.

"他在北京大学"  ->  cut: 他 | 在 | 北京大学  ->  words of two characters or more: [[2, 6]]
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from data_prep.documents import Spans
from data_prep.pieces import joined_words, long_spans, places
from data_prep.segmenters import Segmenter
from data_prep.word_lists.lexicons import lexicon_words
from data_prep.word_lists.user_words import UserWords, load_user_words

ALPHABET = "\u4e00-\u9fd5a-zA-Z0-9+#&._%\\-"
"""What jieba builds words from: common Han characters, ASCII letters and digits, and + # & . _ % -"""


@dataclass(frozen=True, kw_only=True)
class Jieba(Segmenter):
    """jieba in exact mode."""

    hmm: bool = True
    """Join unknown characters into words with jieba's hidden Markov model."""
    user_words: list[str] = field(default_factory=list)
    """Dictionary files whose words are added: one a line, or jieba's `word frequency tag`, or these as tab-separated
    columns."""
    lexicons: list[str] = field(default_factory=list)
    """Lexicon files (any format of the annotator `lexicon`) whose entries become words, so that their matches cut none;
    counts are not read."""

    @cached_property
    def dictionary(self) -> UserWords:
        """The words added, and those jieba cannot produce."""
        return load_user_words(self.user_words, ALPHABET).with_others(lexicon_words(self.lexicons, ALPHABET))

    @cached_property
    def engine(self) -> Any:
        """jieba with the added words.

        jieba keeps its dictionary in a file in the shared folder for temporary files and believes whatever it finds
        there; so the dictionary is read from jieba's package itself, half a second a process, and no file is left
        behind.
        """
        import jieba

        jieba.setLogLevel(logging.WARNING)
        engine = jieba.Tokenizer()
        engine.FREQ, engine.total = engine.gen_pfdict(engine.get_dict_file())
        engine.initialized = True
        for word, frequency, tag in self.dictionary.words:
            engine.add_word(word, frequency, tag or None)
        return engine

    def words(self, text: str) -> Spans:
        return long_spans(*places(self.engine.lcut(text, HMM=self.hmm), text))

    def block_words(self, texts: Sequence[str]) -> Spans:
        return joined_words(self.words, texts)

    def version(self) -> str:
        from importlib.metadata import version

        return f"jieba {version('jieba')}"
