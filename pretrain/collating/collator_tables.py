"""What a collator must know beside its features: special ids, what random tokens are drawn from, and the epoch of a
Trainer.

    read_specials(tokenizer, masking, "", None, {})              of any tokenizer of transformers: all that most
                                                                 strategies need
    read_specials(tokenizer, masking, "runs/demo/data", ...)     and the corpus, counted as for kmask's own training
                                                                 (corpus.py)

Nothing is fetched: a tokenizer is handed over, a folder is read from disk.

Shape legend: V ids of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.shards import Prepared
from masking.corruption import Replacements
from masking.salience import Rarity
from masking.spans import Flags
from pretrain.feed.hiding import Masking, Specials

ROLES = ("pad", "cls", "sep", "mask", "bos", "eos")
REMEDY = "Give the collator prepared=FOLDER (made by `kmask prepare`)"


def read_specials(
    tokenizer: Any, masking: Masking, prepared: str, replacements: Replacements | None, rarity: Mapping[str, Rarity]
) -> Specials:
    """Special ids, and as much about the vocabulary and the corpus as this masking asks for.

    Raises:
        ValueError: something it needs is missing, with the remedy.
    """
    if masking.replacement.mask > 0 and getattr(tokenizer, "mask_token_id", None) is None:
        raise ValueError(
            "tokenizer: it has no mask token, which stands in for hidden tokens; choose a masked language model's, or "
            "corruption with mask=0"
        )
    if prepared:
        return _of_folder(tokenizer, masking, Path(prepared))
    vocabulary = tokenizer.get_vocab()
    found = Specials(
        pad=_id(tokenizer, "pad"),
        cls=_id(tokenizer, "cls"),
        sep=_id(tokenizer, "sep"),
        replacements=replacements or plain_replacements(tokenizer),
        rarity=rarity,
        vocabulary=max(vocabulary.values()) + 1,
    )
    try:
        masking.replacement.check(found.replacements)
    except ValueError as error:
        raise ValueError(
            f"corruption: {error}. {REMEDY}, replacements=Replacements(...) with a table of your own, or another "
            "corruption"
        ) from None
    if unknown := [level for level in masking.strategy.weighted() if level not in rarity]:
        raise ValueError(
            f"strategy: it weighs units of level {unknown[0]!r} by how rare they are, which nobody counted. {REMEDY}, "
            f"or rarity={{level: Rarity}}"
        )
    return found


def _of_folder(tokenizer: Any, masking: Masking, folder: Path) -> Specials:
    from pretrain.special_ids import specials

    opened = Prepared.open(folder)
    if {token: number for number, token in enumerate(opened.tokenizer.tokens) if token} != tokenizer.get_vocab():
        raise ValueError(
            f"tokenizer: its vocabulary is not that of {folder}; load the one the shards were made with, "
            f"{folder / 'tokenizer'}"
        )
    return specials([opened], masking)


def plain_replacements(tokenizer: Any) -> Replacements:
    """What may stand in for hidden tokens, as the vocabulary alone tells: every token that is neither special nor
    reserved ([unused7])."""
    from pretrain.special_ids import ordinary_ids

    vocabulary = tokenizer.get_vocab()
    tokens = [""] * (max(vocabulary.values()) + 1)
    for token, number in vocabulary.items():
        tokens[number] = token
    special = np.array(sorted(_special_ids(tokenizer)), np.int64)
    return Replacements(
        mask_id=_id(tokenizer, "mask"),
        unknown_id=_id(tokenizer, "unk"),
        ordinary_V=np.setdiff1d(ordinary_ids(tokens), special),
    )


def special_flags(tokenizer: Any, specials: Specials) -> Flags:
    """bool[V]: is the id a special token, and so never hidden? [UNK] stands for text and is none."""
    flags_V = np.zeros(specials.vocabulary or len(tokenizer), np.bool_)
    flags_V[[number for number in _special_ids(tokenizer) if number < len(flags_V)]] = True
    unknown = _id(tokenizer, "unk")
    if unknown >= 0 and unknown not in {
        _id(tokenizer, name) for name in ROLES
    }:  # some tokenizers have one token for everything
        flags_V[unknown] = False
    return flags_V


def _special_ids(tokenizer: Any) -> set[int]:
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return {*tokenizer.all_special_ids, *(number for number, token in added.items() if token.special)}


def _id(tokenizer: Any, name: str) -> int:
    number = getattr(tokenizer, f"{name}_token_id", None)
    return -1 if number is None else int(number)


def epoch_callback(set_epoch: Callable[[int, float], None]) -> Any:
    """A ``transformers.TrainerCallback`` that calls ``set_epoch(epoch, progress)`` before each epoch of a training,
    resumed ones included."""
    from transformers import TrainerCallback

    class Epochs(TrainerCallback):  # type: ignore[misc]
        """Counts by itself: a dataset without a length has no epoch in the Trainer's state."""

        def __init__(self) -> None:
            self.epoch = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.epoch = int(state.epoch or 0)

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            set_epoch(self.epoch, min(self.epoch / max(state.num_train_epochs, 1), 1.0))
            self.epoch += 1

    return Epochs()
