"""ChID (Zheng et al. 2019): idioms that are hidden in passages, each chosen among candidates. Four forms are published:

    one question   {"content": "... #idiom# ...", "candidates": ["画蛇添足", ...], "answer": 2}               (FewCLUE)
    a passage      {"content": "... #idiom# ... #idiom# ...", "groundTruth": ["通力合作", ...],
                    "candidates": [["凭空捏造", ...], ...]}                                                    (ChID)
    passages       {"content": ["... #idiom000378# ...", ...], "candidates": ["百尺竿头", ...]}
                   with the answers in a file of their own: {"#idiom000378#": 0, ...}                          (CLUE)
                   or lines `#idiom000378#,0`                                                           (competition)

Each blank is a question; the other blanks of its passage stay hidden. Answers count from 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pretrain.evaluation.questions import Question, Questions, index_of
from pretrain.evaluation.text_rows import Row, check_files, json_rows, lines

BLANK = re.compile(r"#idiom\d*#")


@dataclass(frozen=True, kw_only=True)
class Chid(Questions):
    """Idioms among candidates, in the forms of ChID, its competition, CLUE and FewCLUE."""

    SOURCE: ClassVar[str] = "github.com/chujiezheng/ChID-Dataset; Zheng et al. 2019, ACL; CLUE and FewCLUE"

    paths: list[str]
    """Files with an object on each line, `.gz` too."""
    answers: list[str] = field(default_factory=list)
    """Files of the answers, where they stand apart (CLUE, competition)."""

    def files(self) -> Sequence[Path]:
        return [*check_files("paths", self.paths), *(check_files("answers", self.answers) if self.answers else [])]

    def read(self) -> Iterator[Question]:
        apart = self._answers()
        for file in check_files("paths", self.paths):
            for row in json_rows(file):
                if isinstance(row.values.get("content"), list):
                    yield from self._passages(row, apart)
                elif "groundTruth" in row.values:
                    yield from _passage(row)
                else:
                    yield _one(row)

    def _answers(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in self.answers:
            for place, line in lines(Path(name)):
                found.update(_answers_of(place, line) if "#idiom" in line else {})
        return found

    def _passages(self, row: Row, apart: Mapping[str, int]) -> Iterator[Question]:
        candidates = tuple(row.texts("candidates"))
        for passage in row.texts("content"):
            for number, name in enumerate(blanks := _blanks(passage, row.place)):
                if name not in apart:
                    where = ", ".join(self.answers) or "none: set `answers` to the file that has them"
                    raise ValueError(f"{row.place}: no answer to {name} (files of answers: {where})")
                if blanks.count(name) > 1:
                    raise ValueError(f"{row.place}: {name} stands twice in a passage")
                texts = tuple(BLANK.split(passage))
                yield Question(texts=texts, candidates=candidates, answer=apart[name], place=row.place, blank=number)


def _answers_of(place: str, line: str) -> dict[str, int]:
    """A whole JSON object, one of its lines `"#idiom1#": 3,`, or `#idiom1#,3`."""
    found = {name: int(number) for name, number in re.findall(r'"?(#idiom\d*#)"?\s*[:,]\s*(\d+)', line)}
    if len(found) != line.count("#idiom"):
        raise ValueError(f"{place}: `#idiom000000#,0` or an object of such names and numbers is needed")
    return found


def _blanks(content: str, place: str) -> list[str]:
    if not (found := BLANK.findall(content)):
        raise ValueError(f"{place}: no blank (#idiom# or #idiom000000#) in {content[:40]!r}")
    return [str(name) for name in found]


def _passage(row: Row) -> Iterator[Question]:
    content, answers, lists = row.text("content"), row.texts("groundTruth"), row.values.get("candidates")
    count = len(_blanks(content, row.place))
    if not isinstance(lists, list) or not len(lists) == len(answers) == count:
        raise ValueError(f"{row.place}: {count} blanks, {len(answers)} answers; `candidates` needs a list for each")
    for number, (answer, candidates) in enumerate(zip(answers, lists, strict=True)):
        texts = Row(row.place, {"candidates": candidates}).texts("candidates")
        yield Question(
            texts=tuple(BLANK.split(content)),
            candidates=tuple(texts),
            answer=index_of(texts, answer, row.place),
            place=row.place,
            blank=number,
        )


def _one(row: Row) -> Question:
    content, candidates, answer = row.text("content"), row.texts("candidates"), row.values.get("answer")
    if len(_blanks(content, row.place)) != 1:
        raise ValueError(f"{row.place}: several blanks, but one list of candidates and no `groundTruth`")
    if not isinstance(answer, int) or isinstance(answer, bool):
        raise ValueError(f"{row.place}: `answer` must be the number of a candidate, found {json.dumps(answer)}")
    return Question(texts=tuple(BLANK.split(content)), candidates=tuple(candidates), answer=answer, place=row.place)
