"""From and to Hugging Face folders.

    read_pretrained(folder)            a BERT or ERNIE checkpoint -> weights under our names (which are transformers' own)
    export(checkpoint, ..., folder)    a native folder that AutoModel, AutoModelForMaskedLM and AutoTokenizer read

The encoder is transformers' ErnieModel, so export copies tensors. It is called done only when the reloaded model gives the same
logits as the training model on fixed sentences.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from data_prep.files import staged_folder
from pretrain.encoder import Model

MLM_HEAD = "heads.knowledge_masking."
SENTENCES = (
    "北京是中华人民共和国的首都。",
    "长江是亚洲最长的河流，流经十一个省级行政区。",
    "他用 Python 写了一个脚本，部署在 GitHub 上。",
    "The Nile flows north through eleven countries.",
    "Charles Darwin published On the Origin of Species in 1859.",
    "清华大学位于北京市海淀区。",
    "She said: “We will meet in London at 10:30.”",
    "自然语言处理是人工智能的一个重要方向。",
)
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A checkpoint to continue from."""

    config: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]
    notes: list[str]
    """What the user should know: a missing masked-LM head, a missing pooler."""


def read_pretrained(folder: Path, tokenizer: Tokenizer) -> Pretrained:
    """Weights of a BERT or ERNIE folder under our parameter names.

    Raises:
        ValueError: not such a folder, or the shards were made with another vocabulary.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(f"model.path {folder}: no config.json there. Give a BERT or ERNIE folder in Hugging Face format.")
    config = json.loads(file.read_text(encoding="utf-8"))
    kind = config.get("model_type", "bert")
    if kind not in ("bert", "ernie"):
        raise ValueError(f"model.path {folder}: model_type {kind!r} cannot be continued; bert and ernie can")
    vocabulary = _tokens_of(folder)
    if vocabulary is not None and vocabulary[: len(tokenizer.tokens)] != tokenizer.tokens:
        raise ValueError(
            f"model.path {folder} has another vocabulary than the shards ({len(vocabulary)} and {len(tokenizer.tokens)} tokens). "
            f"Prepare the corpus with `vocabulary: {{path: {folder}}}`."
        )
    if config["vocab_size"] < len(tokenizer.tokens):
        raise ValueError(f"model.path {folder} has {config['vocab_size']} embeddings, the shards' vocabulary {len(tokenizer.tokens)} tokens")
    tensors = {ours: tensor.float() for name, tensor in _load(folder).items() if (ours := our_name(name)) is not None}
    notes = []
    if MLM_HEAD + "transform.dense.weight" not in tensors:
        notes.append("the checkpoint has no masked-LM head: it starts from random weights, so the loss starts high")
    if "ernie.pooler.dense.weight" not in tensors:
        notes.append("the checkpoint has no pooler")
    return Pretrained(config=config, tensors=tensors, notes=notes)


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


def _tokens_of(folder: Path) -> list[str] | None:
    if (folder / "tokenizer.json").is_file():
        return Tokenizer(folder=folder).tokens
    if (folder / "vocab.txt").is_file():
        return [line.split("\t")[0] for line in (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")][:-1]
    return None


def _load(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    shards = sorted(folder.glob("model*.safetensors"))
    if shards:
        return {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
    if (folder / "pytorch_model.bin").is_file():
        found: dict[str, torch.Tensor] = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
        return found
    raise ValueError(f"model.path {folder}: neither model.safetensors nor pytorch_model.bin there")


def encoder_config(config: Mapping[str, Any], tasks: int, settings: Model) -> Any:
    """ErnieConfig of a checkpoint, with our dropout and a task table of ``tasks`` rows."""
    from transformers import ErnieConfig

    kept: tuple[str, ...] = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
        "max_position_embeddings",
    )
    kept += ("type_vocab_size", "layer_norm_eps", "pad_token_id", "initializer_range")
    values = {name: config[name] for name in kept if name in config}
    values["task_type_vocab_size"] = max(tasks, config.get("task_type_vocab_size", 0) if config.get("use_task_id") else 0)
    return ErnieConfig(**values, use_task_id=True, hidden_dropout_prob=settings.dropout, attention_probs_dropout_prob=settings.attention_dropout)


def split_export(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Weights of a training checkpoint as (Hugging Face names, heads that have no place there)."""
    main: dict[str, torch.Tensor] = {}
    auxiliary: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith("ernie."):
            main[name] = tensor
        elif name.startswith(MLM_HEAD):
            main["cls.predictions." + name.removeprefix(MLM_HEAD)] = tensor
        else:
            auxiliary[name.removeprefix("heads.")] = tensor
    return main, auxiliary


