"""Sample passages: a few sentences of a few documents, the same ones however the corpus is divided.

A document is a sample when the hash of its id is among the smallest of its language; the hash also chooses where the passage begins.

    Annotated, hash  ->  {"id", "title", "source", "language", "text", "units": {level: [[start, end, type], ...]}}   (characters of "text")
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from data_prep.documents import Annotated
from masking.keyed import combine

SAMPLES, PASSAGE = 6, 480
"""Sample passages of each language, and their length in characters (at least one sentence, or the beginning of one)."""


def passage(annotated: Annotated, key: int, types: Sequence[str]) -> dict[str, Any]:
    """A few sentences of a document, from one that ``key`` chooses, with the units that lie in them."""
    document, sentences = annotated.document, annotated.sentences_S2.tolist()
    first = combine(key, 0) % max(1, len(sentences))
    start = sentences[first][0] if sentences else 0
    ends = [end for _, end in sentences[first:] if end - start <= PASSAGE]
    end = ends[-1] if ends else min(start + PASSAGE, len(document.text))
    units = {}
    for level, found in annotated.units.items():
        inside = np.flatnonzero((found.start_U >= start) & (found.end_U <= end))
        units[level] = [[int(found.start_U[u]) - start, int(found.end_U[u]) - start, types[found.label_U[u]]] for u in inside]
    text = document.text[start:end]
    named = {"id": document.id, "title": document.title, "source": document.source, "language": document.language, "text": text}
    return {**{name: value.encode("utf-8", "replace").decode() for name, value in named.items()}, "units": units}


def smallest(samples: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The samples with the smallest keys of each language, in order."""
    kept: dict[str, list[dict[str, Any]]] = {}
    for sample in sorted(samples, key=lambda item: (item["key"], item["source"], item["text"])):
        if len(found := kept.setdefault(sample["language"], [])) < SAMPLES:
            found.append(sample)
    return [sample for _, found in sorted(kept.items()) for sample in found]
