"""An encoder with a head: states of a packed batch, what the head reads of them, logits.

    Samples  ->  flat Batch  ->  states (T, D) of the last layer, or a learned sum of all  ->  (M, D)  ->  logits (M, K)

Shape legend: T positions of a batch, S samples, M positions that a head reads, L layers with the embeddings, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from masking.keyed import hash_key
from pretrain.evaluation.heads import INIT_RANGE, Head
from pretrain.evaluation.inputs import flat
from pretrain.evaluation.subjects import TASK_TABLE, Subject, layer_states
from pretrain.evaluation.tasks import Problem, Sample
from pretrain.evaluation.tuning.training import Training
from pretrain.feed.batch import Batch
from pretrain.network.adapters import Adapter
from pretrain.network.encoder import encode


class ScalarMix(nn.Module):
    """``gamma * sum of softmax(w)_l * states_l``, begun as their mean (Peters et al. 2018, section 3.2)."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.weight, self.gamma = nn.Parameter(torch.zeros(layers)), nn.Parameter(torch.ones(()))

    def forward(self, states_LMD: torch.Tensor) -> torch.Tensor:
        """(M, D)."""
        return self.gamma * torch.einsum("l,lmd->md", self.weight.softmax(0), states_LMD)


class Tuned(nn.Module):
    """What is trained: encoder or an adapter in it, perhaps a mix of its layers, head."""

    def __init__(
        self,
        subject: Subject,
        head: Head,
        problem: Problem,
        training: Training,
        seed: int,
        adapter: Adapter | None = None,
    ) -> None:
        super().__init__()
        self.encoder = subject.fresh_encoder(training.dropout, training.attention_dropout)
        self.pooling, self.tokens, self.layers = training.pooling, problem.TOKENS, subject.layers
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(hash_key("head", seed) % 2**63)
            self.head = head.build(subject.width, problem, training.dropout)
            if not subject.pooler:
                pooler: Any = self.encoder.pooler
                nn.init.normal_(pooler.dense.weight, std=INIT_RANGE)
        self.mix = ScalarMix(subject.layers + 1) if training.layers == "mix" else None
        if adapter is not None:
            adapter.attach(self.encoder, seed)
        self.fixed = {
            f"encoder.{name}"
            for name, parameter in self.encoder.named_parameters()
            if not (_learns(name, adapter, subject.pooler) and (name != TASK_TABLE or bool(parameter.any())))
        }
        """What never moves: the task table of a model that has none, and beside an adapter the encoder."""

    def freeze(self, depth: int, depths: dict[str, int]) -> None:
        """Let only parameters at ``depth`` or above it move."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(depths[name] >= depth and name not in self.fixed)
            if not parameter.requires_grad:
                parameter.grad = None

    def features(self, samples: Sequence[Sample], device: torch.device) -> torch.Tensor:
        """What mix and head read: (M, D), before a mix (L, M, D)."""
        batch = flat([sample.input.ids_T for sample in samples], [sample.input.segments_T for sample in samples])
        batch = batch.to(device)
        states = layer_states(self.encoder, batch) if self.mix is not None else encode(self.encoder, batch)
        if not self.tokens and self.pooling == "mean":
            return _means(states, batch)
        starts = batch.cu_seqlens.tolist()
        places = np.concatenate([start + sample.positions_M for start, sample in zip(starts, samples, strict=False)])
        found = states.index_select(-2, torch.from_numpy(places).to(device))
        if not self.tokens and self.pooling == "pooler":
            pooler: Any = self.encoder.pooler
            found = pooler(found[:, None])
        return found

    def logits(self, features: torch.Tensor, counts_S: Sequence[int]) -> torch.Tensor:
        """(M, K) of features."""
        found: torch.Tensor = self.head(features if self.mix is None else self.mix(features), counts_S)
        return found


def _means(states: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Mean over the positions of each sample, (S, D) or (L, S, D)."""
    counts_S = batch.cu_seqlens.diff().long()
    sample_T = torch.repeat_interleave(torch.arange(len(counts_S), device=states.device), counts_S)
    sums = states.new_zeros(*states.shape[:-2], len(counts_S), states.shape[-1]).index_add(-2, sample_T, states)
    return sums / counts_S[:, None]


def _learns(name: str, adapter: Adapter | None, pooler: bool) -> bool:
    """Does a parameter of the encoder move? Beside an adapter only what it says, and a pooler that begins anew."""
    return adapter is None or adapter.trains(name) or (not pooler and name.startswith("pooler."))
