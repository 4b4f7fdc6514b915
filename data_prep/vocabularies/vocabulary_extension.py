"""Add what a vocabulary lacks: new tokens in rows it never used, then behind the old ones; every old id stays.

    corpus    "吃了𩽾𩾌 and naïve-ish ⅓"  ->  missing 𩽾 2, 𩾌 2, ⅓ 1    ->  ids of [unused1], [unused2], ..., V, V + 1
    words     a file, one word a line       ->  whole words as tokens, and characters that are missing

New characters never change how text is cut that was fully known before: a token of one character is chosen only where
no old token matched. A new whole word does: it, and longer words that begin with it, are cut anew. BERT's rule cuts
every Han character out first, so a Chinese word of several is listed as an added token besides (whole_words.py), in
tokenizer.json and in tokenizer_config.json; who reads vocab.txt alone cuts it into characters, as before.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.code_points import HAN
from data_prep.files import staged_folder, write_atomic
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.vocabularies.vocabulary import adopt
from data_prep.vocabularies.vocabulary_training import WordTally
from data_prep.vocabularies.word_table import LONGEST_WORD
from data_prep.whole_words import PLAIN, can_be_whole

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


def tokens_of_words(backend: Any, lines: Sequence[str], *, han: bool = True) -> list[str]:
    """The tokens that give each word of a list one token: Latin words (but those too long for WordPiece) and, with
    ``han``, words of Chinese characters alone; of other lines the Latin words and the characters. In order, each
    once."""
    wanted: dict[str, None] = {}
    for line in lines:
        if han and all(HAN.match(character) for character in line) and can_be_whole(backend, line):
            wanted[line] = None
            continue
        normal = backend.normalizer.normalize_str(line) if backend.normalizer else line
        words = [normal[start:end] for start, end in Pretokenizer().words(normal).tolist()]
        wanted.update(dict.fromkeys(word for word in words if len(word) <= LONGEST_WORD))
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


def extend(source: Path, target: Path, wanted: Sequence[str], *, reuse_unused: bool = True) -> Extension:
    """Write to ``target`` the tokenizer of ``source`` with ``wanted`` tokens added in their order.

    Args:
        reuse_unused: fill the rows of `[unusedN]` tokens first.

    Raises:
        ValueError: ``source`` is no WordPiece tokenizer, or ``target`` exists.
    """
    if target.exists():
        raise ValueError(f"{target} exists already. Choose another folder, or delete it.")
    with staged_folder(target) as staging:
        adopt(source, staging)
        backend = backend_of(staging)
        value = json.loads((staging / "tokenizer.json").read_text(encoding="utf-8"))
        vocabulary: dict[str, int] = value["model"]["vocab"]
        listed = {item["content"]: item["id"] for item in value.get("added_tokens") or []}
        new = [token for token in dict.fromkeys(wanted) if token not in vocabulary and token not in listed]
        rows = max([*vocabulary.values(), *listed.values()]) + 1
        free = sorted((index, token) for token, index in vocabulary.items() if UNUSED.fullmatch(token))
        free = [item for item in free if item[1] not in listed] if reuse_unused else []
        added: dict[str, int] = {}
        for token in new:
            if len(added) < len(free):
                added[token], old = free[len(added)]
                del vocabulary[old]
            else:
                added[token] = rows + len(added) - len(free)
        vocabulary.update(added)
        value["model"]["vocab"] = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
        value["added_tokens"] = [*(value.get("added_tokens") or []), *_whole(backend, added)]
        value["added_tokens"].sort(key=lambda item: item["id"])  # the order in which the library takes them
        write_atomic(staging / "tokenizer.json", json.dumps(value, indent=2, ensure_ascii=False))
        _write_vocab_txt(staging, vocabulary | listed)
        if any(not item["special"] for item in value["added_tokens"]):
            _list_added(staging, value["added_tokens"])
    return Extension(
        added=added,
        reused=min(len(free), len(added)),
        rows=max(rows, max(added.values(), default=0) + 1),
        already=len(set(wanted)) - len(new),
    )


def _whole(backend: Any, added: Mapping[str, int]) -> list[dict[str, Any]]:
    """The entries of the new tokens that WordPiece alone would never find."""
    return [{"id": index, "content": token, **PLAIN} for token, index in added.items() if can_be_whole(backend, token)]


def _list_added(folder: Path, added: Sequence[Mapping[str, Any]]) -> None:
    """Tell runtimes that read vocab.txt of the added tokens, as transformers writes it."""
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    config["added_tokens_decoder"] = {
        str(item["id"]): {name: value for name, value in item.items() if name != "id"} for item in added
    }
    write_atomic(file, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def _write_vocab_txt(folder: Path, ids: dict[str, int]) -> None:
    """One token a line, the line number is the id: a missing id is written as an `[unusedN]` row of its own."""
    by_id = {index: token for token, index in ids.items()}
    lines = [by_id.get(index, f"[unused_gap{index}]") for index in range(max(by_id) + 1)]
    write_atomic(folder / "vocab.txt", "".join(f"{token}\n" for token in lines))
