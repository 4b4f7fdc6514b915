"""Measures: one file here is one way to evaluate a model. ``kind: cloze`` is ``measures/cloze.py``.

A new measure says what it found for every example (metrics.Outcome); tables, error bars, significance, and being taken
up again after a kill come free.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from pretrain.evaluation.results import Found
from pretrain.evaluation.subjects import Subject

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Measure(ABC):
    """One evaluation of a model."""

    PAPER: ClassVar[str] = ""
    """Where it was published."""
    PIECES: ClassVar[str] = ""
    """The field that lists the pieces, as `seeds`: one more of them leaves the results of the others as they are."""

    def pieces(self) -> Sequence[str]:
        """Parts that are measured and kept one by one, as the seeds of a fine-tuning: names without `/`."""
        return ("all",)

    def files(self) -> Sequence[Path]:
        """What it reads beside the model; their contents belong to the fingerprint of a result.

        Raises:
            ValueError: one is missing or not what it should be.
        """
        return ()

    def check(self, subject: Subject) -> None:
        """Raise ValueError when this model cannot be measured, before anything is computed."""
        return

    @abstractmethod
    def measure(self, subject: Subject, piece: str, device: torch.device, say: Say) -> Found:
        """Measure one piece. A function of its arguments and the files alone.

        Raises:
            ValueError: a file cannot be measured; with file and line.
        """
