"""JSON objects of a text and its labelled spans, in the two ways in which such files are published.

{"text": "叶老桂说", "label": {"name": {"叶老桂": [[0, 2]]}}}     CLUENER: the last character is inside
{"text": "叶老桂说", "label": [[0, 3, "name"]]}                  half-open
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pretrain.evaluation.readers.json_objects import json_objects
from pretrain.evaluation.readers.splits import Example
from pretrain.evaluation.readers.tags import Span


def labelled_texts(path: Path, keys: Mapping[str, str], longest_only: bool) -> Iterator[Example]:
    """Texts with their spans.

    Args:
        keys: those of `text` and `label`.
        longest_only: of spans that overlap keep the longest (of equals the first).

    Raises:
        ValueError: a key is missing, or a span is outside its text or overlaps another one; with file and line.
    """
    for line, item in json_objects(path):
        for name, key in keys.items():
            if key not in item:
                raise ValueError(f"{path}:{line}: no key {key!r} ({name}); it has {', '.join(map(repr, item))}")
        text = item[keys["text"]]
        if not isinstance(text, str):
            raise ValueError(f"{path}:{line}: {keys['text']!r} is {text!r}, not a text")
        try:
            spans = sorted(set(_spans(text, item[keys["label"]])), key=lambda span: span[1:])
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}:{line}: label: {error}") from None
        if longest_only:
            spans = _longest(spans)
        for before, span in itertools.pairwise(spans):
            if span.start < before.end:
                raise ValueError(
                    f"{path}:{line}: label: {tuple(before)} and {tuple(span)} overlap, and one tag a token cannot say "
                    "both; `overlaps: longest` keeps the longest"
                )
        yield Example(f"{path}:{line}", (text,), spans)


def _spans(text: str, label: Any) -> Iterator[Span]:
    """Spans of a label, each checked."""
    if isinstance(label, dict):
        for kind, mentions in label.items():
            for mention, places in mentions.items():
                for start, last in places:
                    if text[start : last + 1] != mention:
                        raise ValueError(f"{mention!r} does not stand at [{start}, {last}] of the text")
                    yield Span(kind, start, last + 1)
        return
    for start, end, kind in label:
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)):
            raise ValueError(f"[{start}, {end}) is no span of a text of {len(text)} characters")
        yield Span(str(kind), start, end)


def _longest(spans: list[Span]) -> list[Span]:
    """Spans without those that overlap a longer one that is kept."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start - one.end, one.start)):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda one: one.start)
