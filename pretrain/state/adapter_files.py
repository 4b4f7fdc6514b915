"""An adapter that is kept apart as a folder of its own, and its way back onto a plain model.

FOLDER-adapter/adapter.safetensors      its parameters, named as in the encoder
FOLDER-adapter/adapter_config.json      its kind and size, and the sha256 of the weights that it was trained on

model = AutoModel.from_pretrained("FOLDER")          (or AutoModelForMaskedLM, ...)
load_adapter(model, "FOLDER-adapter")
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data_prep.files import read_json, sha256_file, staged_folder
from pretrain.network.adapters import is_own, plain_name
from pretrain.network.adapters.bottleneck import Bottleneck
from pretrain.network.encoder import encode
from pretrain.state.export_parts import SENTENCES, one_sample

WEIGHTS, CONFIG = "adapter.safetensors", "adapter_config.json"


def adapter_folder(folder: Path) -> Path:
    """Where the adapter of an export lies."""
    return folder.with_name(f"{folder.name}-adapter")


def load_adapter(model: nn.Module, folder: str | Path) -> nn.Module:
    """Put the adapter of a folder onto a model of transformers, in place; returns the model.

    Raises:
        ValueError: the folder holds none, or it belongs to another model.
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise ValueError(f"{folder} holds no adapter ({CONFIG} and {WEIGHTS})")
    config = read_json(folder / CONFIG)
    if config.get("kind") != "bottleneck":
        raise ValueError(f"{folder / CONFIG}: kind {config.get('kind')!r} is not bottleneck")
    encoder = getattr(model, str(getattr(model, "base_model_prefix", "")), model)
    if any(is_own(name) for name, _ in encoder.named_parameters()):
        raise ValueError(f"{folder}: the model carries an adapter already; load it again without")
    tensors = load_file(folder / WEIGHTS)
    Bottleneck(width=config["width"]).attach(encoder, 0)
    own = {plain_name(name): parameter for name, parameter in encoder.named_parameters() if is_own(name)}
    wrong = own.keys() ^ tensors.keys() or {name for name in own if own[name].shape != tensors[name].shape}
    if wrong:
        raise ValueError(f"{folder}: it belongs to another model ({sorted(wrong)[0]} does not fit)")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])
    return model


def write_adapter(
    adapter: Bottleneck, model: Any, tokenizer: Path, base: Path, step: int, allowed: float = 1e-4
) -> float:
    """Export the adapter of a trained model beside ``base``, its export, and load both. Returns the largest difference
    of a hidden state.

    Args:
        allowed: largest difference.

    Raises:
        ValueError: the folder is there already, or both together are not the trained model.
    """
    from safetensors.torch import save_file

    target = adapter_folder(base)
    if target.exists():
        raise ValueError(f"{target} exists already; delete it or choose another folder")
    named = {name.removeprefix("ernie."): parameter for name, parameter in model.named_parameters()}
    own = {name: parameter.detach().contiguous() for name, parameter in named.items() if is_own(name)}
    facts = {"kind": "bottleneck", **asdict(adapter), "step": step, "base": sha256_file(base / "model.safetensors")}
    with staged_folder(target) as staging:
        save_file(own, staging / WEIGHTS, metadata={"format": "pt"})
        (staging / WEIGHTS).chmod(0o644)  # safetensors creates private files
        (staging / CONFIG).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        return _verified(staging, model, tokenizer, base, allowed)


@torch.no_grad()
def _verified(folder: Path, model: Any, tokenizer: Path, base: Path, allowed: float) -> float:
    from transformers import AutoModel, AutoTokenizer

    reloaded = load_adapter(AutoModel.from_pretrained(base, dtype=torch.float32), folder).eval()
    cut, worst = AutoTokenizer.from_pretrained(tokenizer), 0.0
    for sentence in SENTENCES:
        inputs = cut(sentence, return_tensors="pt", truncation=True, max_length=model.config.max_position_embeddings)
        ours = encode(model.eval().ernie, one_sample(inputs["input_ids"][0]))
        worst = max(worst, float((reloaded(**inputs).last_hidden_state[0] - ours).abs().max()))
    if not worst <= allowed:
        raise ValueError(
            f"export refused: hidden states with the reloaded adapter differ by {worst:.2e} (allowed {allowed:.0e})"
        )
    return worst
