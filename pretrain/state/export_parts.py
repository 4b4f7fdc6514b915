"""What every exported folder has, of the main model and of second encoders: its config.json, its tokenizer, what it is
verified on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

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
FROM_SOURCE = ("classifier_dropout", "position_embedding_type", "bos_token_id", "eos_token_id")
"""Fields of the start checkpoint's config.json that fine-tuning or other programs read and that training does not
touch."""
DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")
DROPOUT_OF_BERT = 0.1
"""What a config.json that names no dropout means."""
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


def exported_config(shape: Mapping[str, Any], source: Mapping[str, Any], masked_lm: bool = True) -> dict[str, Any]:
    """config.json of an export, with or without a masked-LM head.

    Args:
        shape: the encoder as trained (ErnieConfig.to_dict).
        source: config.json of the start checkpoint; empty when training began from scratch.
    """
    values = {name: value for name, value in shape.items() if name not in DROPPED}
    values |= {"architectures": ["ErnieForMaskedLM" if masked_lm else "ErnieModel"], "torch_dtype": "float32"}
    values |= {name: source[name] for name in FROM_SOURCE if name in source}
    if source:
        values |= {name: DROPOUT_OF_BERT if source.get(name) is None else source[name] for name in DROPOUT}
    return values


def write_tokenizer(source: Path, folder: Path, longest: int) -> None:
    """The tokenizer of a run, for models that read ``longest`` tokens."""
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    settings = folder / "tokenizer_config.json"
    values = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    values["model_max_length"] = longest
    settings.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def one_sample(ids: torch.Tensor) -> Any:
    """A batch of one sample (T,), as training makes them."""
    from pretrain.feed.batch import texts_batch

    return texts_batch([ids.numpy()])
