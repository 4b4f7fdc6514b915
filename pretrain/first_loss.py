"""Before the first step from a Hugging Face folder: does the model compute here what plain transformers computes of it?

    a few texts of the shards, one token in seven behind [MASK]
        ->  masked-LM loss and logits of the model, packed as in training         must be equal
        ->  the same of AutoModelForMaskedLM.from_pretrained(folder), text by text
    a folder or a run without a masked-LM head: the hidden states instead

Both in fp32 on the processor, without dropout; the folder's model is let go of afterwards.

Shape legend: S samples, T tokens of all samples, M hidden ones, V vocabulary, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from data_prep.shards import Prepared
from pretrain.feed.batch import texts_batch
from pretrain.model import PretrainingModel
from pretrain.network.encoder import encode
from pretrain.state.importing import tokens_of
from pretrain.state.new_words import NewWords

SAMPLES, TOKENS, EVERY = 4, 64, 7
LOSS, LOGITS = 1e-3, 1e-4
"""Largest difference of the mean loss; of a logit or state, in shares of the largest one (of 1 where all are smaller).
"""


def check_first_loss(model: PretrainingModel, folder: Path, prepared: Prepared, head: bool) -> str:
    """Compare; returns a line for the user.

    Args:
        model: as training begins with it, on the processor.
        head: has the folder a masked-LM head that the model took over?

    Raises:
        ValueError: they differ, or transformers cannot load the folder.
    """
    tokenizer = prepared.tokenizer
    new = new_ids(folder, prepared)
    ids_S = samples_of(prepared, min(TOKENS, longest(model.config)), new)
    where_S = [np.arange(1, len(ids) - 1)[::EVERY] for ids in ids_S]
    hidden_S = [ids.copy() for ids in ids_S]
    for hidden, where in zip(hidden_S, where_S, strict=True):
        hidden[where] = tokenizer.special_ids["[MASK]"]
    label_M = torch.from_numpy(np.concatenate([ids[where] for ids, where in zip(ids_S, where_S, strict=True)]))
    ours, theirs = _ours(model, hidden_S, where_S, head), _theirs(folder, hidden_S, where_S, head)
    ours = as_there(ours, theirs, new) if head else ours
    width = min(ours.shape[1], theirs.shape[1])
    worst = float((ours[:, :width] - theirs[:, :width]).abs().max())
    allowed = LOGITS * max(1.0, float(theirs.abs().max()))
    if not head:
        if ours.shape == theirs.shape and worst <= allowed:
            return (
                f"{folder}: no masked-LM head to compare; hidden states of {len(ids_S)} texts are those of plain "
                f"transformers (largest difference {worst:.1e})"
            )
        raise ValueError(
            f"model.path {folder}: hidden states differ from those of plain transformers by {worst:.2e} (allowed "
            f"{allowed:.1e}); the model would not go on as it was trained. Please report it with the folder's "
            "config.json"
        )
    first, second = (float(torch.nn.functional.cross_entropy(found, label_M)) for found in (ours, theirs))
    if abs(first - second) <= LOSS and worst <= allowed and ours.shape == theirs.shape:
        return (
            f"{folder}: masked-LM loss {first:.4f} on {len(label_M)} hidden tokens, {second:.4f} by plain transformers "
            f"(largest difference of a logit {worst:.1e})"
        )
    raise ValueError(
        f"model.path {folder}: masked-LM loss {first:.4f} on {len(label_M)} hidden tokens, but {second:.4f} by plain "
        f"transformers (allowed difference {LOSS:g}; logits differ by {worst:.2e}, allowed {allowed:.1e}); the model "
        "would not go on as it was trained. Please report it with the folder's config.json"
    )


def longest(config: Any) -> int:
    """Tokens of the longest sample that an encoder reads."""
    return int(config.max_position_embeddings)


def new_ids(folder: Path, prepared: Prepared) -> list[int]:
    """Ids of the words that the shards' vocabulary has and the folder's has not."""
    tokens = tokens_of(folder)
    words = NewWords.between(tokens, prepared.tokenizer) if tokens else None
    return sorted(words.pieces) if words else []


def as_there(ours: torch.Tensor, theirs: torch.Tensor, new: Sequence[int]) -> torch.Tensor:
    """Our logits (M, V) with those of new words as they are there: the folder has other rows of them, or none."""
    if not new:
        return ours
    found, changed = ours[:, : theirs.shape[1]].clone(), [index for index in new if index < theirs.shape[1]]
    found[:, changed] = theirs[:, changed]
    return found


def samples_of(prepared: Prepared, tokens: int, new: Sequence[int] = ()) -> list[npt.NDArray[np.int64]]:
    """The beginnings of the first documents, held-out ones first, between [CLS] and [SEP], without ``new`` words."""
    ids = prepared.tokenizer.special_ids
    found: list[npt.NDArray[np.int64]] = []
    for split in ("heldout", "train"):
        for shard in prepared.shards(split):
            for document in range(min(len(shard), SAMPLES - len(found))):
                text = shard.token_ids.row(document)[: tokens - 2].astype(np.int64)
                text = text[~np.isin(text, new)]
                if len(text):
                    found.append(np.concatenate([[ids["[CLS]"]], text, [ids["[SEP]"]]]))
            if len(found) == SAMPLES:
                return found
    return found


@torch.no_grad()
def _ours(
    model: PretrainingModel, ids_S: list[npt.NDArray[np.int64]], where_S: list[npt.NDArray[np.int64]], head: bool
) -> torch.Tensor:
    """Logits (M, V) or states (T, D) of the model."""
    training = model.training
    hidden_TD = encode(model.eval().ernie, texts_batch(ids_S))
    begins = np.cumsum([0, *map(len, ids_S[:-1])])
    where_M = np.concatenate([where + begin for where, begin in zip(where_S, begins, strict=True)])
    found = model.heads["knowledge_masking"](hidden_TD[torch.from_numpy(where_M)]) if head else hidden_TD
    model.train(training)
    return found  # type: ignore[no-any-return]


@torch.no_grad()
def _theirs(
    folder: Path, ids_S: list[npt.NDArray[np.int64]], where_S: list[npt.NDArray[np.int64]], head: bool
) -> torch.Tensor:
    """The same of the folder by plain transformers."""
    from transformers import AutoModel, AutoModelForMaskedLM
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # heads that are left out are told elsewhere
    logging.disable_progress_bar()
    try:
        loader: Any = AutoModelForMaskedLM if head else AutoModel
        plain = loader.from_pretrained(folder, dtype=torch.float32).eval()
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"model.path {folder}: transformers cannot load it: {error}") from None
    finally:
        logging.set_verbosity(verbosity)
    found = []
    for ids, where in zip(ids_S, where_S, strict=True):
        output = plain(input_ids=torch.from_numpy(ids)[None])
        found.append(output.logits[0, torch.from_numpy(where)] if head else output.last_hidden_state[0])
    return torch.cat(found)
