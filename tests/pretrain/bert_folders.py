"""Small BERT and ERNIE folders as Hugging Face writes them, with the vocabulary of the example corpus."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer

SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def write_bert(folder: Path, tokenizer: Path, kind: str = "bert", **config: Any) -> Any:
    """Save a model with a masked-LM head and a pooler, weights far from 0; returns it."""
    import transformers

    names = {"bert": "BertForPreTraining", "ernie": "ErnieForPreTraining"}
    settings = {"vocab_size": len(Tokenizer(folder=tokenizer).tokens), **SHAPE, **config}
    model = getattr(transformers, names[kind])(getattr(transformers, f"{kind.capitalize()}Config")(**settings)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    model.save_pretrained(folder)
    for file in tokenizer.iterdir():
        shutil.copy(file, folder / file.name)
    return model
