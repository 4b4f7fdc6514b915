"""AnnotatedBlock -> EncodedBlock: character spans become token spans, by the tokenizer's offsets and nothing else.

    text   北京大学 opened      tokens  北 京 大 学 open ##ed      offsets (0,1)(1,2)(2,3)(3,4)(5,9)(9,11)
    entity [0, 4)   ->  tokens [0, 4)          word [5, 11)  ->  tokens [4, 6)

A unit that no token boundary fits (it begins or ends inside a token) is dropped and counted; none is ever invented.

Shape legend: D documents, T tokens, S sentences, P paragraphs, G segments (parts of a pair, turns of a dialogue), U
units of one level.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.blocks import AnnotatedBlock, Block, Offsets, offsets_of
from data_prep.byte_level import without_spaces
from data_prep.code_points import code_points
from data_prep.documents import SEGMENT, Annotated, Document
from data_prep.encoded import Encoded, EncodedBlock, TokenUnits
from data_prep.portable import Portable
from data_prep.sentences import character_kinds
from data_prep.wordpiece import Tokens, Wordpiece

MAX_UNIT_TOKENS = 65535
SPECIAL = {"[PAD]": "<pad>", "[UNK]": "<unk>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
"""Special tokens as BERT and as RoBERTa calls them."""
FLAG_CAPITAL = 1
"""The token's first character is an upper-case letter in the raw text (known even when the vocabulary is uncased)."""


