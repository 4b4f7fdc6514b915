"""transformers' own ERNIE: ErnieForPreTraining, ErnieForMaskedLM or ErnieModel, by what was learned.

    ernie.*                         as it is
    heads.knowledge_masking.*       cls.predictions.*
    heads.TASK.{weight,bias}        cls.seq_relationship.*       of next_sentence, else of sentence_order

The encoder is transformers' ErnieModel, so tensors are copied. Another encoder than ErnieModel goes out here too: by
the names and the config.json that its own file gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pretrain.formats import Format, Trained
from pretrain.state.export_parts import exported_config, write_config
from pretrain.state.heads import MASKED_LM, PAIR_HEAD
from pretrain.state.importing import MLM_HEAD
from pretrain.state.tensor_files import write


@dataclass(frozen=True, kw_only=True)
class Ernie(Format):
    """The classes of transformers that the model was trained as."""

    BASE: ClassVar[bool] = True

    def write(self, trained: Trained, folder: Path) -> None:
        write_config(folder, ernie_config(trained))
        write(folder / "model.safetensors", trained.weights.renamed(hub_names(trained)), trained.dtype)


def ernie_config(trained: Trained) -> dict[str, Any]:
    """config.json."""
    return exported_config(trained.shape, trained.source, f"Ernie{class_of(trained)}", trained.dtype)


def class_of(trained: Trained) -> str:
    """Which of a model type's classes has all that the Auto classes read."""
    if trained.masked_lm and trained.pair_task:
        return "ForPreTraining"
    return "ForMaskedLM" if trained.masked_lm else "Model"


def hub_names(trained: Trained) -> Mapping[str, str]:
    """Names in model.safetensors -> our names."""
    names = {name: name for name in trained.weights if name.startswith("ernie.")}
    names |= {
        MASKED_LM + name.removeprefix(MLM_HEAD): name for name in trained.weights if name.startswith(MLM_HEAD)
    }
    if trained.masked_lm and trained.pair_task:
        names |= {f"{PAIR_HEAD}{part}": f"heads.{trained.pair_task}.{part}" for part in ("weight", "bias")}
    return names
