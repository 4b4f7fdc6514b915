"""A model that is evaluated: a run of kmask, one of its checkpoints, an export, or any Hugging Face folder that a run
can begin from.

    identity(path)             sha256 of what would be read, without reading it into memory
    open_subject(name, path)   encoder with packed attention, masked-LM head where it has one, its own tokenizer

Models are read as training reads them (state/importing.py, state/origins.py), so that a model and what it was trained
from are computed by the same code.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data_prep.encoding import Tokenizer
from data_prep.files import sha256_file, sha256_json
from pretrain.feed.batch import Batch
from pretrain.network.encoder import Model, build_encoder, encode
from pretrain.network.kinds import architecture, restored
from pretrain.objectives.knowledge_masking import KnowledgeMasking
from pretrain.state.heads import MANIFEST
from pretrain.state.importing import MLM_HEAD, encoder_config, read_pretrained
from pretrain.state.names import NAME, candidates
from pretrain.state.origins import read_origin

TASK_TABLE = "embeddings.task_type_embeddings.weight"
WEIGHTS = ("*.safetensors", "*.bin", "*.json", "*.txt")
INIT_RANGE = 0.02


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model ready to be read from."""

    name: str
    encoder: nn.Module
    head: nn.Module | None
    """States (M, D) to vocabulary logits (M, V); None: the checkpoint has no masked-LM head."""
    tokenizer: Tokenizer
    longest: int
    """Positions of the model."""
    pooler: bool
    """Was its pooler trained or read? Otherwise it is as initialised."""

    @property
    def width(self) -> int:
        """D, the width of its hidden states."""
        return int(self.encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]

    @property
    def layers(self) -> int:
        """Number of its transformer layers."""
        return int(self.encoder.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]

    @torch.no_grad()
    def hidden(self, batch: Batch) -> torch.Tensor:
        """Last hidden states (T, D), without dropout or gradients."""
        self.encoder.eval()
        return encode(self.encoder, batch)

    def fresh_encoder(self, dropout: float = 0.0, attention_dropout: float = 0.0) -> nn.Module:
        """A copy of the encoder whose weights may be trained, in the processor's memory."""
        config = copy.deepcopy(self.encoder.config)
        for name, value in architecture(config.model_type).dropouts(dropout, attention_dropout).items():  # type: ignore[union-attr, arg-type]
            setattr(config, name, value)
        with torch.random.fork_rng(devices=[]):
            encoder = build_encoder(config)
        encoder.load_state_dict(self.encoder.state_dict())
        return encoder


def layer_states(encoder: nn.Module, batch: Batch) -> torch.Tensor:
    """States of every layer, (L, T, D) with one more than there are layers: what the first one reads, what each
    gives."""
    layers: Any = encoder.get_submodule("encoder.layer")
    found: list[torch.Tensor] = []
    hooks = [layers[0].register_forward_pre_hook(lambda _, inputs: found.append(inputs[0][0]))]
    for layer in layers[:-1]:
        hooks.append(layer.register_forward_hook(lambda _, __, output: found.append(_state(output))))
    try:
        last = encode(encoder, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack([*found, last])


def _state(output: Any) -> torch.Tensor:
    """(T, D) of what a layer gives."""
    found: torch.Tensor = (output[0] if isinstance(output, tuple) else output)[0]
    return found


def identity(path: Path) -> str:
    """What a model is recognised by: of a run its newest checkpoint, of another folder the contents of its files.

    Raises:
        ValueError: there is no model.
    """
    if not path.is_dir():
        raise ValueError(f"model {path}: no such folder (looked from {Path.cwd()})")
    runs = candidates(path if path.name == "checkpoints" else path / "checkpoints")
    one = path if NAME.fullmatch(path.name) and (path / "state.json").is_file() else runs[-1] if runs else None
    if one is not None:
        if not (one / "state.json").is_file():
            raise ValueError(f"model {path}: the newest checkpoint {one.name} has no state.json; name another one")
        return sha256_json({"checkpoint": sha256_file(one / "state.json")})
    files = sorted({file for pattern in WEIGHTS for file in path.glob(pattern)} - {path / MANIFEST})
    if not files:
        raise ValueError(f"model {path}: neither checkpoints of a run nor a Hugging Face folder")
    return sha256_json({file.name: sha256_file(file) for file in files})


def open_subject(name: str, path: Path, tokenizer: Tokenizer | None = None) -> Subject:
    """Read a model.

    Args:
        tokenizer: of a Hugging Face folder that has only a ``vocab.txt``; otherwise its own is taken.

    Raises:
        ValueError: as ``read_origin`` and ``read_pretrained``; the newest checkpoint of a run is not whole.
    """
    origin = read_origin(path, False)
    if origin is None:
        own = tokenizer or Tokenizer(folder=path)
        pretrained = read_pretrained(path, own)
        config, tensors, head = encoder_config(pretrained.config, 1, Model()), pretrained.tensors, MLM_HEAD
        pooler = "ernie.pooler.dense.weight" in tensors
    else:
        if origin.kind == "run" and identity(path) != sha256_json({"checkpoint": origin.fingerprint}):
            raise ValueError("\n".join([f"model {path}: name another checkpoint", *origin.notes]))
        own, tensors, config = origin.tokenizer, origin.tensors, restored(origin.encoder)
        masked = [task for task in origin.learned if origin.config["tasks"][task]["kind"] == "knowledge_masking"]
        head = f"heads.{masked[0]}." if masked else ""
        pooler = bool(origin.record()["pooler"])
    encoder = build_encoder(config)
    _fill(encoder, {key.removeprefix("ernie."): value for key, value in tensors.items() if key.startswith("ernie.")})
    return Subject(
        name=name,
        encoder=encoder.eval(),
        head=_head(config, encoder, tensors, head) if head else None,
        tokenizer=own,
        longest=int(config.max_position_embeddings),
        pooler=pooler,
    )


@torch.no_grad()
def _fill(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Weights by name. What a Hugging Face folder may lack: a task table is 0, which changes nothing; a pooler is as
    initialised.

    Raises:
        ValueError: another tensor is missing, or has another shape.
    """
    for name, parameter in module.named_parameters():
        if name in tensors:
            found = tensors[name]
            if found.shape != parameter.shape:
                raise ValueError(
                    f"{name}: the model's weights are of shape {tuple(found.shape)}, its configuration says "
                    f"{tuple(parameter.shape)}"
                )
            parameter.copy_(found)
        elif name == TASK_TABLE or name == "pooler.dense.bias":
            parameter.zero_()
        elif name == "pooler.dense.weight":
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)) * INIT_RANGE)
        else:
            raise ValueError(f"the model's weights lack {name}")


def _head(config: Any, encoder: nn.Module, tensors: Mapping[str, torch.Tensor], prefix: str) -> nn.Module | None:
    """The masked-LM head with its decoder tied to the word embeddings; None where there is none."""
    if f"{prefix}transform.dense.weight" not in tensors:
        return None
    head: Any = KnowledgeMasking().head(config)
    table = encoder.get_parameter("embeddings.word_embeddings.weight")
    head.decoder.weight, head.decoder.bias = table, head.bias
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    _fill(head, {**own, "decoder.weight": table.detach(), "decoder.bias": own["bias"]})
    found: nn.Module = head.eval()
    return found
