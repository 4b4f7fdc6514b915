"""People Daily and Children's Fairy Tale (Cui et al. 2016): a document, a query with a hidden word, and that word.

    1 ||| 我家 有 一 只 小 花 猫 。
    2 ||| 它 的 尾巴 很 长 。
    3 ||| 小花猫 的 XXXXX 很 长 。 ||| 尾巴

Candidates are the different words of the document that hold a letter, digit or Han character. Spaces between Han
characters go. In the children's tales that people wrote or that were made by rules, many answers are no word of their
document: ``absent`` says what becomes of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pretrain.evaluation.questions import Question, Questions, index_of
from pretrain.evaluation.text_rows import check_files, lines

BLANK = "XXXXX"
SEPARATOR = "|||"
BETWEEN_WORDS = re.compile(r"(?<![!-~]) | (?![!-~])")
"""A space that does not part two words of ASCII."""
ABSENT = ("refuse", "leave_out")


@dataclass(frozen=True, kw_only=True)
class Cft(Questions):
    """Documents with a query each: `NUMBER ||| words`, the query's line ends in `||| ANSWER`."""

    SOURCE: ClassVar[str] = "github.com/ymcui/Chinese-Cloze-RC; Cui et al. 2016, arXiv 1607.02250"

    paths: list[str]
    """Files of the data set, `.gz` too."""
    absent: str = "refuse"
    """What becomes of a question whose answer is no word of its document: `refuse` the file, or `leave_out` the
    question."""

    def __post_init__(self) -> None:
        if self.absent not in ABSENT:
            raise ValueError(f"absent: {self.absent!r} is not one of {', '.join(ABSENT)}")

    def files(self) -> Sequence[Path]:
        return check_files("paths", self.paths)

    def read(self) -> Iterator[Question]:
        for file in self.files():
            document: list[str] = []
            place = ""
            for place, line in lines(file):
                parts = [part.strip() for part in line.split(SEPARATOR)]
                if len(parts) not in (2, 3) or not parts[0].isdigit():
                    raise ValueError(f"{place}: `NUMBER ||| words` or `NUMBER ||| query ||| answer` is needed")
                if len(parts) == 2:
                    if BLANK in parts[1]:
                        raise ValueError(f"{place}: a query ({BLANK}) without `||| answer` at its end")
                    document.append(parts[1])
                    continue
                if (question := self._question(document, parts[1], parts[2], place)) is not None:
                    yield question
                document = []
            if document:
                raise ValueError(f"{place}: the last document has no query")

    def _question(self, document: Sequence[str], query: str, answer: str, place: str) -> Question | None:
        if query.count(BLANK) != 1:
            raise ValueError(f"{place}: the query must hold {BLANK} once")
        if not document:
            raise ValueError(f"{place}: a query without a document before it")
        words = dict.fromkeys(word for sentence in document for word in sentence.split() if _is_word(word))
        if answer not in words:
            if self.absent == "leave_out":
                return None
            raise ValueError(
                f"{place}: the answer {answer!r} is no word of its document; `absent: leave_out` leaves such questions "
                "out"
            )
        before, after = query.split(BLANK)
        return Question(
            texts=(_joined(" ".join([*document, before])), _joined(after)),
            candidates=tuple(words),
            answer=index_of(tuple(words), answer, place),
            place=place,
        )


def _is_word(word: str) -> bool:
    return any(character.isalnum() for character in word)


def _joined(words: str) -> str:
    """北京 大学 New York -> 北京大学 New York."""
    return BETWEEN_WORDS.sub("", words)
