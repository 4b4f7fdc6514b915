"""From Hugging Face folders: a checkpoint as weights under our names (network/architectures/).

    read_config(folder)                      config.json of a kind that can be continued, or an error that says why not
    read_pretrained(folder, tokenizer)       vocabulary and special tokens are compared, then all weights are read ->
                                             Pretrained
    encoder_config(config, tasks, settings)  its shape, with our dropout and a task table

Refused is whatever would not compute the same here: an unknown architecture, another vocabulary, relative positions, a
missing shard or layer, a decoder of its own. The other direction is exporting.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from data_prep.files import read_json
from pretrain.network.architectures import ENCODER, HEAD, SHAPE
from pretrain.network.encoder import Model
from pretrain.network.kinds import architecture, kinds
from pretrain.state.new_words import NewWords
from pretrain.state.untrained import POOLER, RULE, untrained_parts
from pretrain.state.weight_files import load_weights

MLM_HEAD = HEAD
WORDS = ENCODER + "embeddings.word_embeddings.weight"
OTHER_KINDS = {
    "xlm-roberta": "its vocabulary is SentencePiece",
    "ernie_m": "its vocabulary is SentencePiece and it has no segments",
    "albert": "its layers share their weights",
    "deberta-v2": "its attention knows relative positions",
}


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A checkpoint to continue from."""

    config: Mapping[str, Any]
    """config.json."""
    tensors: Mapping[str, torch.Tensor]
    """fp32, under our names."""
    notes: list[str]
    """What the user should know: a missing masked-LM head, a missing pooler."""
    words: NewWords
    """What the shards' vocabulary has and the folder's has not."""
    untrained: Sequence[str] = ()
    """Of ``HEAD`` and ``POOLER``, those that are there and look untrained (untrained.py)."""


def read_pretrained(folder: Path, tokenizer: Tokenizer) -> Pretrained:
    """Weights of a folder under our parameter names.

    Raises:
        ValueError: not such a folder, or the shards were made with another vocabulary.
    """
    config = read_config(folder)
    words, told = check_vocabulary(folder, config, tokenizer)
    tensors = our_tensors(folder, config)
    untrained = untrained_parts(tensors, config)
    notes = [*told, *lacking(tensors, untrained)]
    return Pretrained(config=config, tensors=tensors, notes=notes, words=words, untrained=untrained)


def lacking(tensors: Mapping[str, torch.Tensor], untrained: Sequence[str]) -> list[str]:
    """A line for the masked-LM head and for the pooler where they are missing or look untrained."""
    found = []
    if HEAD + "transform.dense.weight" not in tensors:
        found.append("the checkpoint has no masked-LM head: it starts from random weights, so the loss starts high")
    elif HEAD in untrained:
        found.append(f"its masked-LM head looks untrained ({RULE}), so the loss starts high")
    if POOLER + "dense.weight" not in tensors:
        found.append("the checkpoint has no pooler")
    elif POOLER in untrained:
        found.append(f"its pooler looks untrained ({RULE})")
    return found


def kind_of(config: Mapping[str, Any]) -> str:
    """``model_type``, or what the name of the class says where there is none."""
    named = str((config.get("architectures") or ["Bert"])[0])
    guess = {"Bert": "bert", "Ernie": "ernie", "Roberta": "roberta", "Electra": "electra", "ModernBert": "modernbert"}
    return str(
        config.get("model_type") or next((kind for begin, kind in guess.items() if named.startswith(begin)), named)
    )


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint that can be continued.

    Raises:
        ValueError: there is none, or its model cannot.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(
            f"model.path {folder}: no config.json there. Give a folder in Hugging Face format ({', '.join(kinds())}), "
            "an export of kmask, or a run of kmask that has a checkpoint."
        )
    config = read_json(file)
    if not isinstance(config, dict):
        raise ValueError(f"model.path {folder}: config.json is not a JSON object")
    kind = kind_of(config)
    if kind not in kinds():
        why = f": {OTHER_KINDS[kind]}" if kind in OTHER_KINDS else ""
        raise ValueError(f"model.path {folder}: model_type {kind!r} cannot be continued{why}; {_listed(kinds())} can")
    positions = config.get("position_embedding_type") or "absolute"
    if kind != "modernbert" and positions != "absolute":
        raise ValueError(
            f"model.path {folder}: position_embedding_type {positions!r} cannot be continued; absolute positions can"
        )
    if config.get("is_decoder"):
        raise ValueError(
            f"model.path {folder}: it is a decoder (is_decoder: true), which reads in one direction; encoders can be "
            "continued"
        )
    missing = [name for name in SHAPE if type(config.get(name)) is not int]
    if missing:
        raise ValueError(f"model.path {folder}: config.json does not say {', '.join(missing)}")
    encoder_of(folder, config)
    if reason := architecture(kind).refusal(config):
        raise ValueError(f"model.path {folder}: model_type {kind!r} cannot be continued: {reason}")
    return config


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1]


