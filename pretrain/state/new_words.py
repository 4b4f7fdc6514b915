"""Words that the shards' vocabulary has and a checkpoint's has not: their rows begin as the mean of their pieces' rows.

    checkpoint  ... [unused1] 5 ... V tokens      shards  ... kubelet 5 ... V tokens, 民法典 V
    NewWords.between(...)   ->  kubelet: the ids of ku ##bel ##et, 民法典: those of 民 法 典, in the old vocabulary
    grown(...)              ->  word embeddings, the decoder (which is tied to them) and its bias, Adam's moments, each
                                with a row for every token

A row that an `[unusedN]` token had is overwritten. Of n words that had the same pieces each has log n less in the bias.
No token moves: every other row stays as it is, bit for bit.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from data_prep.encoding import Tokenizer
from data_prep.files import read_json

UNUSED = re.compile(r"\[unused(_gap)?\d+\]")
CONTINUES = "##"
SQUARES = "#exp_avg_sq"


@dataclass(frozen=True, kw_only=True)
class NewWords:
    """What a vocabulary has that an older one has not."""

    pieces: Mapping[int, Sequence[int]]
    """By id: the ids of the pieces that the word had under the old vocabulary."""
    rows: int
    """Rows that the new vocabulary needs."""
    tokens: Sequence[str] = ()
    """The words, in the order of their ids."""

    @staticmethod
    def between(old: Sequence[str], tokenizer: Tokenizer) -> NewWords | None:
        """What ``tokenizer`` has that a vocabulary of ``old`` tokens (by id) has not; None when it is no extension of
        it: a token stands elsewhere or is gone."""
        new = tokenizer.tokens
        changed = [index for index, token in enumerate(new) if index >= len(old) or token != old[index]]
        if any(index < len(old) and old[index] and not UNUSED.fullmatch(old[index]) for index in changed):
            return None
        words = {index: new[index] for index in changed if new[index] and not UNUSED.fullmatch(new[index])}
        pieces = _pieces(old, tokenizer, words) if words else {}
        return NewWords(pieces=pieces, rows=len(new), tokens=list(words.values()))

    def table(self, value: torch.Tensor) -> torch.Tensor:
        """A table of weights (rows, ...) with the rows of the new words; others that it lacks are the mean of all.

        Words of the same pieces, as all that were [UNK], would each get the probability of the one: in a bias (rows,)
        they share it.
        """
        found = _longer(value, self.rows, value.mean(0))
        alike = Counter(tuple(pieces) for pieces in self.pieces.values())
        for index, pieces in self.pieces.items():
            found[index] = value[list(pieces)].mean(0)
            if value.dim() == 1:
                found[index] -= math.log(alike[tuple(pieces)])
        return found

    def moment(self, value: torch.Tensor, square: bool) -> torch.Tensor:
        """A moment of Adam with the rows of the new words as those of rows that join (growing.py)."""
        old = [index for index in range(len(value)) if index not in self.pieces]
        fill = value[old].mean(0) if square else torch.zeros_like(value[0])
        found = _longer(value, self.rows, fill)
        found[list(self.pieces)] = fill
        return found

    def told(self) -> str:
        """A line for the user."""
        shown = " ".join(self.tokens[:5]) + (" ..." if len(self.tokens) > 5 else "")
        return f"{len(self.tokens):,} new words in the vocabulary ({shown}) begin as the mean of their pieces"


def vocabulary_tables(build: Callable[[Any], nn.Module], config: Any) -> set[str]:
    """Names of the parameters with a row per token: those that change when the vocabulary has one token more.

    Args:
        build: makes the model of a configuration.
    """
    shapes = []
    for more in (0, 1):
        values = {**config.to_dict(), "vocab_size": config.vocab_size + more}
        with torch.device("meta"):
            model = build(type(config)(**values))
        shapes.append({name: parameter.shape for name, parameter in model.named_parameters()})
    return {name for name, shape in shapes[0].items() if shapes[1][name] != shape}


def grown(tensors: Mapping[str, torch.Tensor], words: NewWords, names: Collection[str]) -> dict[str, torch.Tensor]:
    """``tensors`` with rows for the new words in the tables that are named, and in Adam's moments of them."""
    found = dict(tensors)
    for key in (key for key in tensors if key.partition("#")[0] in names and not key.endswith("#step")):
        value = tensors[key]
        found[key] = words.moment(value, key.endswith(SQUARES)) if "#" in key else words.table(value)
    return found


def _longer(value: torch.Tensor, rows: int, fill: torch.Tensor) -> torch.Tensor:
    missing = max(rows - len(value), 0)
    return torch.cat([value, fill.expand(missing, *value.shape[1:])]).clone()


def _pieces(old: Sequence[str], tokenizer: Tokenizer, words: Mapping[int, str]) -> dict[int, list[int]]:
    """The ids under the old vocabulary, by the rules of the new tokenizer, of what each word is written with."""
    from tokenizers import Tokenizer as Backend

    value = read_json(tokenizer.folder / "tokenizer.json")
    known = {token: index for index, token in enumerate(old) if token}
    value["model"]["vocab"] = known
    value["added_tokens"] = [item for item in value.get("added_tokens") or [] if item["content"] in known]
    backend = Backend.from_str(json.dumps(value))
    backend.encode_special_tokens = True
    unknown = known[value["model"]["unk_token"]]
    found = {}
    for index, word in words.items():
        if word.startswith(CONTINUES) and len(word) > len(CONTINUES):
            found[index] = _continuing(word.removeprefix(CONTINUES), known, unknown)
        else:
            found[index] = list(backend.encode(word, add_special_tokens=False).ids) or [unknown]
    return found


def _continuing(letters: str, known: Mapping[str, int], unknown: int) -> list[int]:
    """The ids of the longest pieces that spell the rest of a word; of a letter that is known at the beginning of words
    alone, that one.

    "##bernetes"  ->  ##bern ##ete ##s
    """
    found, begin = [], 0
    while begin < len(letters):
        ends = range(len(letters), begin, -1)
        piece = next((letters[begin:end] for end in ends if CONTINUES + letters[begin:end] in known), letters[begin])
        found.append(known.get(CONTINUES + piece, known.get(piece, unknown)))
        begin += len(piece)
    return found