def export(tensors: Mapping[str, torch.Tensor], config: Any, tokenizer_folder: Path, folder: Path, card: str, manifest: Mapping[str, Any]) -> None:
    """Write the folder; the caller verifies it before it is published under its name."""
    from safetensors.torch import save_file

    main, auxiliary = split_export(tensors)
    values = config.to_dict()
    values |= {"architectures": ["ErnieForMaskedLM"], "torch_dtype": "float32"}
    for name in ("_attn_implementation", "_attn_implementation_autoset", "dtype"):
        values.pop(name, None)
    (folder / "config.json").write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    save_file({name: tensor.contiguous() for name, tensor in main.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    if auxiliary:
        save_file({name: tensor.contiguous() for name, tensor in auxiliary.items()}, folder / "auxiliary_heads.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if (tokenizer_folder / name).is_file():
            shutil.copyfile(tokenizer_folder / name, folder / name)
    settings = folder / "tokenizer_config.json"
    tokenizer_values = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    tokenizer_values["model_max_length"] = config.max_position_embeddings
    settings.write_text(json.dumps(tokenizer_values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors creates private files
    (folder / "README.md").write_text(card, encoding="utf-8")
    (folder / "training_manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


@torch.no_grad()
def training_logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Vocabulary logits (T, V) of the training model, through its own packed path, for one sample (T,)."""
    from pretrain.batch import Batch
    from pretrain.encoder import encode

    length = len(ids)
    steps = torch.arange(length)
    zeros = torch.zeros(1, length, dtype=torch.long)
    batch = Batch(
        input_ids=ids[None],
        position_ids=steps[None],
        token_type_ids=zeros,
        task_type_ids=zeros,
        cu_seqlens=torch.tensor([0, length], dtype=torch.int32),
        max_seqlen=length,
        pack_SL=steps[None],
        real_SL=torch.ones(1, length, dtype=torch.bool),
        unpack_T=steps,
        cls_positions_S=torch.zeros(1, dtype=torch.long),
        targets={},
        counts={},
        real_tokens=length,
        masked_tokens=0,
        maskable_tokens=0,
    )
    model.eval()
    logits: torch.Tensor = model.heads["knowledge_masking"](encode(model.ernie, batch))
    return logits


@torch.no_grad()
def verify(folder: Path, model: Any) -> float:
    """Reload an exported folder with the Auto classes and compare logits with the training model.

    Returns:
        The largest absolute difference over SENTENCES.

    Raises:
        ValueError: a class cannot load it completely, or logits differ by more than TOLERANCE.
    """
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()  # what is missing is checked below, what is left over is known
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    reloaded, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    encoder, encoder_info = AutoModel.from_pretrained(folder, output_loading_info=True)
    missing = [name for name in [*info["missing_keys"], *encoder_info["missing_keys"]] if "decoder" not in name]
    if missing:
        raise ValueError(f"export refused: the reloaded model lacks {', '.join(missing[:5])}")
    reloaded.eval()
    encoder.eval()
    worst = 0.0
    for sentence in SENTENCES:
        inputs = tokenizer(sentence, return_tensors="pt", truncation=True)
        ours = training_logits(model, inputs["input_ids"][0])
        worst = max(worst, float((reloaded(**inputs).logits[0] - ours).abs().max()))
        hidden = encoder(**inputs).last_hidden_state
        worst = max(worst, float((reloaded.ernie(**inputs).last_hidden_state - hidden).abs().max()))
    if not worst <= TOLERANCE:
        raise ValueError(f"export refused: logits of the reloaded model differ from the training model by {worst:.2e} (allowed {TOLERANCE:.0e})")
    return worst


def export_run(tensors: Mapping[str, torch.Tensor], model: Any, tokenizer_folder: Path, target: Path, card: str, manifest: Mapping[str, Any]) -> float:
    """Export to ``target``, verified before it appears under that name. Returns the largest logit difference."""
    if target.exists():
        raise ValueError(f"{target} exists already; delete it or choose another folder")
    with staged_folder(target) as staging:
        export(tensors, model.config, tokenizer_folder, staging, card, manifest)
        return verify(staging, model)
