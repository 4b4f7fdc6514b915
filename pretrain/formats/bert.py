"""Plain BERT, for runtimes that know no ERNIE: BertForPreTraining, BertForMaskedLM or BertModel, by what was learned.

    token_type_embeddings[s] + task_type_embeddings[0]   ->   bert.embeddings.token_type_embeddings[s]

ERNIE adds a row of the task table to every token, and fine-tuning feeds row 0: added to both rows of the segment table,
it is exactly there in a model that has no task table (one rounding of a sum in fp32). The two tables as they were
trained lie beside it in unfolded_embeddings.safetensors, so that training can go on from the folder without a loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from pretrain.formats import Format, Trained
from pretrain.formats.ernie import class_of, hub_names
from pretrain.state.export_parts import exported_config, write_config
from pretrain.state.heads import UNFOLDED
from pretrain.state.tensor_files import write

SEGMENTS = "ernie.embeddings.token_type_embeddings.weight"
TASKS = "ernie.embeddings.task_type_embeddings.weight"
NOT_BERT = ("use_task_id", "task_type_vocab_size")


@dataclass(frozen=True, kw_only=True)
class Bert(Format):
    """The same numbers as a BERT."""

    BASE: ClassVar[bool] = True

    def write(self, trained: Trained, folder: Path) -> None:
        values = exported_config(trained.shape, trained.source, f"Bert{class_of(trained)}", trained.dtype)
        values = {name: value for name, value in values.items() if name not in NOT_BERT}
        write_config(folder, {**values, "model_type": "bert"})
        weights = trained.weights
        tables = [name for name in (SEGMENTS, TASKS) if name in weights]

        def folded() -> torch.Tensor:
            return weights[SEGMENTS] + weights[TASKS][0]

        names = {
            f"bert.{new.removeprefix('ernie.')}" if new.startswith("ernie.") else new: name
            for new, name in hub_names(trained).items()
            if name != TASKS
        }
        exported = weights.renamed(names)
        if TASKS in tables:
            exported = exported.replaced(f"bert.{SEGMENTS.removeprefix('ernie.')}", folded)
            write(folder / UNFOLDED, weights.renamed({name: name for name in tables}), "fp32")
        write(folder / "model.safetensors", exported, trained.dtype)
