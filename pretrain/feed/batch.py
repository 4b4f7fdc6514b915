"""Samples -> rows -> one flat batch, hidden and ready for the model.

    Text --objective.build--> Sample      [CLS] text [SEP], units moved to sample offsets, one task id
    Samples of a Row --pack--> Packed     laid out and hidden, in numpy (packed.py)
    objective.targets          -> what each objective predicts
    Batch                      torch tensors of shape (1, rows * row_tokens), cu_seqlens, targets per objective

Attention never crosses samples: the batch carries where each sample begins, not a mask.

Shape legend: B rows, T = B * row_tokens positions, S samples, M hidden positions.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from pretrain.feed.grids import Grids, grids_of
from pretrain.feed.packed import Packed
from pretrain.feed.texts import starts

SEAMS = 64


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tensors of one micro-batch."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    token_type_ids: torch.Tensor
    task_type_ids: torch.Tensor
    cu_seqlens: torch.Tensor
    """int32; padding at the end of a row counts as a sample of its own. The end is repeated up to a multiple of 64
    numbers: so compiled code meets few shapes."""
    max_seqlen: int
    """No sample is longer; the same number for all batches of a run."""
    grids: Grids
    """Samples of nearly equal lengths together, for attention on a CPU."""
    cls_positions_S: torch.Tensor
    targets: Mapping[str, Mapping[str, torch.Tensor]]
    """Per task; only its objective reads them."""
    counts: Mapping[str, int]
    """Number of targets per task, and of each part of a task that has parts (means.py)."""
    real_tokens: int
    masked_tokens: int
    maskable_tokens: int
    given_up_units: int = 0
    """Units that ``budget.row_targets`` left visible."""
    pairs: int = 0
    """Pairs of tokens that attend to each other: the sum of the squared lengths of the samples."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        if device.type == "cpu":
            return self
        tensors = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        targets = {
            task: {name: t.to(device, non_blocking=True) for name, t in group.items()}
            for task, group in self.targets.items()
        }
        moved: Batch = replace(self, **tensors, targets=targets, grids=self.grids.to(device))  # type: ignore[arg-type]
        return moved

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, from which a GPU copies while it computes; torch's DataLoader calls
        it."""
        tensors = {name: value.pin_memory() for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        targets = {
            task: {name: tensor.pin_memory() for name, tensor in group.items()} for task, group in self.targets.items()
        }
        pinned: Batch = replace(self, **tensors, targets=targets, grids=self.grids.pin_memory())  # type: ignore[arg-type]
        return pinned


def to_batch(
    packed: Packed,
    task_ids: Mapping[str, int],
    targets: Mapping[str, Mapping[str, npt.NDArray[np.int64]]],
    counts: Mapping[str, int],
    longest: int,
) -> Batch:
    """Tensors of a packed batch of samples that are no longer than ``longest``. ``task_ids`` maps the task a sample was
    built for to its row of the task table."""
    from pretrain.feed import kernels

    total, samples = len(packed.original_T), packed.samples
    lengths_S, starts_S = samples.length_S.astype(np.int64), packed.sample_start_S.astype(np.int64)
    task_S = np.array([task_ids.get(task, 0) for task in samples.tasks], np.int64)
    position_T, task_T = kernels.places(starts_S, lengths_S, task_S, total)
    segment_T = np.zeros(total, np.int64)
    kernels.spread(samples.segment_ids_T, starts(lengths_S)[:-1], lengths_S, starts_S, segment_T)
    edges = np.unique(np.concatenate([starts_S, starts_S + lengths_S, np.arange(0, total + 1, packed.row_tokens)]))
    gaps = [np.arange(a, b, longest) for a, b in itertools.pairwise(edges.tolist()) if b - a > longest]
    edges = np.unique(np.concatenate([edges, *gaps])) if gaps else edges
    edges = np.pad(edges, (0, -len(edges) % SEAMS), mode="edge")
    return Batch(
        input_ids=torch.from_numpy(packed.corrupted_T)[None],
        position_ids=torch.from_numpy(position_T)[None],
        token_type_ids=torch.from_numpy(segment_T)[None],
        task_type_ids=torch.from_numpy(task_T)[None],
        cu_seqlens=torch.from_numpy(edges.astype(np.int32)),
        max_seqlen=longest,
        grids=grids_of(starts_S, lengths_S, total),
        cls_positions_S=torch.from_numpy(starts_S),
        targets={
            task: {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in group.items()}
            for task, group in targets.items()
        },
        counts=dict(counts),
        real_tokens=int(lengths_S.sum()),
        masked_tokens=len(packed.hidden.position_M),
        maskable_tokens=int(packed.units.maskable_T.sum()),
        given_up_units=packed.given_up,
        pairs=int((lengths_S.astype(np.int64) ** 2).sum()),
    )


def texts_batch(ids_S: Sequence[npt.NDArray[np.int64]]) -> Batch:
    """A batch of whole samples that stand one behind the other, of one segment and task 0, with nothing hidden: for
    comparing models."""
    length_S = np.array([len(ids) for ids in ids_S], np.int64)
    seams_S1 = starts(length_S)
    ids_T = np.concatenate(list(ids_S)).astype(np.int64)
    zeros_1T = torch.zeros(1, len(ids_T), dtype=torch.long)
    return Batch(
        input_ids=torch.from_numpy(ids_T)[None],
        position_ids=torch.from_numpy(np.arange(len(ids_T)) - np.repeat(seams_S1[:-1], length_S))[None],
        token_type_ids=zeros_1T,
        task_type_ids=zeros_1T,
        cu_seqlens=torch.from_numpy(seams_S1.astype(np.int32)),
        max_seqlen=int(length_S.max()),
        grids=grids_of(seams_S1[:-1], length_S, len(ids_T)),
        cls_positions_S=torch.from_numpy(seams_S1[:-1].copy()),
        targets={},
        counts={},
        real_tokens=len(ids_T),
        masked_tokens=0,
        maskable_tokens=0,
    )
