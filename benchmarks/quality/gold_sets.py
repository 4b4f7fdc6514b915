"""Readers of the gold sets that the quality benchmark measures on (not part of the repository; expected in
../shared/data).

    words("cws/wtb_dev.conll.gz")              ->  [["不论", "你", "是", ...], ...]            sentences of words
    entities("ner/en/wnut17dev.conll.gz")      ->  [Marked("Stabilized approach or ...", ((32, 52, "LOC"),)), ...]
    chunked("chunk/conll2000_train.txt.gz")    ->  [Chunked(words, tags, ((1, 3, "NP"), ...)), ...]    spans count words

Types of entities are brought to PER, LOC, ORG and MISC by ``TYPES``; what stands for "" there is no named entity and
left out.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

TYPES = {
    **{"PER": "PER", "LOC": "LOC", "ORG": "ORG"},  # People's Daily
    **{"PER.NAM": "PER", "LOC.NAM": "LOC", "GPE.NAM": "LOC", "ORG.NAM": "ORG"},  # Weibo: names
    **{"PER.NOM": "", "LOC.NOM": "", "GPE.NOM": "", "ORG.NOM": ""},  # Weibo: common nouns
    **{
        "name": "PER",
        "address": "LOC",
        "scene": "LOC",
        "company": "ORG",
        "government": "ORG",
        "organization": "ORG",
    },  # CLUENER
    **{"game": "MISC", "book": "MISC", "movie": "MISC", "position": ""},
    **{
        "person": "PER",
        "location": "LOC",
        "corporation": "ORG",
        "group": "ORG",
        "product": "MISC",
        "creative-work": "MISC",
    },  # WNUT 2017
    **{
        "place": "LOC",
        "object": "MISC",
        "event": "MISC",
        "abstract": "MISC",
        "substance": "MISC",
        "animal": "MISC",
        "plant": "MISC",
        "time": "",
    },  # GUM
}


class Marked(NamedTuple):
    """A sentence and its named entities, disjoint and in order: start and end in characters, type."""

    text: str
    entities: tuple[tuple[int, int, str], ...]


class Chunked(NamedTuple):
    """A sentence as words with Penn's tags, and its chunks: first word, end word, type."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    chunks: tuple[tuple[int, int, str], ...]


def lines(path: Path) -> Iterator[str]:
    """Lines without their ends; only ``\\n`` ends a line."""
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="\n") as stream:
        for line in stream:
            yield line.rstrip("\r\n")


def blocks(path: Path, separator: str | None) -> Iterator[list[list[str]]]:
    """Sentences of a file with one token a line and an empty line after each sentence: the columns of each token."""
    block: list[list[str]] = []
    for line in [*lines(path), ""]:
        if line.strip():
            block.append(line.split(separator))
        elif block:
            yield block
            block = []


def words(path: Path) -> list[list[str]]:
    """The words of each sentence of a segmented file: CoNLL-X, CoNLL-U, or words separated by spaces."""
    if ".conll" not in path.name:
        return [line.split() for line in lines(path) if line.strip()]
    return [[row[1] for row in block if row[0].isdecimal()] for block in blocks(path, "\t")]


def entities(path: Path) -> list[Marked]:
    """The sentences of a set of named entities with their entities."""
    if path.name.endswith(".json.gz"):
        return list(_cluener(path))
    if path.name.endswith(".conllu.gz"):
        return [_gum(block) for block in blocks(path, "\t")]
    weibo, spaced = path.name.startswith("weibo"), "/en/" in path.as_posix()
    found = []
    for block in blocks(path, None):
        tokens = [row[0][0] if weibo else row[0] for row in block]
        found.append(_marked(tokens, [row[1] for row in block], " " if spaced else ""))
    return found


def spans_of(labels: Sequence[str]) -> list[tuple[int, int, str]]:
    """BIO labels -> first token, end token, type."""
    spans: list[tuple[int, int, str]] = []
    for place, label in enumerate(labels):
        mark, _, kind = label.partition("-")
        if mark == "I" and spans and spans[-1][1:] == (place, kind):
            spans[-1] = (spans[-1][0], place + 1, kind)
        elif mark in "BI":
            spans.append((place, place + 1, kind))
    return spans


