"""What a checkpoint is and what a run that begins from it will do: facts for `kmask doctor --model`.

    inspect(path)  ->  Inspection       a Hugging Face folder, a run, one of its checkpoints, or an export of kmask

Nothing is written and no model is built; weights are read once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from data_prep.files import read_json
from pretrain.network.architectures import ENCODER, HEAD
from pretrain.network.encoder import Model
from pretrain.network.kinds import architecture
from pretrain.state.importing import encoder_config, kind_of, our_tensors, read_config, tokens_of
from pretrain.state.origins import Origin, read_origin
from pretrain.state.untrained import POOLER, untrained_parts
from pretrain.state.weight_files import load_weights, weight_files

TASKS = ENCODER + "embeddings.task_type_embeddings.weight"
COMPUTED_BY = {"ernie": "ErnieModel", "electra": "ElectraModel", "modernbert": "ModernBertModel's layers"}


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A checkpoint for people and programs."""

    facts: Mapping[str, Any]
    """What it is, by names that `--json` prints: plain data."""
    will: Sequence[str]
    """What a run that begins from it does, a sentence each."""
    warnings: Sequence[str] = field(default_factory=list)
    """What will not go as it may be expected to."""


def inspect(path: Path) -> Inspection:
    """Look at a checkpoint.

    Raises:
        ValueError: a run cannot begin from it, and why.
    """
    origin = read_origin(path, moments=False)
    return _of_kmask(origin) if origin else _of_folder(path)


def _of_kmask(origin: Origin) -> Inspection:
    shape, tokens = origin.encoder, origin.tokenizer.tokens
    facts = {
        "what": f"{origin.kind} of kmask",
        "step": origin.step,
        "tasks": list(origin.learned),
        **_shape(shape, origin.tensors),
        "vocabulary_rows": shape["vocab_size"],
        "tokenizer_tokens": len(tokens),
        "masked_lm_head": "there" if HEAD + "transform.dense.weight" in origin.tensors else "missing",
        "pooler": "there" if origin.record()["pooler"] else "untrained",
        "began_from": origin.source.get("path", ""),
    }
    will = [
        f"goes on with the heads and rows of the task table of {', '.join(origin.learned)}; all of them must be in "
        "`tasks`, or in `model.drop`",
        "Adam begins anew, or goes on with `model.optimizer: keep`" if origin.kind == "run" else "Adam begins anew",
    ]
    return Inspection(facts=facts, will=will, warnings=list(origin.notes))


def _of_folder(folder: Path) -> Inspection:
    config = read_config(folder)
    raw, tensors = load_weights(folder), our_tensors(folder, config)
    ours = encoder_config(config, 1, Model())
    tokenizer, warnings = _tokenizer(folder, config)
    untrained = untrained_parts(tensors, config)

    def state(part: str, name: str) -> str:
        return "missing" if part + name not in tensors else "looks untrained" if part in untrained else "there"

    kind = architecture(kind_of(config))
    unused = sorted({name.split(".")[0] for name in raw if kind.our_name(name) is None and "position_ids" not in name})
    facts = {
        "what": f"folder of type {kind.KIND}",
        "class": (config.get("architectures") or [""])[0],
        **_shape(ours.to_dict(), tensors),
        "vocabulary_rows": config["vocab_size"],
        "tokenizer_tokens": tokenizer,
        "masked_lm_head": state(HEAD, "transform.dense.weight"),
        "pooler": state(POOLER, "dense.weight"),
        "dtype": sorted({str(item.dtype).removeprefix("torch.") for item in raw.values() if item.is_floating_point()}),
        "files": {file.name: file.stat().st_size for file in weight_files(folder)},
        "unused": unused,
    }
    if facts["dtype"] != ["float32"]:
        warnings.append(f"its weights are {', '.join(facts['dtype'])}; they are read as fp32 and trained as such")
    return Inspection(facts=facts, will=_plans(folder, config, ours, facts), warnings=warnings)