@dataclass(frozen=True, kw_only=True)
class Tokenizer(Portable):
    """A tokenizer folder (see vocabulary.py) as data_prep uses it. Raises ValueError when the folder is not usable."""

    folder: Path

    @cached_property
    def _backend(self) -> Any:
        from tokenizers import Tokenizer as Backend

        file = self.folder / "tokenizer.json"
        if not file.is_file():
            raise ValueError(
                f"{self.folder} holds no tokenizer.json. Give a tokenizer folder made by `kmask prepare` or by "
                "transformers."
            )
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
        """Ids of [PAD], [UNK], [CLS], [SEP] and [MASK], under those names; RoBERTa's <pad>, <unk>, <s>, </s> and <mask>
        where a vocabulary has these.

        Raises:
            ValueError: one is missing from the vocabulary.
        """
        vocabulary = self._backend.get_vocab(with_added_tokens=True)
        of_bert = {name: name for name in SPECIAL}
        names = next((names for names in (of_bert, SPECIAL) if vocabulary.keys() >= {*names.values()}), of_bert)
        missing = [name for name in names.values() if name not in vocabulary]
        if missing:
            raise ValueError(
                f"tokenizer {self.folder}: {', '.join(missing)} missing from the vocabulary; a BERT-style vocabulary "
                "is needed"
            )
        return {name: vocabulary[theirs] for name, theirs in names.items()}

    @cached_property
    def all_special_ids(self) -> list[int]:
        """The five, and every other token that the tokenizer was told is no text."""
        added = json.loads(self._backend.to_str()).get("added_tokens", [])
        return sorted({*self.special_ids.values(), *(token["id"] for token in added if token["special"])})

    @cached_property
    def byte_level(self) -> bool:
        """Are its tokens pieces of UTF-8 bytes, as those of RoBERTa and ModernBERT?"""
        value = json.loads(self._backend.to_str())
        cutter = value.get("pre_tokenizer") or {}
        kinds = {item.get("type") for item in (cutter, *cutter.get("pretokenizers", []))}
        return value["model"].get("type") == "BPE" and "ByteLevel" in kinds

    @cached_property
    def texts(self) -> list[str]:
        """What each token stands for, without marks of where words begin: `##ing` and `Ġing` are `ing`."""
        if not self.byte_level:
            return [token.removeprefix("##") or token for token in self.tokens]
        special = set(self.all_special_ids)
        read: Any = self._backend.decoder.decode
        return [token if number in special else read([token]).strip() for number, token in enumerate(self.tokens)]

    def ids_of(self, text: str) -> list[int]:
        """Ids of a short text, without special tokens."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def encode_text(self, text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Ids, start and end characters of the tokens of a text (int32[T] each), without special tokens."""
        return self._encode(code_points(text), text)

    @cached_property
    def cased(self) -> bool:
        """Do upper-case letters give other ids than lower-case ones?"""
        letters = [token for token in self.tokens if token.isalpha() and token.isascii()]
        return any(self.ids_of(text.upper()) != self.ids_of(text.lower()) for text in ("a e i o t s", *letters[:200]))

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
        return self._encode(document.characters, document.text)

    def _encode(
        self, characters_N: npt.NDArray[np.uint32], text: str
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        if self._compiled and (found := self._compiled.encode(characters_N)):
            return found
        encoding = self._backend.encode(text, add_special_tokens=False)
        offsets_T2 = np.array(encoding.offsets, np.int32).reshape(-1, 2)
        start_T, end_T = np.ascontiguousarray(offsets_T2[:, 0]), np.ascontiguousarray(offsets_T2[:, 1])
        if self.byte_level and len(start_T):
            start_T = without_spaces(characters_N, start_T, end_T)
        return np.array(encoding.ids, np.int32), start_T, end_T

    def encode_block(self, block: Block) -> Tokens:
        """The tokens of several documents."""
        tokens = (
            self._compiled.encode_block(block.characters_N, block.offsets_D1)
            if self._compiled
            else Tokens.none(len(block))
        )
        if not tokens.library_D.any():
            return tokens
        found = []  # some need the library: one by one
        for number, (document, start) in enumerate(zip(block.documents, block.offsets_D1.tolist(), strict=False)):
            if tokens.library_D[number]:
                ids_T, start_T, end_T = self.encode(document)
                found.append((ids_T, start_T + np.int32(start), end_T + np.int32(start)))
            else:
                own = slice(tokens.tokens_D1[number], tokens.tokens_D1[number + 1])
                found.append((tokens.ids_T[own], tokens.start_T[own], tokens.end_T[own]))
        ids_T, start_T, end_T = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return Tokens(
            ids_T, start_T, end_T, offsets_of([len(ids) for ids, _, _ in found]), np.zeros(len(block), np.bool_)
        )


def encode(annotated: Annotated, tokenizer: Tokenizer, classes: Sequence[str] = ()) -> Encoded:
    """Turn the character spans of ``annotated`` into token spans, and the class of a labelled pair into its number
    among ``classes``."""
    return encode_block(AnnotatedBlock.of(annotated), tokenizer, classes).document(0)


def encode_block(annotated: AnnotatedBlock, tokenizer: Tokenizer, classes: Sequence[str] = ()) -> EncodedBlock:
    """The same for several documents."""
    from data_prep import kernels

    documents, tokens = annotated.block.documents, tokenizer.encode_block(annotated.block)
    dropped: dict[str, int] = {}
    units: dict[str, tuple[TokenUnits, Offsets]] = {}
    for level, (found, _) in annotated.units.items():
        # A word of one token is that token: only longer ones are listed.
        least = 2 if level == "word" else 1
        first_K, length_K, kept_K, misfits = kernels.align(
            found.start_U, found.end_U, tokens.start_T, tokens.end_T, least, MAX_UNIT_TOKENS
        )
        offsets_D1 = np.searchsorted(first_K, tokens.tokens_D1.astype(np.uint32))
        first_K -= np.repeat(tokens.tokens_D1[:-1], np.diff(offsets_D1)).astype(np.uint32)
        units[level] = TokenUnits(first_K, length_K, found.label_U[kept_K]), offsets_D1
        if misfits:
            dropped[f"{level} fits no token boundary"] = misfits
    sentence_ends_S, sentences_D1, paragraph_ends_P, paragraphs_D1 = kernels.document_ends(
        tokens.start_T,
        tokens.tokens_D1,
        annotated.sentences_S2[:, 1],
        annotated.sentences_D1,
        annotated.paragraph_ends_P,
        annotated.paragraphs_D1,
    )
    flags_T = kernels.flags(
        annotated.block.characters_N, tokens.start_T, character_kinds(), kernels.UPPER, FLAG_CAPITAL
    )
    segment_ends, segment_labels, label_D = _segments(annotated.block, tokens, classes)
    return EncodedBlock(
        names=[(document.id, document.language, document.source, document.title) for document in documents],
        token_ids=(tokens.ids_T, tokens.tokens_D1),
        flags=(flags_T, tokens.tokens_D1),
        sentence_ends=(sentence_ends_S, sentences_D1),
        paragraph_ends=(paragraph_ends_P, paragraphs_D1),
        segment_ends=segment_ends,
        segment_labels=segment_labels,
        units=units,
        dropped=dropped,
        label_D=label_D,
    )


def _segments(
    block: Block, tokens: Tokens, classes: Sequence[str]
) -> tuple[tuple[npt.NDArray[np.uint32], Offsets], tuple[npt.NDArray[np.int16], Offsets], npt.NDArray[np.int16]]:
    """Where the parts of pairs and dialogues end, in the tokens of each document, the number of the class of each, and
    that of the first of them, which is the document's."""
    ends, label_D = [np.zeros(0, np.uint32)] * len(block), np.full(len(block), -1, np.int16)
    labels = [np.zeros(0, np.int16)] * len(block)
    number_of = {name: number for number, name in enumerate(classes)} | {"": -1}
    for number, document in enumerate(block.documents):
        if segments := document.given.get(SEGMENT, ()):
            start_T = tokens.start_T[tokens.tokens_D1[number] : tokens.tokens_D1[number + 1]] - block.offsets_D1[number]
            ends[number] = np.searchsorted(start_T, [segment.end for segment in segments], "left").astype(np.uint32)
            labels[number] = np.array([number_of[segment.type] for segment in segments], np.int16)
            label_D[number] = labels[number][0]
    offsets_D1 = offsets_of(map(len, ends))
    return (np.concatenate(ends), offsets_D1), (np.concatenate(labels), offsets_D1), label_D
