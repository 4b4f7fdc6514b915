"""A folder that sentence-transformers opens as well: one vector a text, from the last states.

    modules.json                      Transformer -> Pooling -> Normalize
    sentence_bert_config.json         the longest text
    1_Pooling/config.json             mean of the tokens, or [CLS]
    config_sentence_transformers.json

The JSON is written by hand under the names that versions 2 to 5 wrote: 6 reads them too, its own none of the older
ones reads. The model has not learned to compare texts: it is what a bi-encoder begins from.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from data_prep.files import write_atomic
from pretrain.formats import Format, Trained
from pretrain.state.export_parts import SENTENCES
from pretrain.state.verifying import Expected, quiet

POOLING = ("mean", "cls")
TYPE = "sentence_transformers.models."


@dataclass(frozen=True, kw_only=True)
class SentenceTransformers(Format):
    """What sentence-transformers needs beside the model."""

    pooling: str = "mean"
    """`mean` of the states of all tokens, [CLS] and [SEP] included, or `cls`."""
    normalize: bool = True
    """Divide each vector by its length, so that a dot product is a cosine."""

    def __post_init__(self) -> None:
        if self.pooling not in POOLING:
            raise ValueError(f"pooling: {self.pooling!r} is none of {', '.join(POOLING)}")

    def write(self, trained: Trained, folder: Path) -> None:
        steps = [("", "Transformer"), ("1_Pooling", "Pooling"), *([("2_Normalize", "Normalize")] * self.normalize)]
        modules = [
            {"idx": index, "name": str(index), "path": path, "type": TYPE + name}
            for index, (path, name) in enumerate(steps)
        ]
        pooling = {
            "word_embedding_dimension": trained.shape["hidden_size"],
            "pooling_mode_cls_token": self.pooling == "cls",
            "pooling_mode_mean_tokens": self.pooling == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        }
        files = {
            "modules.json": modules,
            "sentence_bert_config.json": {
                "max_seq_length": trained.shape["max_position_embeddings"],
                "do_lower_case": False,
            },
            "config_sentence_transformers.json": {
                "prompts": {},
                "default_prompt_name": None,
                "similarity_fn_name": "cosine",
            },
            "1_Pooling/config.json": pooling,
        }
        for name, value in files.items():
            write_atomic(folder / name, json.dumps(value, indent=2) + "\n")

    def verify(self, folder: Path, expected: Expected) -> Mapping[str, float]:
        """Vectors of the sentences by sentence-transformers, where it is installed."""
        if importlib.util.find_spec("sentence_transformers") is None:
            return {}
        from sentence_transformers import SentenceTransformer

        with quiet():
            model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
            found = [model.encode(text, convert_to_tensor=True, show_progress_bar=False) for text in SENTENCES]
        wanted = [self.vector(hidden) for hidden in expected.hidden[: len(SENTENCES)]]
        return {"SentenceTransformer": expected.difference("vectors of SentenceTransformer", found, wanted)}

    def vector(self, hidden_TD: torch.Tensor) -> torch.Tensor:
        """(D,): what a text's states become."""
        pooled = hidden_TD.mean(0) if self.pooling == "mean" else hidden_TD[0]
        return torch.nn.functional.normalize(pooled, dim=0) if self.normalize else pooled
