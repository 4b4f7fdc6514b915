"""What is in a vocabulary, and how well it fits a corpus.

    folder                ->  rows, classes of tokens, special tokens, rows without use, tokens that no text can reach
    folder and documents  ->  share of [UNK], tokens a character, the characters that were unknown, each with an example

A token is unreachable when the tokenizer's own rules never produce it: `The` in a lower-casing vocabulary, `##江` where
every Han character is cut out first. Chinese corpora lose text to [UNK] without a word of warning; the second table
shows which characters.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.code_points import BERT_CJK_RANGES, HAN, lies_in
from data_prep.documents import Document
from data_prep.encoding import Tokenizer
from data_prep.vocabularies.tokenizer_folders import SPECIAL_TOKENS
from data_prep.vocabularies.vocabulary_extension import UNUSED, backend_of
from data_prep.vocabularies.word_table import LONGEST_WORD

SHOWN = 50
CONTEXT = 12
TOO_LONG = f"(a word of more than {LONGEST_WORD} characters)"
OTHER_SPELLING = "(a word whose pieces are missing)"


@dataclass(frozen=True, kw_only=True)
class VocabularyReport:
    """A vocabulary in figures."""

    folder: Path

    @cached_property
    def backend(self) -> Any:
        """The ``tokenizers.Tokenizer``."""
        return backend_of(self.folder)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Token -> id."""
        found: dict[str, int] = self.backend.get_vocab(with_added_tokens=True)
        return found

    def normal(self, token: str) -> str:
        """What the tokenizer makes of a token's characters before it cuts."""
        core = token.removeprefix("##") if len(token) > 2 else token
        return str(self.backend.normalizer.normalize_str(core)).strip() if self.backend.normalizer else core

    def summary(self) -> dict[str, Any]:
        """Rows, special tokens, classes, unreachable tokens and duplicates, as plain values."""
        classes = Counter(token_class(token) for token in self.ids)
        plain = [token for token in self.ids if token_class(token) not in ("special", "unused")]
        duplicates: dict[tuple[bool, str], list[str]] = {}
        unreachable: list[str] = []
        for token in sorted(plain, key=self.ids.__getitem__):
            core = token.removeprefix("##") if len(token) > 2 else token
            duplicates.setdefault((core != token, self.normal(token)), []).append(token)
            if self.normal(token) != core or (core != token and len(core) == 1 and lies_in(BERT_CJK_RANGES, core)):
                unreachable.append(token)
        same = [tokens for tokens in duplicates.values() if len(tokens) > 1]
        rows = max(self.ids.values()) + 1
        return {
            "folder": str(self.folder),
            "tokens": len(self.ids),
            "rows": rows,
            "gaps": rows - len(set(self.ids.values())),
            "unused": classes["unused"],
            "special": {token: self.ids.get(token) for token in SPECIAL_TOKENS},
            "classes": dict(sorted(classes.items(), key=lambda item: (-item[1], item[0]))),
            "unreachable": {"count": len(unreachable), "examples": unreachable[:10]},
            "duplicates": {"count": sum(len(tokens) - 1 for tokens in same), "examples": same[:10]},
        }

    def coverage(self, documents: Iterable[Document]) -> dict[str, Any]:
        """How the vocabulary fits the documents, as plain values."""
        tokenizer = Tokenizer(folder=self.folder)
        unknown_id = tokenizer.special_ids["[UNK]"]
        tally = _Unknown(self)
        counts: Counter[str] = Counter()
        for document in documents:
            ids_T, starts_T, ends_T = tokenizer.encode(document)
            counts.update(documents=1, characters=len(document.text), tokens=len(ids_T))
            for index in np.flatnonzero(ids_T == unknown_id).tolist():
                counts["unknown"] += 1
                tally.add(document.text, int(starts_T[index]), int(ends_T[index]))
        ranked = sorted(tally.counts.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
        return {
            **{name: counts[name] for name in ("documents", "characters", "tokens", "unknown")},
            "unknown_share": counts["unknown"] / max(1, counts["tokens"]),
            "tokens_per_character": counts["tokens"] / max(1, counts["characters"]),
            "distinct_unknown_characters": len(tally.counts),
            "unknown_characters": [
                {"character": name, "count": count, "example": tally.examples[name]} for name, count in ranked
            ],
        }


@dataclass
class _Unknown:
    """Which characters made tokens unknown."""

    report: VocabularyReport
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, text: str, start: int, end: int) -> None:
        word = text[start:end]
        lacking = [character for place, character in enumerate(word) if not self._known(character, place)]
        names = [TOO_LONG] if end - start > LONGEST_WORD else lacking or [OTHER_SPELLING]
        for name in names:
            self.counts[name] += 1
            if name not in self.examples:
                around = (
                    text[max(0, start - CONTEXT) : end + CONTEXT]
                    if end - start <= LONGEST_WORD
                    else word[:LONGEST_WORD]
                )
                self.examples[name] = " ".join(around.split())

    def _known(self, character: str, place: int) -> bool:
        normal = self.report.normal(character)
        return all(("##" if place or index else "") + one in self.report.ids for index, one in enumerate(normal))


def token_class(token: str) -> str:
    """The class of a token: special, unused, Han character, Latin word, Latin piece (`##ing`), digits, kana ..."""
    if token in SPECIAL_TOKENS:
        return "special"
    if UNUSED.fullmatch(token) or token.startswith("[unused"):
        return "unused"
    piece = len(token) > 2 and token.startswith("##")
    core = token[2:] if piece else token
    if all(map(HAN.match, core)):
        return "Han piece" if piece else "Han character" if len(core) == 1 else "Han word"
    script = _script(core)
    return f"{script} piece" if piece else f"{script} character" if len(core) == 1 else f"{script} word"


def _script(text: str) -> str:
    if all(character.isdigit() or unicodedata.category(character) == "Nd" for character in text):
        return "digit"
    if all(
        "\u3040" <= character <= "\u30ff" or "\u31f0" <= character <= "\u31ff" or "\uff66" <= character <= "\uff9f"
        for character in text
    ):
        return "kana"
    if all("\uac00" <= character <= "\ud7a3" or "\u1100" <= character <= "\u11ff" for character in text):
        return "Hangul"
    if all(character < "\u0250" and character.isalpha() for character in text):
        return "Latin"
    categories = {unicodedata.category(character)[0] for character in text}
    return {"P": "punctuation", "S": "symbol", "N": "number", "L": "other letter", "M": "other letter"}.get(
        "".join(sorted(categories)), "mixed"
    )
