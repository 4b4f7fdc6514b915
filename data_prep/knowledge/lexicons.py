"""Files of words and names, in every format users have them: lines in, one list of entries out.

    txt        New York                              the whole line
    tsv        New York<TAB>LOC<TAB>120              type, frequency, or type and frequency; both may be missing
    userdict   云计算 5 nz                            jieba's user dictionary: word, frequency, part of speech (data_prep/knowledge/user_words.py)
    patterns   {"label": "LOC", "pattern": "Rome"}   spaCy's EntityRuler, one JSON object a line (data_prep/knowledge/ruler_patterns.py)
    mined      云计算<TAB>0.731<TAB>42<TAB>...          what `kmask lexicon mine` writes under a comment `# surface score count ...`

    load_entries(["names.tsv"])  ->  Entries(surfaces=["New York"], types=["LOC"], malformed=[], left_out={})

Lines end in \\n, \\r\\n or \\r; a byte order mark, empty lines and lines that begin with ``#`` are passed over. ``auto`` takes a file for
patterns or mined by its head, for userdict only when every line ends in a number and a part of speech of jieba's, and else reads each
line as txt or tsv (has it a tab?). Where every line ends in a number and not all are tagged (`长征 5`: a word and how often, or a
rocket?) it asks.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from data_prep.cleaning.normalising import Cleaning
from data_prep.inputs.streams import COMPRESSED
from data_prep.inputs.text_lines import lines_of, refusal
from data_prep.knowledge.ruler_patterns import is_pattern, pattern_entries
from data_prep.knowledge.user_words import JIEBA_TAGS, TAG_TYPES, parse_user_word

FORMATS = ("auto", "txt", "tsv", "userdict", "patterns", "mined")
LONGEST_TYPE, LONGEST_SURFACE = 32, 1000
PROBED_LINES, FEWEST_TO_ASK = 1000, 3
"""How many entries `auto` looks at, and from how many lines `word number` it asks what they are."""

NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
SCORE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|inf)|nan")
MINED_HEADER = re.compile(r"#\s*surface\s+score\b")
NUMBERED = re.compile(r"\S[^\t]*? [0-9]+(?: ([a-z]+))?")

Parser = Callable[[str], Sequence[tuple[str, str]]]
"""A line -> surfaces with types (empty when the line names none); ValueError says what is wrong with it."""


class Entries(NamedTuple):
    """A lexicon: distinct surfaces in the order of the files, each with its type."""

    surfaces: list[str]
    types: list[str]
    malformed: list[str]
    """``file:line: what is wrong`` for each line left out under ``on_malformed: skip``."""
    left_out: dict[str, int]
    """How many well-formed entries were not taken, by reason."""


def load_entries(paths: Sequence[str], *, min_characters: int = 2, default_type: str = "", on_malformed: str = "refuse", format: str = "auto") -> Entries:
    """The entries of all files, surfaces cleaned like the text of documents. The first line that lists a surface decides its type.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: malformed lines under ``on_malformed: refuse``, no entry at all, or a file whose format cannot be told safely.
    """
    if format not in FORMATS:
        raise ValueError(f"format: {format!r} is not one of {', '.join(FORMATS)}")
    entries: dict[str, str] = {}
    malformed: list[str] = []
    left_out: Counter[str] = Counter()
    for path in paths:
        for surface, named in _surfaces(path, _parser(path, format), malformed):
            kind = sys.intern(named or default_type)
            if len(surface) < min_characters:
                left_out[f"shorter than {min_characters} characters"] += 1
            elif surface not in entries:
                entries[surface] = kind
            else:
                left_out["listed before" if entries[surface] == kind else "listed before with another type"] += 1
    if malformed and on_malformed == "refuse":
        remedy = "Write `surface` or `surface<TAB>TYPE` on each line, or set `on_malformed: skip` to leave such lines out."
        raise refusal("lexicon", malformed, remedy)
    if not entries:
        raise ValueError(f"lexicon {', '.join(paths)}: no entry of {min_characters} characters or more")
    return Entries(list(entries), list(entries.values()), malformed, dict(sorted(left_out.items())))


def _surfaces(path: str, parse: Parser, malformed: list[str]) -> Iterator[tuple[str, str]]:
    """Cleaned surfaces of a file with the types their lines name; what cannot be read is added to ``malformed``."""
    clean = Cleaning().text
    for number, line in lines_of(path, malformed, what="lexicon"):
        try:
            found = parse(line)
        except ValueError as error:
            malformed.append(f"{path}:{number}: {error}")
            continue
        for surface, kind in found:
            # What prints, is composed and has no double space is clean already: nearly all entries, and several times as fast.
            if not surface.isprintable() or "  " in surface or not unicodedata.is_normalized("NFC", surface):
                surface = clean(surface)
            if "\n" in surface:
                malformed.append(f"{path}:{number}: a line break inside the entry")
            elif len(surface) > LONGEST_SURFACE:
                malformed.append(f"{path}:{number}: an entry of {len(surface)} characters; at most {LONGEST_SURFACE} are taken for a word or name")
            else:
                yield surface, kind


def _parser(path: str, format: str) -> Parser:
    """How the lines of ``path`` are read."""
    parsers: dict[str, Parser] = {"txt": _txt, "tsv": _tsv, "userdict": _userdict, "patterns": pattern_entries, "mined": _mined}
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


def _txt(line: str) -> Sequence[tuple[str, str]]:
    if "\t" in line.strip():
        raise ValueError(f"{line[:60]!r} has a tab; with `format: txt` a line is one surface")
    return ((line.strip(), ""),)


def _tsv(line: str) -> Sequence[tuple[str, str]]:
    line = line.rstrip()  # tabs at the end, as spreadsheets write them, say nothing
    if "\t" not in line:
        return ((line.strip(), ""),)
    fields = [field.strip() for field in line.split("\t")]
    if not all(fields) or len(fields) > 3 or (len(fields) == 3 and not NUMBER.fullmatch(fields[2])):
        raise ValueError(f"{line[:60]!r} has {len(fields)} columns, not surface, type, frequency")
    kind = "" if len(fields) == 2 and NUMBER.fullmatch(fields[1]) else fields[1]
    if len(kind) > LONGEST_TYPE or kind[:1].isdigit() or any(map(str.isspace, kind)):
        raise ValueError(f"{kind[:40]!r} is neither a type nor a frequency")
    return ((fields[0], kind),)


def _userdict(line: str) -> Sequence[tuple[str, str]]:
    word = parse_user_word(line)
    return ((word.word, TAG_TYPES.get(word.tag, word.tag if word.tag.isupper() else "")),)


def _mined(line: str) -> Sequence[tuple[str, str]]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) < 3 or not fields[0] or not SCORE.fullmatch(fields[1]) or not fields[2].isdecimal():
        raise ValueError(f"{line[:60]!r} is not surface, score, count, separated by tabs")
    return ((fields[0], ""),)
