"""What the formats that are an architecture of transformers share: its own class's config.json and weights.

    our weights  --to_hub (network/architectures/)-->  its names and shapes  -->  config.json, model.safetensors
    heads.TASK.{weight,bias}                      -->  cls.seq_relationship.*, where the architecture has it

An architecture without a task table gets row 0 of ours, which fine-tuning feeds, added to its segment table: exactly
what ERNIE computes of plain text (one rounding of a sum in fp32). The two tables as they were trained then lie in
unfolded_embeddings.safetensors, so that training can go on from the folder without a loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pretrain.formats import Format, Trained
from pretrain.network.kinds import architecture
from pretrain.state.export_parts import exported_config, write_config
from pretrain.state.heads import PAIR_HEAD, UNFOLDED
from pretrain.state.tensor_files import write

TABLES = ("ernie.embeddings.token_type_embeddings.weight", "ernie.embeddings.task_type_embeddings.weight")


@dataclass(frozen=True, kw_only=True)
class Native(Format):
    """An architecture of transformers."""

    BASE: ClassVar[bool] = True
    KIND: ClassVar[str]
    """Its ``model_type``."""
    PAIRS: ClassVar[str] = ""
    """Its class with a masked-LM head and `cls.seq_relationship`; empty: it has none."""

    def write(self, trained: Trained, folder: Path) -> None:
        hub = architecture(self.KIND).to_hub(trained.weights, trained.shape)
        config, tensors = dict(hub.config), dict(hub.tensors)
        if self.pairs(trained):
            config["architectures"] = [self.PAIRS]
            names = {PAIR_HEAD + part: f"heads.{trained.pair_task}.{part}" for part in ("weight", "bias")}
            tensors |= trained.weights.renamed(names)
        write_config(folder, exported_config(config, trained.source, trained.dtype))
        write(folder / "model.safetensors", tensors, trained.dtype)
        if all(name in trained.weights for name in TABLES) and "task_type_vocab_size" not in config:
            write(folder / UNFOLDED, trained.weights.renamed({name: name for name in TABLES}), "fp32")

    def pairs(self, trained: Trained) -> bool:
        """Does a folder of this architecture hold `cls.seq_relationship`?"""
        return bool(self.PAIRS and trained.masked_lm and trained.pair_task)
