"""Text -> sentences and paragraphs, for Chinese, English and both mixed in one line.

    "他说：“走吧。”然后出门。It rained. Dr. Li stayed."  ->  他说：“走吧。” | 然后出门。 | It rained. | Dr. Li stayed.

A sentence ends after 。！？ or !? with the closing quotes and brackets that follow them, after a full stop that is followed by a
space and a capital letter, quote or Han character and does not belong to an abbreviation or an initial, and at a line break.
Sentences cover every character except white space between them. A line break ends the paragraph too.
"""

from __future__ import annotations

import re

import numpy as np

from data_prep.documents import Spans

ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "rev",
        "hon",
        "st",
        "sr",
        "jr",
        "gen",
        "col",
        "capt",
        "lt",
        "sgt",
        "maj",
        "adm",
        "gov",
        "sen",
        "rep",
        "pres",
        "vs",
        "etc",
        "inc",
        "ltd",
        "co",
        "corp",
        "vol",
        "fig",
        "figs",
        "ed",
        "eds",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "mt",
        "ft",
        "dept",
        "univ",
        "approx",
        "cf",
        "al",
        "e.g",
        "i.e",
        "u.s",
        "u.k",
        "a.m",
        "p.m",
        "ca",
    ]
)
CLOSERS = "\"'”’」』）)\\]】》〉"
END = re.compile(f"(?:[。！？]|[!?]+(?=[{CLOSERS}\\s]|[\u3400-\u9fff]|$)|\\.(?=[{CLOSERS}]*(?:\\s|$)))[。！？!?.]*[{CLOSERS}]*|\n+")
NEXT_STARTS = re.compile("\\s+[\"'“‘(\\[「『《〈（【]?(?:[A-Z0-9\u00c0-\u00de\u3400-\u9fff]|$)")
NUMBER_NEXT = re.compile("\\s+\\d")
LAST_WORD = re.compile("[\\w.]+$")


def split_sentences(text: str) -> tuple[Spans, list[int]]:
    """Sentence spans int32[S, 2] in order, and the paragraph ends: for each paragraph the index one past its last sentence."""
    sentences: list[tuple[int, int]] = []
    paragraph_ends: list[int] = []
    start = 0
    for match in END.finditer(text):
        breaks_line = text[match.start()] == "\n"
        end = match.start() if breaks_line else match.end()
        if not breaks_line and text[match.start()] == "." and not _full_stop_ends(text, match.start(), match.end()):
            continue
        _append(text, start, end, sentences)
        start = match.end()
        if breaks_line and sentences and (not paragraph_ends or paragraph_ends[-1] != len(sentences)):
            paragraph_ends.append(len(sentences))
    _append(text, start, len(text), sentences)
    if sentences and (not paragraph_ends or paragraph_ends[-1] != len(sentences)):
        paragraph_ends.append(len(sentences))
    return np.array(sentences, np.int32).reshape(-1, 2), paragraph_ends


def _append(text: str, start: int, end: int, sentences: list[tuple[int, int]]) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        sentences.append((start, end))


def _full_stop_ends(text: str, stop: int, end: int) -> bool:
    """Is the full stop at ``stop`` the end of a sentence, and not of an abbreviation or an initial?"""
    if end < len(text) and not NEXT_STARTS.match(text, end):
        return False
    if end - stop > 1:
        return True
    word = LAST_WORD.search(text, max(0, stop - 20), stop)
    if word is None:
        return True
    last = word.group()
    if last.lower() == "no":
        return not NUMBER_NEXT.match(text, end)
    return not (last.lower() in ABBREVIATIONS or (len(last) == 1 and last.isupper() and last != "I"))
