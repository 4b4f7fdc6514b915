"""Formats of an export: one file here is one kind of folder, or one thing beside the model in it.

``--format sentence-transformers`` is ``formats/sentence_transformers.py``. A folder has exactly one base, which writes
config.json and the weights as an architecture of transformers (``ernie``, ``bert``, ...); others add files beside them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pretrain.state.tensor_files import Weights
from pretrain.state.verifying import Expected


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What is exported, as formats see it."""

    shape: Mapping[str, Any]
    """The encoder as trained: transformers' config of it, as a mapping."""
    source: Mapping[str, Any]
    """config.json of the start checkpoint; empty when training began from scratch."""
    weights: Weights
    """By our names: `ernie.*` and `heads.TASK.*`."""
    masked_lm: bool
    """Was a masked-LM head learned?"""
    pair_task: str
    """The task whose head can be `cls.seq_relationship`; empty: none."""
    dtype: str
    """fp32, bf16 or fp16: what weights are written in."""


@dataclass(frozen=True, kw_only=True)
class Format(ABC):
    """What one kind of export writes into the folder, and how that is verified."""

    BASE: ClassVar[bool] = False
    """Does it write config.json and the weights?"""

    def check(self) -> None:
        """Raise ValueError, before anything is written, when this machine lacks something that it needs."""
        return

    @abstractmethod
    def write(self, trained: Trained, folder: Path) -> None:
        """Write its files; those of the base, and the tokenizer, are there before any other's."""

    def verify(self, folder: Path, expected: Expected) -> Mapping[str, float]:
        """The largest difference to the training model by what was compared, beside what the Auto classes are asked.

        Raises:
            ValueError: something cannot be loaded, or differs by more than it may.
        """
        return {}
