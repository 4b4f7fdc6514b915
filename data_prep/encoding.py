"""Annotated -> Encoded: character spans become token spans, by the tokenizer's offsets and nothing else.

    text   北京大学 opened      tokens  北 京 大 学 open ##ed      offsets (0,1)(1,2)(2,3)(3,4)(5,9)(9,11)
    entity [0, 4)   ->  tokens [0, 4)          word [5, 11)  ->  tokens [4, 6)

A unit that no token boundary fits (it begins or ends inside a token) is dropped and counted; none is ever invented.

Shape legend: T tokens of the document, S sentences, P paragraphs, G segments (parts of a pair), U units of one level.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.documents import SEGMENT, Annotated, Document
from data_prep.portable import Portable
from data_prep.sentences import character_kinds
from data_prep.wordpiece import Wordpiece

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
    segment_ends_G: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    """Index one past the last token of each part of a pair; empty for documents that are no pairs."""
    label: int = -1
    """The class of a labelled pair; -1 when it has none."""


@dataclass(frozen=True, kw_only=True)
class Tokenizer(Portable):
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

    @cached_property
    def _compiled(self) -> Wordpiece | None:
        return Wordpiece.of(self._backend)

    def encode(self, document: Document) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Ids, start and end characters of the document's tokens (int32[T] each), without special tokens."""
        if self._compiled and (found := self._compiled.encode(document.characters)):
            return found
        encoding = self._backend.encode(document.text, add_special_tokens=False)
        offsets_T2 = np.array(encoding.offsets, np.int32).reshape(-1, 2)
        return np.array(encoding.ids, np.int32), np.ascontiguousarray(offsets_T2[:, 0]), np.ascontiguousarray(offsets_T2[:, 1])


def encode(annotated: Annotated, tokenizer: Tokenizer, classes: Sequence[str] = ()) -> Encoded:
    """Turn the character spans of ``annotated`` into token spans, and the class of a labelled pair into its number among ``classes``."""
    from data_prep import kernels

    document = annotated.document
    ids_T, starts_T, ends_T = tokenizer.encode(document)
    dropped: dict[str, int] = {}
    units: dict[str, TokenUnits] = {}
    for level, found in annotated.units.items():
        # A word of one token is that token: only longer ones are listed.
        first_K, length_K, kept_K, misfits = kernels.align(found.start_U, found.end_U, starts_T, ends_T, 2 if level == "word" else 1, MAX_UNIT_TOKENS)
        units[level] = TokenUnits(first_K, length_K, found.label_U[kept_K])
        if misfits:
            dropped[f"{level} fits no token boundary"] = misfits
    segments = document.given.get(SEGMENT, ())
    sentence_ends_S, paragraph_ends_P = kernels.token_ends(starts_T, annotated.sentences_S2[:, 1], annotated.paragraph_ends_P)
    return Encoded(
        id=document.id,
        language=document.language,
        source=document.source,
        title=document.title,
        token_ids_T=ids_T,
        flags_T=kernels.flags(document.characters, starts_T, character_kinds(), kernels.UPPER, FLAG_CAPITAL),
        sentence_ends_S=sentence_ends_S,
        paragraph_ends_P=paragraph_ends_P,
        units=units,
        dropped=dropped,
        segment_ends_G=np.searchsorted(starts_T, [segment.end for segment in segments], "left").astype(np.uint32),
        label=classes.index(segments[0].type) if segments and segments[0].type else -1,
    )
