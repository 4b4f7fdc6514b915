"""A small encoder that learns batches of one task by heart, with their own labels or shuffled ones.

learn(run, corpus, batches, ...) -> Learned        hits(model, batches, ...) -> (share of right targets, targets)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from masking.keyed import hash_key, uniform_array
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.batch import Batch
from pretrain.metrics.sums import rows_of
from pretrain.setup import build_model

PROBE = "probe"
"""Name of the task."""
EPOCHS, CPU_SECONDS = 150, 25.0
RATE = 2e-3
RATES = {"quick_thoughts": 5e-4, "sentence_reordering": 5e-4}
"""Of the kinds that another one suits: products of two states run away at the rate of the others, and rows of short texts
have one or two targets of reordering."""


class Learned(NamedTuple):
    """What became of a model."""

    accuracy: float
    epochs: int
    model: Any


def shuffled(several: Sequence[Batch]) -> list[Batch]:
    """The same batches with their labels in another, keyed order."""
    label_M = torch.cat([batch.targets[PROBE]["label"] for batch in several])
    keys_M = np.uint64(hash_key("shuffled", 1)) + np.arange(len(label_M), dtype=np.uint64)
    label_M = label_M[torch.from_numpy(np.argsort(uniform_array(keys_M, 0)))]
    parts = label_M.split([len(batch.targets[PROBE]["label"]) for batch in several])
    return [
        replace(batch, targets={**batch.targets, PROBE: {**batch.targets[PROBE], "label": part}})
        for batch, part in zip(several, parts, strict=True)
    ]


def sums(model: Any, batch: Batch, group: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of a batch, and (loss sum, hits, targets) of all targets or of a group; drawing is the same each time."""
    torch.manual_seed(1)
    loss, stats = model(batch, {PROBE: 1.0 / max(batch.counts[PROBE], 1)})
    rows = rows_of(stats, {PROBE: model.objectives[PROBE].groups})[PROBE]
    return loss, rows[0 if group is None else 1 + group].detach()


def learn(run: Run, corpus: Corpus, several: Sequence[Batch], group: int | None, rate: float) -> Learned:
    """Train on the same batches until they are known by heart, or time is over."""
    model = build_model(run, 0, corpus.tokenizer)
    optimizer = torch.optim.AdamW((item for item in model.parameters() if item.requires_grad), rate, weight_decay=0.0)
    begun, accuracy, epoch = time.process_time(), 0.0, 0
    while epoch < EPOCHS and accuracy < 0.99 and time.process_time() - begun < CPU_SECONDS:
        total = torch.zeros(3, dtype=torch.float64)
        for batch in several:
            loss, found = sums(model, batch, group)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += found
        accuracy, epoch = float(total[1] / total[2].clamp(min=1)), epoch + 1
    return Learned(hits(model, several, group)[0], epoch, model)


@torch.no_grad()
def hits(model: Any, several: Sequence[Batch], group: int | None) -> tuple[float, int]:
    """(share of right targets, targets)."""
    total = sum((sums(model, batch, group)[1] for batch in several), torch.zeros(3, dtype=torch.float64))
    return float(total[1] / total[2].clamp(min=1)), int(total[2])
