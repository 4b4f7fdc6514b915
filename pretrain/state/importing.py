"""From Hugging Face folders: a BERT or ERNIE checkpoint as weights under our names, which are transformers' own.

    read_pretrained(folder, tokenizer)       config.json and vocabulary are checked, then all weights are read ->
                                             Pretrained
    encoder_config(config, tasks, settings)  its shape, with our dropout and a task table

Refused is whatever would not compute the same here: another architecture or vocabulary, relative positions, a missing
shard or layer. The other direction is exporting.py.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from data_prep.files import read_json
from pretrain.network.encoder import Model
from pretrain.state.new_words import NewWords

MLM_HEAD = "heads.knowledge_masking."
SHAPE = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)
OTHER_KINDS = {
    "roberta": (
        "its positions begin at 2 and its vocabulary is cut into bytes (Chinese RoBERTa-wwm checkpoints are of "
        "model_type bert and can)"
    ),
    "xlm-roberta": "its positions begin at 2 and its vocabulary is SentencePiece",
    "ernie_m": "its vocabulary is SentencePiece and it has no segments",
}
OTHER_FORMATS = {
    "model_state.pdparams": "PaddlePaddle",
    "tf_model.h5": "TensorFlow",
    "model.ckpt.index": "TensorFlow",
    "flax_model.msgpack": "Flax",
}


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A checkpoint to continue from."""

    config: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]
    notes: list[str]
    """What the user should know: a missing masked-LM head, a missing pooler."""
    words: NewWords
    """What the shards' vocabulary has and the folder's has not."""


def read_pretrained(folder: Path, tokenizer: Tokenizer) -> Pretrained:
    """Weights of a BERT or ERNIE folder under our parameter names.

    Raises:
        ValueError: not such a folder, or the shards were made with another vocabulary.
    """
    config = _read_config(folder)
    notes = []
    vocabulary = _tokens_of(folder)
    if vocabulary is None:
        notes.append(
            "the folder holds no vocabulary (tokenizer.json or vocab.txt) that could be compared with the one of the "
            "shards"
        )
    words = NewWords.between(tokenizer.tokens if vocabulary is None else vocabulary, tokenizer)
    if words is None:
        raise ValueError(
            f"model.path {folder} has another vocabulary than the shards ({len(vocabulary or [])} and "
            f"{len(tokenizer.tokens)} tokens). Prepare the corpus with `vocabulary: {{path: {folder}}}`, "
            "or with what `kmask vocab extend` made of it."
        )
    if not words.tokens and config["vocab_size"] < len(tokenizer.tokens):
        raise ValueError(
            f"model.path {folder} has {config['vocab_size']} embeddings, the shards' vocabulary "
            f"{len(tokenizer.tokens)} tokens"
        )
    tensors = {ours: tensor.float() for name, tensor in _load(folder).items() if (ours := our_name(name)) is not None}
    _check_encoder(folder, config, tensors)
    if MLM_HEAD + "transform.dense.weight" not in tensors:
        notes.append("the checkpoint has no masked-LM head: it starts from random weights, so the loss starts high")
    if "ernie.pooler.dense.weight" not in tensors:
        notes.append("the checkpoint has no pooler")
    return Pretrained(config=config, tensors=tensors, notes=notes, words=words)


def our_name(name: str) -> str | None:
    """Our name of a tensor in a BERT or ERNIE checkpoint, or None for what has no place here.

    bert.encoder.layer.0.output.LayerNorm.gamma  ->  ernie.encoder.layer.0.output.LayerNorm.weight
    """
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    if name.startswith("cls.predictions.decoder.") or name.endswith("position_ids"):
        return None
    if name.startswith("cls.predictions."):
        return MLM_HEAD + name.removeprefix("cls.predictions.")
    if name.startswith("cls."):
        return None
    for prefix in ("bert.", "ernie."):
        if name.startswith(prefix):
            return "ernie." + name.removeprefix(prefix)
    return "ernie." + name if name.startswith(("embeddings.", "encoder.", "pooler.")) else None


