"""Sample passages: a few sentences of a few documents, the same ones however the corpus is divided.

A document is a sample when the hash of its id is among the smallest of its language; the hash also chooses where the
passage begins.

    Annotated, hash  ->  {"id", "title", "source", "language", "text", "units": {level: [[start, end, type], ...]}}
                         (characters of "text")
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
    document, sentences_S2 = annotated.document, annotated.sentences_S2
    first = combine(key, 0) % max(1, len(sentences_S2))
    start = int(sentences_S2[first, 0]) if len(sentences_S2) else 0
    after = int(np.searchsorted(sentences_S2[:, 1], start + PASSAGE, "right"))
    end = int(sentences_S2[after - 1, 1]) if after > first else min(start + PASSAGE, len(document.text))
    units = {}
    for level, found in annotated.units.items():
        inside = range(int(np.searchsorted(found.start_U, start)), int(np.searchsorted(found.end_U, end, "right")))
        units[level] = [
            [int(found.start_U[u]) - start, int(found.end_U[u]) - start, types[found.label_U[u]]] for u in inside
        ]
    text = document.text[start:end]
    named = {
        "id": document.id,
        "title": document.title,
        "source": document.source,
        "language": document.language,
        "text": text,
    }
    return {**{name: value.encode("utf-8", "replace").decode() for name, value in named.items()}, "units": units}


def smallest(samples: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The samples with the smallest keys of each language, in order."""
    kept: dict[str, list[dict[str, Any]]] = {}
    for sample in sorted(samples, key=lambda item: (item["key"], item["source"], item["text"])):
        if len(found := kept.setdefault(sample["language"], [])) < SAMPLES:
            found.append(sample)
    return [sample for _, found in sorted(kept.items()) for sample in found]