def check_vocabulary(folder: Path, config: Mapping[str, Any], tokenizer: Tokenizer) -> tuple[NewWords, list[str]]:
    """What the shards' vocabulary has and the folder's has not, and notes.

    Raises:
        ValueError: the shards were made with another one, or with more tokens than the model has rows.
    """
    vocabulary = tokens_of(folder)
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
    if kind_of(config) == "roberta" and config.get("pad_token_id", 1) != (pad := tokenizer.special_ids["[PAD]"]):
        raise ValueError(
            f"model.path {folder}: its tokenizer disagrees with the model: config.json says pad_token_id "
            f"{config.get('pad_token_id', 1)}, from which positions are counted, and the padding token has the id {pad}"
        )
    if vocabulary is None:
        return words, [
            "the folder holds no vocabulary (tokenizer.json or vocab.txt) that could be compared with the one of the "
            "shards"
        ]
    return words, []


def tokens_of(folder: Path) -> list[str] | None:
    """The folder's vocabulary; None when it holds none."""
    if (folder / "tokenizer.json").is_file():
        return Tokenizer(folder=folder).tokens
    if (folder / "vocab.txt").is_file():
        return [line.split("\t")[0] for line in (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")][:-1]
    return None


def our_tensors(folder: Path, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """All weights that have a place here, fp32.

    Raises:
        ValueError: files or layers are missing, or the decoder is another table than the words.
    """
    kind = architecture(kind_of(config))
    found = {ours: item.float() for name, item in load_weights(folder).items() if (ours := kind.our_name(name))}
    decoder, bias = found.pop(HEAD + "decoder.weight", None), found.pop(HEAD + "decoder.bias", None)
    if decoder is not None and WORDS in found and not torch.equal(decoder, found[WORDS]):
        raise ValueError(
            f"model.path {folder}: its masked-LM head has a decoder of its own (tie_word_embeddings: "
            f"{str(config.get('tie_word_embeddings', True)).lower()}), which differs from the word embeddings; here "
            "they are one table"
        )
    if bias is not None:
        found.setdefault(HEAD + "bias", bias)
    found = kind.imported(found, config)
    _check_encoder(folder, config, found)
    return found


def encoder_of(folder: Path, config: Mapping[str, Any]) -> torch.nn.Module:
    """The encoder that config.json describes, shapes alone.

    Raises:
        ValueError: transformers cannot build it.
    """
    try:
        shape = encoder_config(config, 1, Model())
        with torch.device("meta"):
            return architecture(shape.model_type).build(shape, pooler=False)
    except Exception as error:  # KeyError for an activation, and what the checks of configurations raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"model.path {folder}: config.json describes no encoder ({reason})") from None


def _check_encoder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError when a tensor of the encoder is missing, which would silently begin from random weights, or has
    another shape than config.json says."""
    for name, parameter in encoder_of(folder, config).named_parameters():
        if "task_type_embeddings" in name:
            continue
        found = tensors.get(ENCODER + name)
        if found is None:
            raise ValueError(
                f"model.path {folder}: its weights lack {name} (looked for under {_prefixes(config)}); it is no whole "
                f"model of type {kind_of(config)}"
            )
        if found.shape != parameter.shape:
            said, there = (" x ".join(map(str, item.shape)) for item in (parameter, found))
            raise ValueError(
                f"model.path {folder}: config.json says {said} for {name}, the weights hold {there}; they do not "
                "belong together"
            )


def _prefixes(config: Mapping[str, Any]) -> str:
    return ", ".join(f"`{prefix}`" for prefix in architecture(kind_of(config)).PREFIXES) + " or no prefix"


def encoder_config(config: Mapping[str, Any], tasks: int, settings: Model) -> Any:
    """The encoder's configuration (transformers') of a checkpoint, with our dropout and a task table of ``tasks`` rows
    where it has one."""
    kind = architecture(kind_of(config))
    return kind.encoder_config(config, tasks, settings.dropout, settings.attention_dropout)
