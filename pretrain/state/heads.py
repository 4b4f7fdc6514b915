"""Every head that a model ever learned, as an export keeps them beside what the Auto classes read.

    load_heads("runs/my/model")  ->  {"knowledge_masking": {"bias": ..., "transform.dense.weight": ...},
                                      "sentence_reordering": {"weight": (classes, D), "bias": (classes,)}}

The masked-LM head lies in model.safetensors, the others in auxiliary_heads.safetensors as TASK.PARAMETER;
training_manifest.json says which tasks there are and how each was configured. `kmask train --continue-from` and
`kmask eval` read an export by itself; this is for other programs.
"""

from __future__ import annotations

from pathlib import Path

import torch

from data_prep.files import read_json
from pretrain.state.importing import MLM_HEAD
from pretrain.state.tensor_files import stored

AUXILIARY = "auxiliary_heads.safetensors"
UNFOLDED = "unfolded_embeddings.safetensors"
"""Tables that an export as plain BERT adds up, as they were trained, under our names (formats/bert.py)."""
MANIFEST = "training_manifest.json"
MASKED_LM = "cls.predictions."
"""What transformers puts before the names of the masked-LM head."""
PAIR_HEAD = "cls.seq_relationship."
"""And before those of the head that asks whether the second segment follows the first: class 0, it does."""


def load_heads(folder: str | Path) -> dict[str, dict[str, torch.Tensor]]:
    """Heads of an export by task: tensors by the names of the head's own parameters, on the CPU.

    Raises:
        ValueError: the folder is no export of kmask, or lacks the head of a task that its manifest lists.
    """
    folder = Path(folder)
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    if not isinstance(manifest, dict) or "learned" not in manifest:
        raise ValueError(f"{folder}: no export of kmask (its {MANIFEST} is missing or says nothing of tasks)")
    masked = MLM_HEAD.removeprefix("heads.")
    weights = stored(folder / "model.safetensors")
    names = {masked + name.removeprefix(MASKED_LM): name for name in weights if name.startswith(MASKED_LM)}
    found = {name: weights[old] for name, old in names.items()}
    if (folder / AUXILIARY).is_file():
        found |= stored(folder / AUXILIARY)
    heads: dict[str, dict[str, torch.Tensor]] = {task: {} for task in manifest["learned"]}
    for name, tensor in found.items():
        task, _, parameter = name.partition(".")
        heads.setdefault(task, {})[parameter] = tensor
    return heads
