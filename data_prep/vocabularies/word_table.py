"""Characters and words of texts counted by a compiled loop, as the tokenizer's normaliser leaves them.

    WordTable(normalizer).add(["The élan"])   ->   characters t h e ...,  words {"the": 1, "elan": 1}

BERT's normaliser treats every character by itself, so what it makes of one is asked once and kept (`Forms`, see
wordpiece.py). A text with a character of which that is not so is normalised as a whole and counted by the same loop. A
word is what the pretokenizer takes for one.

Shape legend: N characters of some texts, D texts, W words, H slots of the hash table, C code points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.blocks import offsets_of
from data_prep.code_points import code_points
from data_prep.segmenters.pretokenizer import inner_C
from data_prep.wordpiece import CODE_POINTS, UNSEEN, Forms, form_of

LONGEST_WORD = 100
"""BERT's tokenizer gives up on longer ones, so they teach nothing."""


class WordTable:
    """Counts that grow text by text."""

    def __init__(self, normalizer: Any) -> None:
        self.normalizer = normalizer
        self.by_character = type(normalizer).__name__ == "BertNormalizer"
        self.forms = Forms()
        self.clear()

    def clear(self) -> None:
        """Forget all counts."""
        self.filled = False
        """Is there anything to forget?"""
        self.count_C = np.zeros(CODE_POINTS, np.int64)
        self.letters = np.empty(1 << 17, np.uint32)
        """The words one behind the other."""
        self.word_W3 = np.zeros((1 << 15, 3), np.int64)
        """Where each begins among them, its length and its count."""
        self.slot_H = np.full(1 << 17, -1, np.int32)
        """The word in each slot, -1 where there is none."""
        self.used_2 = np.zeros(2, np.int64)
        """How many words there are, and how many letters."""

    @property
    def words(self) -> int:
        """How many different words there are."""
        return int(self.used_2[0])

    def add(self, texts: Sequence[str], most_words: int) -> int:
        """Count texts one after the other, until there are more than ``most_words`` words; how many texts were
        counted."""
        if self.normalizer and not self.by_character:
            texts = [self.normalizer.normalize_str(text) for text in texts]
        characters_N = code_points("".join(texts))
        offsets_D1 = offsets_of(map(len, texts))
        if not self.by_character:
            return self._count(characters_N, offsets_D1, len(characters_N), most_words, plain=True)
        form_N = self._forms(characters_N)
        strange = np.unique(np.searchsorted(offsets_D1, np.flatnonzero(form_N == UNSEEN), "right") - 1).tolist()
        done = 0
        for text in [*strange, len(texts)]:  # texts up to each that must be normalised as a whole, then that one
            if text > done:
                own = slice(int(offsets_D1[done]), int(offsets_D1[text]))
                done += self._count(
                    characters_N[own],
                    offsets_D1[done : text + 1] - own.start,
                    int((form_N[own] & 15).sum()),
                    most_words,
                )
            if self.words > most_words or text == len(texts):
                break
            normal_N = code_points(self.normalizer.normalize_str(texts[text]))
            done += self._count(normal_N, offsets_of([len(normal_N)]), len(normal_N), most_words, plain=True)
            if self.words > most_words:
                break
        return done

    def counts(self) -> tuple[Counter[str], Counter[str]]:
        """Characters and words with their counts."""
        codes = np.flatnonzero(self.count_C)
        characters = Counter(dict(zip(map(chr, codes.tolist()), self.count_C[codes].tolist(), strict=True)))
        words, size = self.used_2.tolist()
        letters = self.letters[:size].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        return characters, Counter(
            {letters[start : start + length]: count for start, length, count in self.word_W3[:words].tolist()}
        )

    def _forms(self, characters_N: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
        form_N = self.forms.form_C[characters_N]
        if (form_N == UNSEEN).any():
            for point in np.unique(characters_N[form_N == UNSEEN]).tolist():
                normal = form_of(self.normalizer, point)
                if normal is not None:
                    self.forms.add(point, [(ord(character), 0, 0) for character in normal])
            form_N = self.forms.form_C[characters_N]
        return form_N

    def _count(
        self,
        characters_N: npt.NDArray[np.uint32],
        offsets_D1: npt.NDArray[np.int64],
        size: int,
        most_words: int,
        *,
        plain: bool = False,
    ) -> int:
        """The same for texts that become ``size`` characters; ``plain``: they are what they are."""
        from data_prep import kernels

        self.filled = True
        words, letters = self.used_2.tolist()
        if letters + size > len(self.letters):
            self.letters = np.concatenate([self.letters, np.empty(letters + size, np.uint32)])
        if words + size // 2 + 1 > len(self.word_W3):
            self.word_W3 = np.concatenate([self.word_W3, np.zeros((words + size // 2 + 1, 3), np.int64)])
        if 2 * (words + size // 2 + 1) > len(self.slot_H):
            self.slot_H = kernels.word_slots(
                self.letters, self.word_W3[:words], (4 * (words + size // 2 + 1)).bit_length()
            )
        arguments = (
            self.forms.form_C,
            self.forms.rows_F3,
            inner_C(),
            self.count_C,
            self.letters,
            self.word_W3,
            self.slot_H,
            self.used_2,
        )
        done: int = kernels.count_words(characters_N, offsets_D1, plain, *arguments, LONGEST_WORD, most_words)
        return done
