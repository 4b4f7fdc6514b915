"""A WordPiece vocabulary: trained on the cleaned corpus, or taken from an existing tokenizer folder.

The result is always a folder that transformers and older runtimes read alike:

    tokenizer.json  tokenizer_config.json  vocab.txt  special_tokens_map.json

Chinese characters are single tokens (BERT's rule); letters, digits, kana and symbols become word pieces.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.files import write_atomic
from data_prep.vocabularies.tokenizer_folders import SPECIAL_TOKENS, check_folder, check_tokenizer, read_vocab_txt
from data_prep.vocabularies.vocabulary_training import WordTally, train_pieces

SPECIAL_NAMES = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
COPIED = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Where the vocabulary comes from."""

    path: str = ""
    """An existing folder with a BERT-style tokenizer (tokenizer.json or vocab.txt), or a byte-level one as of RoBERTa
    and ModernBERT (tokenizer.json). When set, nothing is trained."""
    size: int = 12000
    """Entries of a trained vocabulary, special tokens included."""
    lowercase: bool = True
    """Lower-case and strip accents before cutting (an `uncased` model)."""
    min_frequency: int = 2
    """Characters and pieces seen fewer times stay out of a trained vocabulary."""
    characters: str = "common"
    """Single characters of a trained vocabulary. `common`: those seen and, with Chinese in the corpus and room in the
    vocabulary (a quarter of it stays for pieces), the 3,755 of GB2312's first level; `seen`: only those seen."""
    train_characters: int = 200_000_000
    """At most about this many characters are read for training: a sample of passages in every part, divided evenly over
    sources and languages."""

    def __post_init__(self) -> None:
        if self.size < 100 or self.size > 2**24:
            raise ValueError(f"size: {self.size} must lie between 100 and {2**24}")
        if self.min_frequency < 1:
            raise ValueError(f"min_frequency: {self.min_frequency} must be at least 1")
        if self.characters not in ("common", "seen"):
            raise ValueError(f"characters: {self.characters!r} is not one of common, seen")
        if self.train_characters < 1:
            raise ValueError(f"train_characters: {self.train_characters} must be at least 1")
        if self.path:
            try:
                check_tokenizer(Path(self.path))
            except (ValueError, OSError) as error:
                raise ValueError(f"path: {error}") from None

    def make(self, folder: Path, texts: Iterator[str]) -> None:
        """Fill ``folder`` with a tokenizer; ``texts`` are read only when one is trained."""
        if self.path:
            adopt(Path(self.path), folder)
        else:
            save(train(texts, self), folder, lowercase=self.lowercase)

    def make_counted(self, folder: Path, tally: WordTally) -> None:
        """The same from the counts of texts."""
        if self.path:
            adopt(Path(self.path), folder)
        else:
            save(trained(tally, self), folder, lowercase=self.lowercase)


def train(texts: Iterator[str], settings: Vocabulary) -> Any:
    """A WordPiece tokenizer (``tokenizers.Tokenizer``) trained on ``texts``.

    Raises:
        ValueError: the texts are empty.
    """
    tally = WordTally(bert_normalizer(settings.lowercase))
    for text in texts:
        tally.add(text)
    return trained(tally, settings)


def trained(tally: WordTally, settings: Vocabulary) -> Any:
    """The same from the counts of texts."""
    alphabet = tally.alphabet(settings.size, settings.min_frequency, common=settings.characters == "common")
    ids = train_pieces(
        tally, alphabet, size=settings.size, min_frequency=settings.min_frequency, special_tokens=SPECIAL_TOKENS
    )
    return bert(ids, lowercase=settings.lowercase)


def bert(ids: dict[str, int], *, lowercase: bool) -> Any:
    """A BERT tokenizer over a vocabulary."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    backend = Backend(
        models.WordPiece(ids, unk_token="[UNK]", continuing_subword_prefix="##", max_input_chars_per_word=100)
    )
    dress(backend, lowercase=lowercase)
    backend.add_special_tokens(list(SPECIAL_TOKENS))
    return with_post_processor(backend)


def bert_normalizer(lowercase: bool) -> Any:
    """BERT's normaliser: control characters away, spaces around Chinese ones, letters lowered and bared of accents
    where wanted."""
    from tokenizers import normalizers

    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=lowercase, lowercase=lowercase
    )


def dress(backend: Any, *, lowercase: bool) -> None:
    """BERT's normaliser, pre-tokeniser and decoder."""
    from tokenizers import decoders, pre_tokenizers

    backend.normalizer = bert_normalizer(lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")


def with_post_processor(backend: Any) -> Any:
    """``[CLS] A [SEP]`` and ``[CLS] A [SEP] B [SEP]``."""
    from tokenizers import processors

    backend.post_processor = processors.BertProcessing(
        ("[SEP]", backend.token_to_id("[SEP]")), ("[CLS]", backend.token_to_id("[CLS]"))
    )
    return backend


def save(backend: Any, folder: Path, *, lowercase: bool, max_length: int = 512) -> None:
    """Write the four files of a tokenizer folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "tokenizer.json", backend.to_str(pretty=True))
    by_id = sorted(backend.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
    write_atomic(folder / "vocab.txt", "".join(f"{token}\n" for token, _ in by_id))
    config = {
        **SPECIAL_NAMES,
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": lowercase,
        "strip_accents": lowercase,
        "tokenize_chinese_chars": True,
        "model_max_length": max_length,
    }
    write_atomic(folder / "tokenizer_config.json", json.dumps(config, indent=2) + "\n")
    write_atomic(folder / "special_tokens_map.json", json.dumps(SPECIAL_NAMES, indent=2) + "\n")


def adopt(source: Path, folder: Path) -> None:
    """Copy an existing tokenizer, building ``tokenizer.json`` from ``vocab.txt`` when that is all there is.

    Raises:
        ValueError: the folder holds no BERT-style vocabulary.
    """
    check_folder(source)
    folder.mkdir(parents=True, exist_ok=True)
    if (source / "tokenizer.json").is_file():
        for name in COPIED:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        return
    vocabulary = source / "vocab.txt"
    save(from_vocab_txt(vocabulary, lowercase=(lowercase := _lowercase(source))), folder, lowercase=lowercase)


def _lowercase(folder: Path) -> bool:
    config = folder / "tokenizer_config.json"
    return bool(json.loads(config.read_text()).get("do_lower_case", True)) if config.is_file() else True


def from_vocab_txt(file: Path, *, lowercase: bool) -> Any:
    """A BERT tokenizer from a ``vocab.txt``.

    Raises:
        ValueError: as ``read_vocab_txt``.
    """
    return bert(read_vocab_txt(file), lowercase=lowercase)
