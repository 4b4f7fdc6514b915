"""Words that users add to a segmenter's dictionary: jieba's user dictionary, one word a line, or columns separated by
tabs.

    云计算 5 n            word, frequency, part of speech; the last two may be missing
    云计算<TAB>5<TAB>n    the same with tabs
    云计算

    load_user_words(["mine.txt"], alphabet)  ->  UserWords(words=[UserWord("云计算", 5, "n")], unreachable=[])

The first line that lists a word counts, and words are handed on in the order of the lines, so an engine that guesses
frequencies guesses the same ones every time. A line that is no word stops the run with file and line. A word outside
the engine's alphabet is a fact about the engine (jieba cuts ``卡尔·马克思`` at the dot whatever its dictionary says):
it is listed as unreachable and belongs into a lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from data_prep.inputs.text_lines import lines_of, refusal

_TAGS = (
    "a ad ag an b c d df dg e eng f g h i j k l m mg mq n ng nr nrfg nrt ns nt nz o p q r rg rr rz s t tg u ud ug uj "
    "ul uv uz v vd vg vi vn vq x y z zg"
)
JIEBA_TAGS = frozenset(_TAGS.split())
"""Parts of speech that jieba's own dictionary uses."""
TAG_TYPES = {"nr": "PER", "nrt": "PER", "nrfg": "PER", "ns": "LOC", "nt": "ORG", "nz": "MISC"}
"""Types of entities for the parts of speech that are names: persons, places, organisations, other names."""
MOST_FREQUENT = 1 << 40

COUNTED = re.compile(r"(\S(?:.*?\S)?) +([0-9]+)(?: +([A-Za-z]+))?")
TAGGED = re.compile(r"(\S+) +([a-z]+)")


class UserWord(NamedTuple):
    """One line of a user dictionary."""

    word: str
    frequency: int | None
    """None lets the engine choose one that keeps the word whole."""
    tag: str
    """Part of speech, empty when the line names none."""


class UserWords(NamedTuple):
    """Dictionaries, read."""

    words: list[UserWord]
    unreachable: list[str]
    """``file:line: word`` for words that the engine cannot produce."""

    def with_others(self, others: UserWords) -> UserWords:
        """These words, and those of ``others`` that are not among them."""
        own = {word.word for word in self.words}
        return UserWords(
            [*self.words, *(word for word in others.words if word.word not in own)],
            [*self.unreachable, *others.unreachable],
        )


def parse_user_word(line: str) -> UserWord:
    """One line of a user dictionary. Latin words keep their blanks (`new york`) unless a number follows them.

    Raises:
        ValueError: an impossible frequency.
    """
    line = line.strip()
    if "\t" in line:
        word, *others = [field.strip() for field in line.split("\t")]
        numbers = [field for field in others if field.isdecimal()]
        tags = [field for field in others if not field.isdecimal()]
        if (
            len(numbers) > 1
            or len(tags) > 1
            or len(others) > 2
            or any(not tag or any(map(str.isspace, tag)) for tag in tags)
        ):
            raise ValueError(f"{line[:60]!r} is not word, frequency, tag")
        return UserWord(word, _frequency(numbers[0]) if numbers else None, tags[0] if tags else "")
    if match := COUNTED.fullmatch(line):
        return UserWord(match[1], _frequency(match[2]), match[3] or "")
    if (match := TAGGED.fullmatch(line)) and match[2] in JIEBA_TAGS and not match[1].isascii():
        return UserWord(match[1], None, match[2])
    return UserWord(line, None, "")


def _frequency(digits: str) -> int:
    if len(digits) > len(str(MOST_FREQUENT)) or not 0 < int(digits) <= MOST_FREQUENT:
        raise ValueError(f"frequency {digits[:20]} must lie between 1 and {MOST_FREQUENT}")
    return int(digits)


def load_user_words(paths: Sequence[str], alphabet: str) -> UserWords:
    """The words of all dictionaries in order.

    Args:
        alphabet: inside of a regular expression's brackets: the characters of which the engine can build words.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: lines that are no words of a dictionary; names each file and line.
    """
    reachable = re.compile(f"[{alphabet}]+")
    words: dict[str, UserWord] = {}
    malformed: list[str] = []
    unreachable: list[str] = []
    for path in paths:
        for number, line in lines_of(path, malformed, what="user dictionary"):
            try:
                entry = parse_user_word(line)
            except ValueError as error:
                malformed.append(f"{path}:{number}: {error}")
                continue
            if any(map(str.isspace, entry.word)):
                malformed.append(
                    f"{path}:{number}: {line.strip()[:60]!r} is not `word`, `word frequency` or `word frequency tag`"
                )
            elif not reachable.fullmatch(entry.word):
                unreachable.append(f"{path}:{number}: {entry.word}")
            else:
                words.setdefault(entry.word, entry)
    if malformed:
        raise refusal(
            "user dictionary",
            malformed,
            "Names of several words, and names with a type, belong into a lexicon (annotators, kind: lexicon).",
        )
    return UserWords(list(words.values()), unreachable)
