"""One training of a head, or of encoder and head, for a task: epochs over packed batches, chosen by dev.

    order of the examples   keyed by seed and epoch
    dropout                 torch's generator, set anew in every step from seed and step
    epochs                  the one with the best first figure on dev is kept

The same seed gives the same result on the same machine. Batches hold real tokens only.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from masking.keyed import hash_key, permute
from pretrain.evaluation.heads import Head
from pretrain.evaluation.inputs import groups
from pretrain.evaluation.metrics import Outcome
from pretrain.evaluation.subjects import Subject
from pretrain.evaluation.tasks import Problem, Sample
from pretrain.evaluation.tuning.training import Training, depth_of, parameter_groups
from pretrain.evaluation.tuning.tuned import Tuned
from pretrain.network.adapters import Adapter

FEATURE_BYTES = 2 << 30
"""Frozen features above this size are computed anew in every epoch, and not kept."""
BETAS = (0.9, 0.999)

Logits = list[npt.NDArray[np.float32]]


class Trained(NamedTuple):
    """A training that is over."""

    epoch: int
    """Which epoch was kept, from 1."""
    dev: list[float]
    """The first figure on dev after every epoch."""
    loss: list[float]
    """Mean training loss of every epoch."""
    outcomes: Mapping[str, Outcome]
    """On test."""


class Data(NamedTuple):
    """The samples of each split, as the model at hand reads them."""

    train: list[Sample]
    dev: list[Sample]
    test: list[Sample]


class Trial:
    """A training under way."""

    def __init__(
        self,
        subject: Subject,
        head: Head,
        problem: Problem,
        training: Training,
        seed: int,
        device: torch.device,
        adapter: Adapter | None = None,
    ) -> None:
        self.problem, self.training, self.seed, self.device = problem, training, seed, device
        self.tuned = Tuned(subject, head, problem, training, seed, adapter).to(device)
        named = list(self.tuned.named_parameters())
        self.layers = subject.layers
        self.depths = {name: depth_of(name, subject.layers) for name, _ in named}
        kept = [(name, p) for name, p in named if not training.frozen or self.depths[name] > subject.layers]
        self.optimizer = torch.optim.AdamW(
            parameter_groups(kept, training, subject.layers), betas=BETAS, eps=training.eps, fused=True
        )
        self.tuned.freeze(training.frozen_depth(0, subject.layers), self.depths)
        self.known: dict[int, torch.Tensor] = {}

    def step(self, samples: Sequence[Sample], share: float, number: int) -> float:
        """One step over these samples; their mean loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        torch.manual_seed(hash_key("dropout", self.seed, number) % 2**63)
        self.tuned.train()
        counts_S = [len(sample.positions_M) for sample in samples]
        target_N = torch.from_numpy(np.concatenate([sample.target_N for sample in samples])).to(self.device)
        with self._autocast():
            logits_MK = self.tuned.logits(self._features(samples), counts_S)
            loss = self.tuned.head.loss(self.problem, logits_MK, target_N, counts_S)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.training.clip:
            torch.nn.utils.clip_grad_norm_(self.tuned.parameters(), self.training.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.precision == "bf16")

    def _features(self, samples: Sequence[Sample]) -> torch.Tensor:
        if not self.training.frozen:
            return self.tuned.features(samples, self.device)
        if all(id(sample) in self.known for sample in samples):
            return torch.cat([self.known[id(sample)] for sample in samples], -2).to(self.device)
        with torch.no_grad():
            self.tuned.encoder.eval()
            return self.tuned.features(samples, self.device)

    @torch.no_grad()
    def remember(self, samples: Sequence[Sample]) -> None:
        """Compute the frozen features of samples once, where they are not too many."""
        layers = self.layers + 1 if self.tuned.mix is not None else 1
        width: int = self.tuned.encoder.config.hidden_size  # type: ignore[union-attr, assignment]
        if 4 * layers * width * sum(len(sample.positions_M) for sample in samples) > FEATURE_BYTES:
            return
        self.tuned.eval()
        for numbers in groups([len(sample.input.ids_T) for sample in samples]):
            chosen = [samples[number] for number in numbers]
            found = self.tuned.features(chosen, self.device).cpu()
            parts = torch.split(found, [len(sample.positions_M) for sample in chosen], -2)
            self.known |= {id(sample): part.clone() for sample, part in zip(chosen, parts, strict=True)}

    @torch.no_grad()
    def predict(self, samples: Sequence[Sample]) -> Logits:
        """Logits of every sample, (M, K) each, without dropout."""
        self.tuned.eval()
        found: dict[int, npt.NDArray[np.float32]] = {}
        for numbers in groups([len(sample.input.ids_T) for sample in samples]):
            chosen = [samples[number] for number in numbers]
            counts_S = [len(sample.positions_M) for sample in chosen]
            with self._autocast():
                logits_MK = self.tuned.logits(self._features(chosen), counts_S)
                answers_MK = self.tuned.head.answers(logits_MK, counts_S).float().cpu()
            parts = torch.split(answers_MK, counts_S)
            found |= {int(number): part.numpy() for number, part in zip(numbers, parts, strict=True)}
        return [found[number] for number in range(len(samples))]


def train(trial: Trial, data: Data, say: Callable[[str], None]) -> Trained:
    """All epochs, and the figures of the one that is kept."""
    training, splits = trial.training, trial.problem.splits
    per_epoch = math.ceil(len(data.train) / training.batch)
    dev, losses, kept, best = list[float](), list[float](), 0, dict[str, torch.Tensor]()
    if training.frozen:
        trial.remember([*data.train, *data.dev])
    with torch.random.fork_rng(devices=[trial.device] if trial.device.type == "cuda" else []):
        for epoch in range(training.epochs):
            trial.tuned.freeze(training.frozen_depth(epoch, trial.layers), trial.depths)
            losses.append(_epoch(trial, data.train, epoch, per_epoch))
            if not data.dev:
                continue
            outcomes = trial.problem.outcomes(splits.dev, data.dev, trial.predict(data.dev))
            dev.append(next(iter(outcomes.values())).value)
            say(f"epoch {epoch + 1} of {training.epochs}: loss {losses[-1]:.4f}, dev {dev[-1]:.4f}")
            if not best or _better(dev[-1], dev[kept]):
                kept = epoch
                if training.keep == "best" and epoch + 1 < training.epochs:
                    best = {name: value.to("cpu", copy=True) for name, value in trial.tuned.state_dict().items()}
            if training.patience and epoch - kept >= training.patience:
                break
    last = len(losses) - 1
    if training.keep == "last" or not data.dev:
        kept = last
    elif kept != last:
        trial.tuned.load_state_dict(best)
    return Trained(kept + 1, dev, losses, trial.problem.outcomes(splits.test, data.test, trial.predict(data.test)))


def _better(value: float, than: float) -> bool:
    """A figure that is not defined (all answers equal) is worse than any."""
    return not math.isnan(value) and (math.isnan(than) or value > than)


def _epoch(trial: Trial, samples: Sequence[Sample], epoch: int, per_epoch: int) -> float:
    """Every sample once, in an order of this epoch; mean loss of the steps."""
    training = trial.training
    order = permute(np.arange(len(samples), dtype=np.uint64), len(samples), hash_key("order", trial.seed, epoch))
    total, losses = training.epochs * per_epoch, list[float]()
    for place in range(per_epoch):
        numbers = order[place * training.batch : (place + 1) * training.batch].tolist()
        step = epoch * per_epoch + place
        losses.append(trial.step([samples[number] for number in numbers], training.share(step, total), step))
    return sum(losses) / len(losses)
