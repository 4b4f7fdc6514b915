"""Second encoders inside heads (Objective.companions) as Hugging Face folders of their own, beside the main one.

out/   ->   out-electra-generator/      config.json, model.safetensors, tokenizer, README.md, training_manifest.json

write(module, ...)  ->  verify(folder, module)     the folder reloaded: the same hidden states as the training model's
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pretrain.state.export_parts import (
    SENTENCES,
    TOLERANCE,
    exported_config,
    one_sample,
    write_config,
    write_tokenizer,
)
from pretrain.state.sealing import seal
from pretrain.state.tensor_files import write as write_tensors
from pretrain.state.verifying import quiet

NAME = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)
README = """\
# {name}

An encoder that was trained inside the head of task `{task}` by kmask, beside the model whose folder is `{main}`.
`AutoModel` and `AutoTokenizer` read it: {layers} layers, width {hidden}, vocabulary {vocabulary:,}. {pooler}
`training_manifest.json` says how it was trained.
"""


def companions_of(model: Any) -> dict[tuple[str, str], nn.Module]:
    """Second encoders of all heads, by task and name.

    Raises:
        ValueError: a task names one that is no encoder, or names it so that it can be no folder.
    """
    found = {
        (task, name): module
        for task, head in model.heads.items()
        for name, module in model.objectives[task].companions(head).items()
    }
    for (task, name), module in found.items():
        if not NAME.fullmatch(name) or not hasattr(module, "config"):
            raise ValueError(
                f"task {task!r}: the companion {name!r} must be an encoder of transformers, under a name of letters, "
                "digits, - and _"
            )
    return found


def companion_folder(target: Path, task: str, name: str) -> Path:
    """Where a companion of the export ``target`` goes."""
    return target.with_name(f"{target.name}-{task}-{name}")


def write(
    module: Any, task: str, name: str, tokenizer: Path, target: Path, folder: Path, manifest: Mapping[str, Any]
) -> float:
    """Write an encoder to ``folder`` and verify it; returns the largest difference of a hidden state.

    Args:
        tokenizer: the run's tokenizer folder.
        target: the main export, which the card names.

    Raises:
        ValueError: the reloaded encoder is not the trained one.
    """
    config = module.config
    write_config(folder, exported_config({**config.to_dict(), "architectures": [type(module).__name__]}, {}))
    tensors = dict(module.named_parameters(remove_duplicate=False))
    write_tensors(folder / "model.safetensors", tensors, "fp32")
    write_tokenizer(tokenizer, folder, config.max_position_embeddings)
    shape = {"layers": config.num_hidden_layers, "hidden": config.hidden_size, "vocabulary": config.vocab_size}
    pooler = (
        "It has no pooler: transformers begins one anew."
        if getattr(module, "pooler", None) is None
        else "Its pooler is there."
    )
    card = README.format(
        name=companion_folder(target, task, name).name, task=task, main=target.name, pooler=pooler, **shape
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    worst = verify(folder, module)
    seal(folder, {**manifest, "companion": {"task": task, "name": name}, "verified": {type(module).__name__: worst}})
    return worst


@torch.no_grad()
def verify(folder: Path, module: nn.Module) -> float:
    """Reload a folder and compare hidden states with the training model's own encoder, through its own packed path.

    Raises:
        ValueError: AutoModel cannot load it completely, or a state differs by more than TOLERANCE.
    """
    from transformers import AutoModel, AutoTokenizer

    from pretrain.network.encoder import encode

    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        reloaded, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    missing = [
        name
        for name in info["missing_keys"]
        if getattr(module, "pooler", None) is not None or not name.startswith("pooler.")
    ]
    if missing:
        raise ValueError(f"export refused: the reloaded companion {folder.name} lacks {', '.join(missing[:5])}")
    reloaded.eval()
    module.eval()
    worst = 0.0
    for sentence in SENTENCES:
        inputs = tokenizer(sentence, return_tensors="pt", truncation=True)
        ours = encode(module, one_sample(inputs["input_ids"][0]))
        worst = max(worst, float((reloaded(**inputs).last_hidden_state[0] - ours).abs().max()))
    if not worst <= TOLERANCE:
        raise ValueError(
            f"export refused: hidden states of the reloaded companion differ by {worst:.2e} (allowed {TOLERANCE:.0e})"
        )
    return worst
