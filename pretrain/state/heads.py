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
from pretrain.network.architectures import HEAD
from pretrain.network.kinds import architecture
from pretrain.state.importing import read_config
from pretrain.state.tensor_files import stored

AUXILIARY = "auxiliary_heads.safetensors"
UNFOLDED = "unfolded_embeddings.safetensors"
"""Tables that an export as plain BERT adds up, as they were trained, under our names (formats/bert.py)."""
MANIFEST = "training_manifest.json"
PAIR_HEAD = "cls.seq_relationship."
"""What transformers puts before the names of the head that asks whether the second segment follows the first: class 0,
it does."""


def load_heads(folder: str | Path) -> dict[str, dict[str, torch.Tensor]]:
    """Heads of an export by task: tensors by the names of the head's own parameters, on the CPU.

    Raises:
        ValueError: the folder is no export of kmask, or lacks the head of a task that its manifest lists.
    """
    folder = Path(folder)
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    if not isinstance(manifest, dict) or "learned" not in manifest:
        raise ValueError(f"{folder}: no export of kmask (its {MANIFEST} is missing or says nothing of tasks)")
    weights, kind = stored(folder / "model.safetensors"), architecture(read_config(folder)["model_type"])
    ours = {name: kind.our_name(name) or "" for name in weights}
    found = {new.removeprefix("heads."): weights[name] for name, new in ours.items() if new.startswith(HEAD)}
    if (folder / AUXILIARY).is_file():
        found |= stored(folder / AUXILIARY)
    heads: dict[str, dict[str, torch.Tensor]] = {task: {} for task in manifest["learned"]}
    for name, tensor in found.items():
        task, _, parameter = name.partition(".")
        heads.setdefault(task, {})[parameter] = tensor
    return heads
