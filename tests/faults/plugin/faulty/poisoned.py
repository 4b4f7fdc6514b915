"""A user's own objective, `kind: faulty.poisoned`: knowledge masking with a NaN loss for samples that a file names.

    FAULTS_RECORD=FOLDER    every call notes time, sample keys and documents in FOLDER/PID.jsonl
    FAULTS_POISON=FILE      JSON list of sample keys; their targets' losses (and gradients) are NaN

Multiplying by 1 is exact: without poison it is knowledge masking, bit for bit.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pretrain.objectives.knowledge_masking import KnowledgeMasking


@cache
def poison() -> frozenset[int]:
    """The poisoned keys."""
    file = os.environ.get("FAULTS_POISON")
    return frozenset(json.loads(Path(file).read_text())) if file else frozenset()


def record(samples: Any) -> None:
    """Note what was built."""
    if folder := os.environ.get("FAULTS_RECORD"):
        line = {
            "time": time.time(),
            "keys": [int(sample.key) for sample in samples],
            "documents": [sample.document_id for sample in samples],
        }
        with (Path(folder) / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


@dataclass(frozen=True, kw_only=True)
class Poisoned(KnowledgeMasking):
    """Knowledge masking with poison."""

    def targets(self, packed: Any, name: str) -> Any:
        """The targets, and which of them are poisoned."""
        arrays, count = super().targets(packed, name)
        record(packed.samples)
        bad_S = np.array([int(sample.key) in poison() for sample in packed.samples], np.int64)
        sample_M = np.searchsorted(packed.sample_start_S, arrays["position"], "right") - 1
        return {**arrays, "poison": bad_S[sample_M]}, count

    def loss(self, encoding: Any, batch: Any, targets: Mapping[str, torch.Tensor], head: Any) -> Any:
        """The loss; NaN where it is poisoned."""
        found = super().loss(encoding, batch, targets, head)
        factor_M = torch.where(targets["poison"] > 0, torch.nan, 1.0).to(found.per_target.dtype)
        return found._replace(per_target=found.per_target * factor_M)
