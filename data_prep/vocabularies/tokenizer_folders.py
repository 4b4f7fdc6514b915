"""What a tokenizer folder must hold, and the vocabulary that a ``vocab.txt`` lists."""

from __future__ import annotations

import json
from pathlib import Path

from data_prep.encoding import Tokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def check_folder(source: Path) -> None:
    """Raise ValueError unless ``source`` is a folder with a vocabulary in it."""
    if not source.is_dir():
        raise ValueError(
            f"{source}: no such folder (looked from {Path.cwd()}). Give the folder of a tokenizer (with "
            "tokenizer.json or vocab.txt)."
        )
    if not any((source / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        if all((source / name).is_file() for name in ("vocab.json", "merges.txt")):
            raise ValueError(
                f"{source} holds vocab.json and merges.txt without tokenizer.json; write it with transformers: "
                f"AutoTokenizer.from_pretrained({str(source)!r}).save_pretrained({str(source)!r})"
            )
        raise ValueError(f"{source}: neither tokenizer.json nor vocab.txt in this folder")


def check_tokenizer(source: Path) -> None:
    """Raise ValueError unless ``source`` holds a tokenizer that shards can be made with, so that no corpus is read for
    nothing."""
    check_folder(source)
    file = source / "tokenizer.json"
    if not file.is_file():
        read_vocab_txt(source / "vocab.txt")
        return
    tokenizer = Tokenizer(folder=source)
    try:
        model = json.loads(file.read_bytes())["model"]
        pairs = model.get("type") == "BPE" or "merges" in model
        _ = pairs or tokenizer.tokens
    except OSError:
        raise
    except Exception as error:  # the tokenizers library raises bare exceptions for damaged files
        raise ValueError(f"{file} cannot be read as a tokenizer ({error})") from None
    if pairs and not tokenizer.byte_level:
        raise byte_pairs(source)
    _ = tokenizer.special_ids


def byte_pairs(source: Path) -> ValueError:
    """The error about pairs of anything else than bytes."""
    return ValueError(
        f"{source} holds a BPE vocabulary that does not cut text into bytes. Give a folder with a WordPiece vocabulary "
        "(BERT, ERNIE, MacBERT, Chinese RoBERTa-wwm) or a byte-level one (RoBERTa, ModernBERT), or leave `path` out to "
        "train one."
    )


def read_vocab_txt(file: Path) -> dict[str, int]:
    """The ids of a ``vocab.txt``: one token a line, the line number is the id.

    Raises:
        ValueError: a token stands twice (its second line would shift nothing but never be used) or a special token is
        missing.
    """
    # Columns after a tab (ERNIE's own vocab files carry the id there) are ignored.
    try:
        content = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not UTF-8 (byte {error.start}). Convert the vocabulary to UTF-8.") from None
    tokens = [line.split("\t")[0] for line in content.split("\n")]
    if tokens and not tokens[-1]:
        tokens.pop()
    ids: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token in ids:
            raise ValueError(
                f"{file}:{index + 1}: {token!r} already stands on line {ids[token] + 1}; a vocabulary line must be "
                "unique"
            )
        ids[token] = index
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        raise ValueError(f"{file}: {', '.join(missing)} missing; a BERT-style vocabulary is needed")
    return ids
