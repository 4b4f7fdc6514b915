"""Is the first number of a text's [CLS] state positive? A measure that costs nothing and differs from model to
model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from pretrain.evaluation.inputs import encode, flat
from pretrain.evaluation.measures import Measure, Say
from pretrain.evaluation.metrics import Outcome
from pretrain.evaluation.results import Found
from pretrain.evaluation.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class FirstState(Measure):
    """The share of texts with a positive one, and the mean of its square."""

    PIECES: ClassVar[str] = "seeds"
    measured: ClassVar[list[str]] = []
    """(model, piece) of everything that was measured, in order."""

    path: str
    """A text a line."""
    seeds: list[int] = field(default_factory=lambda: [1])
    """Each shifts what is asked for a little."""
    scale: float = 0.01
    """By how much."""
    headless: bool = False
    """Refuse every model, as if it lacked a head."""
    stop_at: str = ""
    """A piece that is not lived to see."""

    def pieces(self) -> Sequence[str]:
        return [f"seed-{seed}" for seed in self.seeds]

    def files(self) -> Sequence[Path]:
        return [Path(self.path)]

    def check(self, subject: Subject) -> None:
        if self.headless:
            raise ValueError(f"model {subject.name} has no head")

    def measure(self, subject: Subject, piece: str, device: torch.device, say: Say) -> Found:
        if piece == self.stop_at:
            raise KeyboardInterrupt
        self.measured.append(f"{subject.name} {piece}")
        texts = Path(self.path).read_text(encoding="utf-8").splitlines()
        batch = flat([encode(subject.tokenizer, subject.longest, text).ids_T for text in texts])
        state_N = subject.hidden(batch)[batch.cls_positions_S, 0].double().numpy()
        state_N = state_N + self.scale * int(piece.removeprefix("seed-"))
        ones = np.ones(len(state_N))
        outcomes = {
            "positive": Outcome(metric="ratio", rows=np.stack([state_N > 0, ones], 1).astype(np.float64)),
            "square": Outcome(metric="ratio", rows=np.stack([state_N**2, ones], 1), lower_is_better=True),
        }
        return Found(outcomes=outcomes, facts={"texts": len(texts)})