def _shape(encoder: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Sizes of an encoder of ours."""
    kind = encoder.get("model_type", "ernie")
    return {
        "computed_by": COMPUTED_BY.get(kind, kind),
        "parameters": sum(item.numel() for name, item in tensors.items() if name.startswith(ENCODER)),
        "layers": encoder["num_hidden_layers"],
        "hidden": encoder["hidden_size"],
        "word_width": encoder.get("embedding_size", encoder["hidden_size"]),
        "heads": encoder["num_attention_heads"],
        "intermediate": encoder["intermediate_size"],
        "activation": encoder.get("hidden_act", ""),
        "layer_norm_eps": encoder.get("layer_norm_eps"),
        "positions": encoder["max_position_embeddings"],
        "token_types": encoder.get("type_vocab_size", 0),
        "task_rows": len(tensors[TASKS]) if TASKS in tensors else 0,
    }


def _tokenizer(folder: Path, config: Mapping[str, Any]) -> tuple[int | None, list[str]]:
    """Number of tokens, and what is wrong with them."""
    tokens, warnings = tokens_of(folder), []
    if tokens is None:
        return None, ["no tokenizer.json or vocab.txt: nothing tells whether the shards fit; copy the tokenizer there"]
    if len(tokens) > config["vocab_size"]:
        warnings.append(f"the tokenizer has {len(tokens):,} tokens, the model {config['vocab_size']:,} rows: refused")
    if (folder / "vocab.txt").is_file():
        lines = [line.split("\t")[0] for line in (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")][:-1]
        if len(set(lines)) < len(lines):
            twice = next(line for line in lines if lines.count(line) > 1)
            warnings.append(f"vocab.txt has {twice!r} twice: readers that skip it move all later ids")
        if lines[: len(tokens)] != tokens[: len(lines)]:
            warnings.append("vocab.txt and tokenizer.json do not list the same tokens; tokenizer.json is used")
    if not (folder / "tokenizer.json").is_file():
        return len(tokens), [*warnings, "no tokenizer.json; `kmask prepare` needs one"]
    try:
        pad = Tokenizer(folder=folder).special_ids["[PAD]"]
    except ValueError as error:
        return len(tokens), [*warnings, str(error)]
    if config.get("pad_token_id", pad) != pad:
        warnings.append(
            f"config.json says pad_token_id {config['pad_token_id']}, the tokenizer's padding has the id {pad}"
        )
    settings = folder / "tokenizer_config.json"
    reads = read_json(settings).get("model_max_length", 0) if settings.is_file() else 0
    if config["max_position_embeddings"] < reads < 10**9:
        warnings.append(f"the tokenizer lets through {reads:,} tokens, the model has fewer positions")
    return len(tokens), warnings


def _plans(folder: Path, config: Mapping[str, Any], ours: Any, facts: Mapping[str, Any]) -> list[str]:
    """What a run does with the folder."""
    spare = facts["vocabulary_rows"] - (facts["tokenizer_tokens"] or facts["vocabulary_rows"])
    found = [
        f"data.yaml: `vocabulary: {{path: {folder}}}`; pretrain.yaml: `model: {{path: {folder}}}`",
        "before the first step, "
        + ("hidden states are" if facts["masked_lm_head"] == "missing" else "the masked-LM loss is")
        + " compared with what plain transformers computes of the folder; a difference ends the run",
    ]
    if kind_of(config) == "roberta":
        cut = config["max_position_embeddings"] - ours.max_position_embeddings
        found.append(
            f"the first {cut} rows of its positions belong to no token and are left out; token types get two equal rows"
        )
    if facts["masked_lm_head"] != "there":
        state = "begins from random weights" if facts["masked_lm_head"] == "missing" else "is read as it is"
        found.append(
            f"the masked-LM head {state}; "
            "`model.warm_up_head: 500` trains it alone for 500 steps, with the encoder frozen"
        )
    if facts["pooler"] != "there":
        found.append("the pooler begins from random weights and trains as soon as a task reads it")
    if not hasattr(ours, "task_type_vocab_size"):
        found.append("this encoder knows no tasks: sentence-level tasks have no task embedding")
    elif not facts["task_rows"]:
        found.append("a task table is added; row 0 is zero, so that the first step computes what the folder does")
    if spare > 0:
        found.append(f"{spare:,} rows of the word table beyond the tokenizer are kept as they are")
    if facts["unused"]:
        found.append(f"left unused: {', '.join(facts['unused'])}")
    return found
