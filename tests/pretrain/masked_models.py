"""A small masked language model in Hugging Face format, and the plain loop that its figures are held to."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_prep.encoding import Tokenizer
from pretrain.evaluation.subjects import Subject, open_subject

POSITIONS = 96
CPU = torch.device("cpu")


def make_model(folder: Path, tokenizer: Path, likely: Sequence[int]) -> Path:
    """A BERT of random weights, large enough that contexts matter, that finds some tokens likely."""
    from transformers import BertConfig, BertForMaskedLM

    shutil.copytree(tokenizer, folder)
    size = len(Tokenizer(folder=tokenizer).tokens)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    model = BertForMaskedLM(
        BertConfig(vocab_size=size, max_position_embeddings=POSITIONS, initializer_range=0.5, **shape)
    )
    with torch.no_grad():
        model.cls.predictions.bias[list(likely)] += 9
    model.save_pretrained(folder)
    return folder


class Plain:
    """The same model in transformers, asked one sample at a time."""

    def __init__(self, folder: Path) -> None:
        from transformers import BertForMaskedLM

        self.model: Any = BertForMaskedLM.from_pretrained(folder).eval()
        self.tokenizer = Tokenizer(folder=folder)
        self.folder = folder

    @cached_property
    def subject(self) -> Subject:
        """As evaluation opens it."""
        return open_subject("small", self.folder)

    @torch.no_grad()
    def log_probabilities(self, ids: Sequence[int], hidden: Sequence[int]) -> np.ndarray[Any, Any]:
        """(T, V) of the sample with these places hidden."""
        copy = list(ids)
        for place in hidden:
            copy[place] = self.tokenizer.special_ids["[MASK]"]
        found: np.ndarray[Any, Any] = self.model(torch.tensor([copy])).logits[0].log_softmax(-1).double().numpy()
        return found

    def framed(self, ids: Sequence[int]) -> list[int]:
        """[CLS] ids [SEP]."""
        special = self.tokenizer.special_ids
        return [special["[CLS]"], *ids, special["[SEP]"]]

    def ids(self, text: str) -> list[int]:
        """Of a text."""
        return self.tokenizer.ids_of(text)