def _read_config(folder: Path) -> dict[str, Any]:
    """config.json of an encoder that transformers' ErnieModel computes as it was trained."""
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(
            f"model.path {folder}: no config.json there. Give a BERT or ERNIE folder in Hugging Face format, an export "
            "of kmask, or a run of kmask that has a checkpoint."
        )
    config = read_json(file)
    if not isinstance(config, dict):
        raise ValueError(f"model.path {folder}: config.json is not a JSON object")
    architecture = str((config.get("architectures") or ["Bert"])[0])
    kind = config.get("model_type") or ("bert" if architecture.startswith(("Bert", "Ernie")) else architecture)
    if kind not in ("bert", "ernie"):
        why = f": {OTHER_KINDS[kind]}" if kind in OTHER_KINDS else ""
        raise ValueError(f"model.path {folder}: model_type {kind!r} cannot be continued{why}; bert and ernie can")
    positions = config.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        raise ValueError(
            f"model.path {folder}: position_embedding_type {positions!r} cannot be continued; absolute positions can"
        )
    if config.get("is_decoder"):
        raise ValueError(
            f"model.path {folder}: it is a decoder (is_decoder: true), which reads in one direction; encoders can be "
            "continued"
        )
    missing = [name for name in SHAPE if not isinstance(config.get(name), int)]
    if missing:
        raise ValueError(f"model.path {folder}: config.json does not say {', '.join(missing)}")
    return config


def _tokens_of(folder: Path) -> list[str] | None:
    if (folder / "tokenizer.json").is_file():
        return Tokenizer(folder=folder).tokens
    if (folder / "vocab.txt").is_file():
        return [line.split("\t")[0] for line in (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")][:-1]
    return None


def _weight_files(folder: Path) -> list[Path]:
    """The file that holds all weights, or all of its shards: those an index lists, or those their numbers promise.

    model-00001-of-00003.safetensors  ->  that one, model-00002-of-00003.safetensors and
        model-00003-of-00003.safetensors
    """
    for stem, suffix in (("model", ".safetensors"), ("pytorch_model", ".bin")):
        if (whole := folder / f"{stem}{suffix}").is_file():
            return [whole]
        numbered = sorted(file.name for file in folder.glob(f"{stem}-[0-9]*-of-[0-9]*{suffix}"))
        if (index := folder / f"{stem}{suffix}.index.json").is_file():
            names = sorted(set(read_json(index).get("weight_map", {}).values()))
        elif numbered:
            total = numbered[0].removesuffix(suffix).rpartition("-of-")[2]
            names = [f"{stem}-{number:05d}-of-{total}{suffix}" for number in range(1, int(total) + 1)]
        else:
            continue
        missing = [name for name in names if not (folder / name).is_file()]
        if missing or not names:
            raise ValueError(
                f"model.path {folder}: {len(missing)} of {len(names)} shards are missing ({', '.join(missing[:3])}); "
                "copy the folder again"
            )
        return [folder / name for name in names]
    other = next(
        (
            f" (those of {framework} must be converted first)"
            for name, framework in OTHER_FORMATS.items()
            if (folder / name).exists()
        ),
        "",
    )
    raise ValueError(
        f"model.path {folder}: no weights there{other}: neither model.safetensors nor pytorch_model.bin, whole or in "
        "numbered shards"
    )


def _load(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found: dict[str, torch.Tensor] = {}
    for file in _weight_files(folder):
        try:
            part = (
                load_file(file)
                if file.suffix == ".safetensors"
                else torch.load(file, map_location="cpu", weights_only=True)
            )
        except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ValueError(
                f"model.path {folder}: {file.name} cannot be read ({reason}); download or copy it again"
            ) from None
        found.update({name: tensor for name, tensor in part.items() if isinstance(tensor, torch.Tensor)})
    return found


def _check_encoder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError when embeddings or layers are missing: they would silently begin from random weights."""
    layers = [f"encoder.layer.{layer}.output.dense.weight" for layer in range(config["num_hidden_layers"])]
    missing = [name for name in ("embeddings.word_embeddings.weight", *layers) if f"ernie.{name}" not in tensors]
    if missing:
        names = "`bert.`, `ernie.` or no prefix"
        raise ValueError(
            f"model.path {folder}: its weights lack {', '.join(missing[:3])} (looked for under {names}); it is no "
            "whole BERT or ERNIE"
        )
    rows, width = tensors["ernie.embeddings.word_embeddings.weight"].shape
    if (rows, width) != (config["vocab_size"], config["hidden_size"]):
        said = f"{config['vocab_size']} x {config['hidden_size']}"
        raise ValueError(
            f"model.path {folder}: config.json says {said} word embeddings, the weights hold {rows} x {width}; they "
            "do not belong together"
        )


def encoder_config(config: Mapping[str, Any], tasks: int, settings: Model) -> Any:
    """ErnieConfig of a checkpoint, with our dropout and a task table of ``tasks`` rows."""
    from transformers import ErnieConfig

    kept = (*SHAPE, "hidden_act", "type_vocab_size", "layer_norm_eps", "pad_token_id", "initializer_range")
    values = {name: config[name] for name in kept if name in config}
    values["task_type_vocab_size"] = max(
        tasks, config.get("task_type_vocab_size", 0) if config.get("use_task_id") else 0
    )
    return ErnieConfig(
        **values,
        use_task_id=True,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.attention_dropout,
    )
