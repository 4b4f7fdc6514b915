"""What every exported folder has, of the main model and of second encoders: its config.json, its tokenizer, what it is
verified on."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from data_prep.files import write_atomic

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
PAIR = (SENTENCES[0], SENTENCES[5])
"""A sample of two segments."""
TOLERANCE = 1e-4
BOUNDS = {"fp32": TOLERANCE, "fp16": 0.02, "bf16": 0.1}
"""What numbers of a reloaded model may differ by: fp32 by so much; halves, whose weights are rounded, by so large a
share of the largest number (computed in fp32)."""
FROM_SOURCE = ("classifier_dropout", "position_embedding_type", "bos_token_id", "eos_token_id")
"""Fields of the start checkpoint's config.json that fine-tuning or other programs read and that training does not
touch."""
DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")
DROPOUT_OF_MODERNBERT = ("embedding_dropout", "mlp_dropout", "attention_dropout")
DROPOUT_OF_BERT = 0.1
"""What a config.json that names no dropout means."""
NORMALIZER = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
"""Settings of a BertTokenizer by the names that tokenizer.json has for them."""
SPECIAL_NAMES = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
TORCH_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
DROPPED = (
    "id2label",
    "label2id",
    "problem_type",
    "_name_or_path",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "dtype",
)
"""Labels would clash with `num_labels` of whoever fine-tunes; the rest describes this process, not the model."""


def exported_config(shape: Mapping[str, Any], source: Mapping[str, Any], dtype: str = "fp32") -> dict[str, Any]:
    """config.json of an export.

    Args:
        shape: the encoder as trained (to_dict of its configuration), with the `architectures` that read it.
        source: config.json of the start checkpoint; empty when training began from scratch.
        dtype: what weights are written in; runtimes before transformers 5 read it as `torch_dtype`.
    """
    values = {name: value for name, value in shape.items() if name not in DROPPED}
    values |= {"torch_dtype": TORCH_DTYPES[dtype]}
    values |= {name: source[name] for name in FROM_SOURCE if name in source}
    if source:
        names = [name for name in DROPOUT if name in values]
        values |= {name: DROPOUT_OF_BERT if source.get(name) is None else source[name] for name in names}
        values |= {name: source[name] for name in DROPOUT_OF_MODERNBERT if name in values and name in source}
    return values


def write_config(folder: Path, values: Mapping[str, Any]) -> None:
    """config.json, in the order of its keys."""
    write_atomic(folder / "config.json", json.dumps(values, indent=2, sort_keys=True) + "\n")


def write_tokenizer(source: Path, folder: Path, longest: int) -> None:
    """The tokenizer of a run, for models that read ``longest`` tokens, with every file that a runtime looks for.

    tokenizer.json is the truth. A WordPiece vocabulary is also written as vocab.txt, which runtimes before
    tokenizer.json read, with the rules that it leaves open in tokenizer_config.json.
    """
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    rules = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    settings, special = (
        json.loads((source / name).read_text(encoding="utf-8")) if (source / name).is_file() else {}
        for name in ("tokenizer_config.json", "special_tokens_map.json")
    )
    tokens = Tokenizer(folder=source).tokens
    if rules["model"].get("type") == "WordPiece":
        write_atomic(folder / "vocab.txt", "".join(f"{token}\n" for token in tokens))
        normalizer = rules.get("normalizer") or {}
        if normalizer.get("type") == "BertNormalizer":
            settings = {new: normalizer[old] for new, old in NORMALIZER.items()} | settings
        if settings.get("tokenizer_class") in (None, "TokenizersBackend"):  # of transformers 5 alone
            settings["tokenizer_class"] = "BertTokenizer"
        special = special or {name: token for name, token in SPECIAL_NAMES.items() if token in tokens}
    values = {**special, **settings, "model_max_length": longest}
    for name, value in (("tokenizer_config.json", values), ("special_tokens_map.json", special)):
        write_atomic(folder / name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def one_sample(ids: torch.Tensor, segments: torch.Tensor | None = None) -> Any:
    """A batch of one sample (T,), as training makes them; segments int64 (T,), all 0 where left out."""
    from pretrain.feed.batch import texts_batch

    batch = texts_batch([ids.numpy()])
    return batch if segments is None else dataclasses.replace(batch, token_type_ids=segments[None])
