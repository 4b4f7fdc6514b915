"""Add what a vocabulary lacks: new tokens behind the old ones, or in rows it never used; every old id stays.

    corpus    "吃了𩽾𩾌 and naïve-ish ⅓"  ->  missing 𩽾 2, 𩾌 2, ⅓ 1    ->  new ids V, V + 1, ...
    words     a file, one word a line       ->  Latin words as whole tokens, and characters that are missing

New characters never change how text is cut that was fully known before: a token of one character is chosen only where
no old token matched. A new whole word does: it, and longer words that begin with it, are cut anew. Han words are never
whole tokens (BERT's rule cuts every Han character out first), so of those only missing characters are added.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.files import staged_folder, write_atomic
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.vocabularies.vocabulary import adopt
from data_prep.vocabularies.vocabulary_training import WordTally

UNUSED = re.compile(r"\[unused\d+\]")


@dataclass(frozen=True, kw_only=True)
class Extension:
    """What an extension did."""

    added: dict[str, int]
    """New tokens with their ids."""
    reused: int
    """How many of them took the row of an `[unusedN]` token."""
    rows: int
    """Rows of the vocabulary now: the embedding table must have at least so many."""
    already: int
    """Wanted words and characters that were there."""


def backend_of(folder: Path) -> Any:
    """The ``tokenizers.Tokenizer`` of a folder with a WordPiece vocabulary.

    Raises:
        ValueError: there is none.
    """
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ValueError(
            f"{folder} holds no tokenizer.json. Give a tokenizer folder made by `kmask vocab train`, `kmask prepare` "
            "or transformers."
        )
    try:
        backend = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises bare Exception
        raise ValueError(f"{file} is damaged ({error})") from None
    if type(backend.model).__name__ != "WordPiece":
        raise ValueError(
            f"{file}: a {type(backend.model).__name__} vocabulary; only WordPiece (BERT, ERNIE) vocabularies are "
            "handled"
        )
    return backend


def forms(word: str) -> list[str]:
    """The single-character tokens that spell a word: its first character, and `##c` for the others."""
    return [word[0], *(f"##{character}" for character in word[1:])]


def missing_characters(backend: Any, texts: Iterable[str]) -> tuple[Counter[str], int]:
    """How often each single-character token that the vocabulary lacks is needed to spell the texts; and how many are
    not lacking."""
    tally = WordTally(backend.normalizer)
    for text in texts:
        tally.add(text)
    needed: Counter[str] = Counter()
    alone = Counter(tally.characters)
    for word, count in tally.words.items():
        for character, form in zip(word, forms(word), strict=True):
            needed[form] += count
            alone[character] -= count
    needed.update({character: count for character, count in alone.items() if count > 0 and not character.isspace()})
    known = backend.get_vocab()
    missing = Counter({form: count for form, count in needed.items() if form not in known})
    return missing, len(needed) - len(missing)


def tokens_of_words(backend: Any, lines: Sequence[str]) -> list[str]:
    """The tokens that give each word of a list one token: Latin words whole, other characters singly. In order, each
    once."""
    wanted: dict[str, None] = {}
    for line in lines:
        normal = backend.normalizer.normalize_str(line) if backend.normalizer else line
        words = [normal[start:end] for start, end in Pretokenizer().words(normal).tolist()]
        wanted.update(dict.fromkeys(words))
        for word in words:
            normal = normal.replace(word, " ", 1)
        wanted.update(dict.fromkeys(character for character in normal if not character.isspace()))
    return list(wanted)


def read_words(file: Path) -> list[str]:
    """The words of a list: one a line, what follows a tab is ignored, `#` begins a comment line.

    Raises:
        ValueError: the file is not UTF-8 or holds no word.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not UTF-8 (byte {error.start}). Convert the list to UTF-8.") from None
    words = [word for line in lines if not line.startswith("#") and (word := line.split("\t")[0].strip())]
    if not words:
        raise ValueError(f"{file}: no word in it; write one a line")
    return words


def extend(source: Path, target: Path, wanted: Sequence[str], *, reuse_unused: bool = False) -> Extension:
    """Write to ``target`` the tokenizer of ``source`` with ``wanted`` tokens added in their order.

    Raises:
        ValueError: ``source`` is no WordPiece tokenizer, or ``target`` exists.
    """
    if target.exists():
        raise ValueError(f"{target} exists already. Choose another folder, or delete it.")
    with staged_folder(target) as staging:
        adopt(source, staging)
        backend_of(staging)
        value = json.loads((staging / "tokenizer.json").read_text(encoding="utf-8"))
        vocabulary: dict[str, int] = value["model"]["vocab"]
        special = {item["content"]: item["id"] for item in value.get("added_tokens") or []}
        new = [token for token in dict.fromkeys(wanted) if token not in vocabulary and token not in special]
        rows = max([*vocabulary.values(), *special.values()]) + 1
        free = (
            sorted(
                (index, token)
                for token, index in vocabulary.items()
                if UNUSED.fullmatch(token) and token not in special
            )
            if reuse_unused
            else []
        )
        added: dict[str, int] = {}
        for token in new:
            if len(added) < len(free):
                added[token], old = free[len(added)]
                del vocabulary[old]
            else:
                added[token] = rows + len(added) - len(free)
        vocabulary.update(added)
        value["model"]["vocab"] = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
        write_atomic(staging / "tokenizer.json", json.dumps(value, indent=2, ensure_ascii=False))
        _write_vocab_txt(staging, vocabulary | special)
    return Extension(
        added=added,
        reused=min(len(free), len(added)),
        rows=max(rows, max(added.values(), default=0) + 1),
        already=len(set(wanted)) - len(new),
    )


def _write_vocab_txt(folder: Path, ids: dict[str, int]) -> None:
    """One token a line, the line number is the id: a missing id is written as an `[unusedN]` row of its own."""
    by_id = {index: token for token, index in ids.items()}
    lines = [by_id.get(index, f"[unused_gap{index}]") for index in range(max(by_id) + 1)]
    write_atomic(folder / "vocab.txt", "".join(f"{token}\n" for token in lines))
