"""Files of words and names, in every format users have them: lines in, one list of entries out.

    txt        New York                              the whole line
    tsv        New York<TAB>LOC<TAB>120              type, count, or type and count; both may be missing
    userdict   云计算 5 nz                            jieba's user dictionary: word, frequency, part of speech
               (data_prep/word_lists/user_words.py)
    patterns   {"label": "LOC", "pattern": "Rome"}   spaCy's EntityRuler, one JSON object a line
               (data_prep/word_lists/ruler_patterns.py)
    mined      云计算<TAB>0.731<TAB>42<TAB>...          what `kmask lexicon mine` writes under a comment `# surface
               score count ...`

    load_entries(["names.tsv"])  ->  Entries(surfaces=["New York"], types=["LOC"], malformed=[], left_out={})

Lines end in \\n, \\r\\n or \\r; a byte order mark, empty lines and lines that begin with ``#`` are passed over.
``auto`` takes a file for patterns or mined by its head, for userdict only when every line ends in a number and a part
of speech of jieba's, and else reads each line as txt or tsv (has it a tab?). Where every line ends in a number and not
all are tagged (`长征 5`: a word and how often, or a rocket?) it asks.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from data_prep.cleaning.text_rules import TextRules
from data_prep.inputs.streams import COMPRESSED
from data_prep.inputs.text_lines import lines_of, refusal
from data_prep.word_lists.ruler_patterns import is_pattern, pattern_entries
from data_prep.word_lists.user_words import JIEBA_TAGS, TAG_TYPES, UserWord, UserWords, parse_user_word

FORMATS = ("auto", "txt", "tsv", "userdict", "patterns", "mined")
LONGEST_TYPE, LONGEST_SURFACE = 32, 1000
PROBED_LINES, FEWEST_TO_ASK = 1000, 3
"""How many entries `auto` looks at, and from how many lines `word number` it asks what they are."""

NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
SCORE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|inf)|nan")
MINED_HEADER = re.compile(r"#\s*surface\s+score\b")
NUMBERED = re.compile(r"\S[^\t]*? [0-9]+(?: ([a-z]+))?")


class Named(NamedTuple):
    """One surface that a line names."""

    surface: str
    type: str = ""
    """Empty when the line names none."""
    seen: float | None = None
    """How often its list has seen it; None when the line does not say."""


Parser = Callable[[str], Sequence[Named]]
"""A line -> what it names; ValueError says what is wrong with it."""


REMEDY = "Write `surface` or `surface<TAB>TYPE` on each line, or set `on_malformed: skip` to leave such lines out."
UNCOUNTED = "and no line says how often its entry was seen"


class Entries(NamedTuple):
    """A lexicon: distinct surfaces in the order of the files, each with its type."""

    surfaces: list[str]
    types: list[str]
    malformed: list[str]
    """``file:line: what is wrong`` for each line left out under ``on_malformed: skip``."""
    left_out: dict[str, int]
    """How many well-formed entries were not taken, by reason."""


def load_entries(
    paths: Sequence[str],
    *,
    min_characters: int = 2,
    min_frequency: float = 0,
    default_type: str = "",
    on_malformed: str = "refuse",
    format: str = "auto",
) -> Entries:
    """The entries of all files, surfaces cleaned like documents. The first line that lists a surface decides its type.

    A line with a count below ``min_frequency`` is left out; one without a count stays.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: malformed lines under ``on_malformed: refuse``, no entry at all, a ``min_frequency`` over files
            without a single count, or a file whose format cannot be told safely.
    """
    if format not in FORMATS:
        raise ValueError(f"format: {format!r} is not one of {', '.join(FORMATS)}")
    entries: dict[str, str] = {}
    malformed: list[str] = []
    left_out: Counter[str] = Counter()
    counted = False
    for path in paths:
        for surface, named, seen in _surfaces(path, _parser(path, format), malformed):
            kind = sys.intern(named or default_type)
            counted = counted or seen is not None
            if len(surface) < min_characters:
                left_out[f"shorter than {min_characters} characters"] += 1
            elif seen is not None and seen < min_frequency:
                left_out[f"seen less than {min_frequency:g} times"] += 1
            elif surface not in entries:
                entries[surface] = kind
            else:
                left_out["listed before" if entries[surface] == kind else "listed before with another type"] += 1
    if malformed and on_malformed == "refuse":
        raise refusal("lexicon", malformed, REMEDY)
    names = ", ".join(paths)
    if min_frequency and entries and not counted:
        raise ValueError(f"lexicon {names}: min_frequency is {min_frequency:g}, {UNCOUNTED}")
    if not entries:
        often = f" seen {min_frequency:g} times or more" if min_frequency else ""
        raise ValueError(f"lexicon {names}: no entry of {min_characters} characters or more{often}")
    return Entries(list(entries), list(entries.values()), malformed, dict(sorted(left_out.items())))


def lexicon_words(paths: Sequence[str], alphabet: str) -> UserWords:
    """The entries of lexicons as words for a segmenter that builds words from ``alphabet``, each with a frequency that
    keeps it whole.

    Malformed lines and entries the segmenter cannot produce are listed as unreachable.

    Raises:
        FileNotFoundError, ValueError: like ``load_entries``.
    """
    if not paths:
        return UserWords([], [])
    reachable = re.compile(f"[{alphabet}]+")
    entries = load_entries(paths, on_malformed="skip")
    words = [UserWord(surface, None, "") for surface in entries.surfaces if reachable.fullmatch(surface)]
    return UserWords(
        words, [*entries.malformed, *(surface for surface in entries.surfaces if not reachable.fullmatch(surface))]
    )


def _surfaces(path: str, parse: Parser, malformed: list[str]) -> Iterator[Named]:
    """What the lines of a file name, surfaces cleaned; what cannot be read is added to ``malformed``."""
    clean = TextRules().text
    for number, line in lines_of(path, malformed, what="lexicon"):
        try:
            found = parse(line)
        except ValueError as error:
            malformed.append(f"{path}:{number}: {error}")
            continue
        for surface, kind, seen in found:
            # What prints, is composed and has no double space is clean already: nearly all entries, and several times
            # as fast.
            if not surface.isprintable() or "  " in surface or not unicodedata.is_normalized("NFC", surface):
                surface = clean(surface)
            if "\n" in surface:
                malformed.append(f"{path}:{number}: a line break inside the entry")
            elif len(surface) > LONGEST_SURFACE:
                malformed.append(
                    f"{path}:{number}: an entry of {len(surface)} characters; at most {LONGEST_SURFACE} are taken for "
                    "a word or name"
                )
            else:
                yield Named(surface, kind, seen)


def _parser(path: str, format: str) -> Parser:
    """How the lines of ``path`` are read."""
    parsers: dict[str, Parser] = {
        "txt": _txt,
        "tsv": _tsv,
        "userdict": _userdict,
        "patterns": _patterns,
        "mined": _mined,
    }
    return parsers[format if format != "auto" else _guess(path)]


def _guess(path: str) -> str:
    """The format of a file, by its name and its first lines.

    Raises:
        ValueError: it could be a dictionary with frequencies as well as a list of names that end in a number.
    """
    name = path.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    head = [line for _, line in islice(lines_of(path, [], what="lexicon", comments=True), PROBED_LINES)]
    lines = [line.strip() for line in head if not line.startswith("#")]
    if any(MINED_HEADER.match(line) for line in head):
        return "mined"
    if name.endswith(".jsonl") or (lines and is_pattern(lines[0])):
        return "patterns"
    matches = [NUMBERED.fullmatch(line) for line in lines]
    if lines and all(match and match[1] in JIEBA_TAGS for match in matches):
        return "userdict"
    if len(lines) >= FEWEST_TO_ASK and all(matches):
        raise ValueError(
            f"lexicon {path}: every line ends in a number, for example {lines[0][:60]!r}. "
            "Set `format: userdict` if these are frequencies, or `format: txt` if they belong to the names."
        )
    return "tsv"


def _txt(line: str) -> Sequence[Named]:
    if "\t" in line.strip():
        raise ValueError(f"{line[:60]!r} has a tab; with `format: txt` a line is one surface")
    return (Named(line.strip()),)


def _patterns(line: str) -> Sequence[Named]:
    return [Named(surface, kind) for surface, kind in pattern_entries(line)]


def _tsv(line: str) -> Sequence[Named]:
    line = line.rstrip()  # tabs at the end, as spreadsheets write them, say nothing
    if "\t" not in line:
        return (Named(line.strip()),)
    fields = [field.strip() for field in line.split("\t")]
    if not all(fields) or len(fields) > 3 or (len(fields) == 3 and not NUMBER.fullmatch(fields[2])):
        raise ValueError(f"{line[:60]!r} has {len(fields)} columns, not surface, type, frequency")
    counted = len(fields) == 3 or NUMBER.fullmatch(fields[1]) is not None
    kind = "" if counted and len(fields) == 2 else fields[1]
    if len(kind) > LONGEST_TYPE or kind[:1].isdigit() or any(map(str.isspace, kind)):
        raise ValueError(f"{kind[:40]!r} is neither a type nor a frequency")
    return (Named(fields[0], kind, float(fields[-1]) if counted else None),)


def _userdict(line: str) -> Sequence[Named]:
    word = parse_user_word(line)
    return (Named(word.word, TAG_TYPES.get(word.tag, word.tag if word.tag.isupper() else ""), word.frequency),)


def _mined(line: str) -> Sequence[Named]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) < 3 or not fields[0] or not SCORE.fullmatch(fields[1]) or not fields[2].isdecimal():
        raise ValueError(f"{line[:60]!r} is not surface, score, count, separated by tabs")
    return (Named(fields[0], "", float(fields[2])),)
