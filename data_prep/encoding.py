"""Annotated -> Encoded: character spans become token spans, by the tokenizer's offsets and nothing else.

    text   北京大学 opened      tokens  北 京 大 学 open ##ed      offsets (0,1)(1,2)(2,3)(3,4)(5,9)(9,11)
    entity [0, 4)   ->  tokens [0, 4)          word [5, 11)  ->  tokens [4, 6)

A unit that no token boundary fits (it begins or ends inside a token) is dropped and counted; none is ever invented.

Shape legend: T tokens of the document, S sentences, P paragraphs, U units of one level.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.documents import Annotated, Label

MAX_UNIT_TOKENS = 65535
FLAG_CAPITAL = 1
"""The token's first character is an upper-case letter in the raw text (known even when the vocabulary is uncased)."""


@dataclass(frozen=True, slots=True)
class TokenUnits:
    """Units of one level as token ranges ``[start, start + length)``, sorted and disjoint."""

    start_U: npt.NDArray[np.uint32]
    length_U: npt.NDArray[np.uint16]
    label_U: npt.NDArray[np.uint8]
    """Index into the label table of the manifest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """A whole document as tokens, without special tokens."""

    id: str
    language: str
    source: str
    title: str
    token_ids_T: npt.NDArray[np.int32]
    flags_T: npt.NDArray[np.uint8]
    sentence_ends_S: npt.NDArray[np.uint32]
    """Index one past the last token of each sentence; sentences without tokens are left out."""
    paragraph_ends_P: npt.NDArray[np.uint32]
    """Index one past the last token of each paragraph."""
    units: Mapping[str, TokenUnits]
    dropped: Mapping[str, int]
    """Units that fit no token boundary, by level."""


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """A tokenizer folder (see vocabulary.py) as data_prep uses it. Raises ValueError when the folder is not usable."""

    folder: Path

    @cached_property
    def _backend(self) -> Any:
        from tokenizers import Tokenizer as Backend

        file = self.folder / "tokenizer.json"
        if not file.is_file():
            raise ValueError(f"{self.folder} holds no tokenizer.json. Give a tokenizer folder made by `kmask prepare` or by transformers.")
        backend = Backend.from_file(str(file))
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True  # a "[MASK]" spelled out in the text is text
        return backend

    @cached_property
    def tokens(self) -> list[str]:
        """All tokens, by id; unused ids (gaps) are empty strings."""
        vocabulary: dict[str, int] = self._backend.get_vocab(with_added_tokens=True)
        tokens = [""] * (max(vocabulary.values()) + 1)
        for token, index in vocabulary.items():
            tokens[index] = token
        return tokens

    @cached_property
    def special_ids(self) -> dict[str, int]:
        """Ids of [PAD], [UNK], [CLS], [SEP] and [MASK], under those names.

        Raises:
            ValueError: one is missing from the vocabulary.
        """
        vocabulary = self._backend.get_vocab(with_added_tokens=True)
        names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        missing = [name for name in names if name not in vocabulary]
        if missing:
            raise ValueError(f"tokenizer {self.folder}: {', '.join(missing)} missing from the vocabulary; a BERT-style vocabulary is needed")
        return {name: vocabulary[name] for name in names}

    @cached_property
    def vocabulary_sha256(self) -> str:
        """Hash of the token list."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()

    @cached_property
    def rules_sha256(self) -> str:
        """Hash of everything that cuts text apart from the vocabulary: normaliser, pre-tokeniser, model settings."""
        value = json.loads(self._backend.to_str())
        model = {key: item for key, item in value["model"].items() if key not in ("vocab", "merges")}
        rules = [value.get("normalizer"), value.get("pre_tokenizer"), model]
        return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()

    def encode(self, texts: Sequence[str]) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
        """For each text its ids int32[T] and character offsets int32[T, 2], without special tokens."""
        encodings = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [(np.array(e.ids, np.int32), np.array(e.offsets, np.int32).reshape(-1, 2)) for e in encodings]

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}


def encode(annotated: Annotated, tokenizer: Tokenizer, labels: Mapping[Label, int]) -> Encoded:
    """Turn the character spans of ``annotated`` into token spans. ``labels`` numbers every label that can occur."""
    document = annotated.document
    ((ids_T, offsets_T2),) = tokenizer.encode([document.text])
    starts_T, ends_T = np.ascontiguousarray(offsets_T2[:, 0]), np.ascontiguousarray(offsets_T2[:, 1])
    ends = np.searchsorted(starts_T, [sentence.end for sentence in annotated.sentences], "left").astype(np.uint32)
    paragraphs = ends[np.array(annotated.paragraph_ends, np.int64) - 1] if annotated.paragraph_ends else ends
    dropped: Counter[str] = Counter()
    return Encoded(
        id=document.id,
        language=document.language,
        source=document.source,
        title=document.title,
        token_ids_T=ids_T,
        flags_T=capital_flags(document.text, starts_T),
        sentence_ends_S=_distinct(ends),
        paragraph_ends_P=_distinct(paragraphs),
        units={level: _align(units, level, starts_T, ends_T, labels, dropped) for level, units in annotated.units.items()},
        dropped=dropped,
    )


def _distinct(ends: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    distinct = np.unique(ends)
    return distinct[distinct > 0]


def _align(
    units: Sequence[tuple[int, int, Label]],
    level: str,
    starts_T: npt.NDArray[np.int32],
    ends_T: npt.NDArray[np.int32],
    labels: Mapping[Label, int],
    dropped: Counter[str],
) -> TokenUnits:
    """Token ranges of ``units``: first token that begins at or after the start, last token that ends at or before the end."""
    start_U = np.array([unit[0] for unit in units], np.int64)
    end_U = np.array([unit[1] for unit in units], np.int64)
    label_U = np.array([labels[unit[2]] for unit in units], np.uint8)
    first_U = np.searchsorted(starts_T, start_U, "left")
    last_U = np.searchsorted(ends_T, end_U, "right")
    count = len(starts_T)
    length_U = last_U - first_U
    # A neighbour that reaches into the unit means that an edge falls inside a token.
    left_ok = (first_U == 0) | (ends_T[np.maximum(first_U - 1, 0)] <= start_U) if count else np.zeros(len(units), bool)
    right_ok = (last_U == count) | (starts_T[np.minimum(last_U, count - 1)] >= end_U) if count else left_ok
    fits = left_ok & right_ok & (length_U > 0) & (length_U <= MAX_UNIT_TOKENS)
    misfits = int(len(units) - fits.sum())
    if misfits:
        dropped[f"{level} fits no token boundary"] += misfits
    keep = fits & (length_U > 1) if level == "word" else fits
    return TokenUnits(first_U[keep].astype(np.uint32), length_U[keep].astype(np.uint16), label_U[keep])


def capital_flags(text: str, starts_T: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """FLAG_CAPITAL for each token whose first character is upper case in the raw text."""
    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    first_T = characters[starts_T] if len(starts_T) else characters[:0]
    ascii_T, full_width_T = (first_T >= 65) & (first_T <= 90), (first_T >= 0xFF21) & (first_T <= 0xFF3A)
    flags = ((ascii_T | full_width_T) * FLAG_CAPITAL).astype(np.uint8)
    for index in np.flatnonzero((first_T >= 0xC0) & (first_T < 0x2E80)):
        if chr(int(first_T[index])).isupper():
            flags[index] = FLAG_CAPITAL
    return flags
