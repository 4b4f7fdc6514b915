"""Cloze questions from files: one file here is one format. ``kind: chid`` is ``questions/chid.py``.

    "他 们 ____ , 一 起 走 来"  candidates 手 拉 手, 画 蛇 添 足, ...  answer 0    ->    Question

A new format says what its questions are; scoring, figures and error bars come free (measures/questions.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A text with a blank and what may stand in it."""

    texts: tuple[str, ...]
    """What stands between the blanks: one more than there are blanks."""
    candidates: tuple[str, ...]
    """Different texts."""
    answer: int
    """Index of the right one."""
    place: str
    """FILE:LINE it comes from, for messages."""
    blank: int = 0
    """Which blank is asked; the others stay hidden, too."""
    group: str = ""
    """Questions of one group have a figure of their own; empty: none."""
    fact: str = ""
    """Questions that ask for the same in other words have this in common; empty: nobody does."""

    def __post_init__(self) -> None:
        if len(self.candidates) < 2:
            raise ValueError(f"{self.place}: {len(self.candidates)} candidates; a question needs at least 2")
        if len(set(self.candidates)) < len(self.candidates):
            twice = next(text for text in self.candidates if self.candidates.count(text) > 1)
            raise ValueError(f"{self.place}: {twice!r} is a candidate twice")
        if not 0 <= self.answer < len(self.candidates):
            raise ValueError(f"{self.place}: answer {self.answer} of {len(self.candidates)} candidates, counted from 0")
        if not 0 <= self.blank < len(self.texts) - 1:
            raise ValueError(f"{self.place}: there is no blank")


@dataclass(frozen=True, kw_only=True)
class Questions(ABC):
    """The questions of some files."""

    SOURCE: ClassVar[str] = ""
    """Where the format was published."""

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """What is read.

        Raises:
            ValueError: a file is not there.
        """

    @abstractmethod
    def read(self) -> Iterator[Question]:
        """All questions, in the order of the files.

        Raises:
            ValueError: a line is not of the format; with file and line.
        """


def index_of(candidates: Sequence[str], answer: str, place: str) -> int:
    """Where the answer stands among the candidates.

    Raises:
        ValueError: nowhere.
    """
    if answer not in candidates:
        shown = ", ".join(candidates[:5]) + (", ..." if len(candidates) > 5 else "")
        raise ValueError(f"{place}: the answer {answer!r} is none of the {len(candidates)} candidates ({shown})")
    return candidates.index(answer)