def _marked(tokens: Sequence[str], labels: Sequence[str], between: str) -> Marked:
    starts, text = [], ""
    for token in tokens:
        text += between if text else ""
        starts.append(len(text))
        text += token
    spans = [
        (starts[first], starts[end - 1] + len(tokens[end - 1]), TYPES[kind]) for first, end, kind in spans_of(labels)
    ]
    return Marked(text, tuple(span for span in spans if span[2]))


def _cluener(path: Path) -> Iterator[Marked]:
    decoder, text, place = json.JSONDecoder(), "\n".join(lines(path)), 0
    while place < len(text):
        value, place = decoder.raw_decode(text, place)
        while place < len(text) and text[place].isspace():
            place += 1
        spans = [
            (start, last + 1, TYPES[kind])
            for kind, mentions in value["label"].items()
            for places in mentions.values()
            for start, last in places
            if TYPES[kind]
        ]
        yield Marked(value["text"], _disjoint(spans))


def _disjoint(spans: Sequence[tuple[int, int, str]]) -> tuple[tuple[int, int, str], ...]:
    """The longest first; what overlaps one that is kept is left out."""
    kept: list[tuple[int, int, str]] = []
    for span in sorted(spans, key=lambda span: (span[0] - span[1], span)):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
    return tuple(sorted(kept))


JOINERS = {"of", "the", "and", "&", "-", "'s", "de", "."}
OPENED_OR_CLOSED = re.compile(r"\((\d+)-([a-z]+)-|(\d+)\)|\)")


def _gum(block: list[list[str]]) -> Marked:
    """Mentions that are names: all words proper nouns or joining words, proper nouns at both ends (a leading `the`
    aside)."""
    text = next(row[0] for row in block if row[0].startswith("# text = ")).removeprefix("# text = ")
    tokens, position = [], 0
    for row in (row for row in block if row[0].isdecimal()):
        start = text.index(row[1], position)
        position = start + len(row[1])
        tokens.append((start, position, row[3] == "PROPN", row[1], row[9]))
    opened: list[tuple[str, str, int]] = []
    spans = []
    for number, token in enumerate(tokens):
        note = next((item for item in token[4].split("|") if item.startswith("Entity=")), "")
        for match in OPENED_OR_CLOSED.finditer(note):
            if match[1]:
                opened.append((match[1], match[2], number))
                continue
            chosen = next((item for item in reversed(opened) if match[3] in (None, item[0])), None)
            if chosen is None:
                continue  # a mention that goes on from another sentence
            opened.remove(chosen)
            first = chosen[2] + (tokens[chosen[2]][3].lower() == "the")
            inside = tokens[first : number + 1]
            named = (
                inside
                and inside[0][2]
                and inside[-1][2]
                and all(proper or word.lower() in JOINERS for _, _, proper, word, _ in inside)
            )
            if named and TYPES[chosen[1]]:
                spans.append((inside[0][0], inside[-1][1], TYPES[chosen[1]]))
    return Marked(text, _disjoint(spans))


def chunked(path: Path) -> list[Chunked]:
    """The sentences of the CoNLL-2000 chunking task."""
    found = []
    for block in blocks(path, None):
        columns = list(zip(*block, strict=True))
        found.append(Chunked(columns[0], columns[1], tuple(spans_of(columns[2]))))
    return found


TAGGER_SHARE = 0.8


def divided(sentences: Sequence[Chunked]) -> tuple[Sequence[Chunked], Sequence[Chunked]]:
    """What the tagger is trained on, and what chunks are measured on."""
    first = int(TAGGER_SHARE * len(sentences))
    return sentences[:first], sentences[first:]


NO_SPACE_BEFORE = {*".,;:?!%)]}'", "''", "n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "-RRB-", "-RCB-"}
NO_SPACE_AFTER = {*"([{$#", "``", "-LRB-", "-LCB-"}
WRITTEN = {"``": '"', "''": '"', "-LRB-": "(", "-RRB-": ")", "-LCB-": "{", "-RCB-": "}"}


def written(tokens: Sequence[str]) -> tuple[list[str], list[bool]]:
    """Penn's tokens as they stand in print: the words, and whether a space follows each. ``do n't ''`` ->
    ``don't"``."""
    after = [*tokens[1:], ""]
    spaces = [
        token not in NO_SPACE_AFTER and follower not in NO_SPACE_BEFORE
        for token, follower in zip(tokens, after, strict=True)
    ]
    return [WRITTEN.get(token, token) for token in tokens], [*spaces[:-1], False]
