"""Tiny Hugging Face folders of every architecture, with the vocabulary of a prepared folder and weights that look
trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
OWN: dict[str, dict[str, Any]] = {
    "bert": {"max_position_embeddings": 512, "hidden_act": "relu", "layer_norm_eps": 1e-5},
    "ernie": {"max_position_embeddings": 512, "type_vocab_size": 4, "use_task_id": True, "task_type_vocab_size": 3},
    "roberta": {"max_position_embeddings": 515, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
    "electra": {"max_position_embeddings": 512, "embedding_size": 32},
    "electra_small": {"max_position_embeddings": 512, "embedding_size": 16},
    "modernbert": {
        "num_hidden_layers": 4,
        "local_attention": 8,
        "max_position_embeddings": 512,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")),
    },
}


def hub_folder(folder: Path, kind: str, tokenizer: Path, head: bool = True, trained: bool = True, **shape: Any) -> Any:
    """Save a model of ``kind`` with this tokenizer in the folder; returns it."""
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

    found = Tokenizer(folder=tokenizer)
    values = {**SHAPE, **OWN[kind], "vocab_size": len(found.tokens) + 3, "pad_token_id": found.special_ids["[PAD]"]}
    config = AutoConfig.for_model(kind.removesuffix("_small"), **{**values, **shape})
    torch.manual_seed(5)
    model = (AutoModelForMaskedLM if head else AutoModel).from_config(config).eval()
    if trained:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    for file in tokenizer.iterdir():
        shutil.copy(file, folder / file.name)
    return model
