"""Samples -> rows -> one flat batch, hidden and ready for the model.

    Text --objective.build--> Sample      [CLS] text [SEP], units moved to sample offsets, one task id
    Samples of a Row          -> flat arrays of row_tokens positions, padded only at the end
    mask: strategy.select, corruption.corrupt         (masking/, numpy)
    objective.targets          -> what each objective predicts
    Batch                      torch tensors of shape (1, rows * row_tokens), cu_seqlens, targets per objective

Attention never crosses samples: the batch carries where each sample begins, not a mask.

Shape legend: B rows, T = B * row_tokens positions, S samples, L longest sample, M hidden positions.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from masking.budget import Budget
from masking.corruption import Corruption, Targets
from masking.keyed import combine_array
from masking.spans import Byte, Spans, Units
from masking.strategies import Strategy
from masking.strategies.whole_unit import WholeUnit

SELECT, CORRUPT = 1, 2
"""Sub-keys of a sample's key: the draws of selection and of corruption are unrelated."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One input with its special tokens."""

    token_ids_T: npt.NDArray[np.int64]
    maskable_T: npt.NDArray[np.bool_]
    """False for special tokens."""
    segment_ids_T: npt.NDArray[np.int64]
    units: Mapping[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
    task: str
    """Name of the task the sample was built for."""
    labels: Mapping[str, int]
    """Sentence-level labels by task name."""
    key: int
    """uint64 that decides everything random about this sample."""
    document_id: str
    first_token: int


@dataclass(frozen=True, kw_only=True)
class Masking:
    """What is hidden and how."""

    strategy: Strategy = field(default_factory=WholeUnit)
    """Which units are hidden together."""
    budget: Budget = field(default_factory=Budget)
    """How much of a sample is hidden."""
    corruption: Corruption = field(default_factory=Corruption)
    """What replaces hidden tokens."""


@dataclass(frozen=True, kw_only=True)
class Specials:
    """Ids that building and masking need to know."""

    pad: int
    cls: int
    sep: int
    mask: int
    pool_V: npt.NDArray[np.int64]
    """Ids that a random replacement may be: the real vocabulary without special and unused entries."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A batch in numpy, after masking: what objectives read to make their targets, and what `kmask show` draws."""

    samples: Sequence[Sample]
    sample_start_S: npt.NDArray[np.int32]
    original_T: npt.NDArray[np.int64]
    corrupted_T: npt.NDArray[np.int64]
    kind_T: Byte
    spans: Spans
    hidden: Targets
    row_tokens: int
    units: Units


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tensors of one micro-batch."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    token_type_ids: torch.Tensor
    task_type_ids: torch.Tensor
    cu_seqlens: torch.Tensor
    """int32; padding at the end of a row counts as a sample of its own."""
    max_seqlen: int
    pack_SL: torch.Tensor
    """Position of every token of every real sample, padded with 0."""
    real_SL: torch.Tensor
    """bool, where pack_SL is no padding."""
    unpack_T: torch.Tensor
    """For every position its place in the flattened (S, L) grid; padding points at 0."""
    cls_positions_S: torch.Tensor
    targets: Mapping[str, Mapping[str, torch.Tensor]]
    """Per task; only its objective reads them."""
    counts: Mapping[str, int]
    """Number of targets per task."""
    real_tokens: int
    masked_tokens: int
    maskable_tokens: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        if device.type == "cpu":
            return self
        tensors = {name: value.to(device, non_blocking=True) for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        targets = {task: {name: t.to(device, non_blocking=True) for name, t in group.items()} for task, group in self.targets.items()}
        moved: Batch = replace(self, **tensors, targets=targets)  # type: ignore[arg-type]
        return moved


def pack(rows: Sequence[Sequence[Sample]], row_tokens: int, masking: Masking, specials: Specials, progress: float) -> Packed:
    """Lay samples into rows and hide part of them. Pure: equal samples give equal masks wherever they lie."""
    samples = [sample for row in rows for sample in row]
    starts: list[int] = []
    for number, row in enumerate(rows):
        position = number * row_tokens
        for sample in row:
            starts.append(position)
            position += len(sample.token_ids_T)
        if position > (number + 1) * row_tokens:
            raise ValueError(f"a row of {row_tokens} tokens was given {position - number * row_tokens}")
    original_T = np.full(len(rows) * row_tokens, specials.pad, np.int64)
    maskable_T = np.zeros(len(original_T), np.bool_)
    start_S = np.array(starts, np.int32)
    end_S = start_S + np.array([len(sample.token_ids_T) for sample in samples], np.int32)
    for sample, start, end in zip(samples, start_S, end_S, strict=True):
        original_T[start:end] = sample.token_ids_T
        maskable_T[start:end] = sample.maskable_T
    levels = {}
    for level in dict.fromkeys(level for sample in samples for level in sample.units):
        pairs = [sample.units.get(level, (EMPTY, EMPTY)) for sample in samples]
        start_U, end_U = (np.concatenate([pair[side] + start for pair, start in zip(pairs, start_S, strict=True)]).astype(np.int32) for side in (0, 1))
        levels[level] = (start_U, end_U)
    units = Units(sample_start_S=start_S, sample_end_S=end_S, maskable_T=maskable_T, levels=levels)
    keys_S = np.array([sample.key for sample in samples], np.uint64)
    spans = masking.strategy.select(units, masking.budget, combine_array(keys_S, SELECT), np.full(len(samples), progress))
    corrupted_T, hidden = masking.corruption.corrupt(original_T, spans, start_S, combine_array(keys_S, CORRUPT), specials.mask, specials.pool_V)
    return Packed(
        samples=samples,
        sample_start_S=start_S,
        original_T=original_T,
        corrupted_T=corrupted_T,
        kind_T=units.kinds(),
        spans=spans,
        hidden=hidden,
        row_tokens=row_tokens,
        units=units,
    )


EMPTY = np.zeros(0, np.int64)


def to_batch(packed: Packed, task_ids: Mapping[str, int], targets: Mapping[str, Mapping[str, npt.NDArray[np.int64]]], counts: Mapping[str, int]) -> Batch:
    """Tensors of a packed batch. ``task_ids`` maps the task a sample was built for to its row of the task table."""
    total = len(packed.original_T)
    lengths_S = np.array([len(sample.token_ids_T) for sample in packed.samples], np.int64)
    starts_S = packed.sample_start_S.astype(np.int64)
    longest = int(lengths_S.max())
    grid_SL = np.arange(longest)[None, :]
    real_SL = grid_SL < lengths_S[:, None]
    pack_SL = np.where(real_SL, starts_S[:, None] + grid_SL, 0)
    unpack_T = np.zeros(total, np.int64)
    unpack_T[pack_SL[real_SL]] = np.flatnonzero(real_SL.ravel())
    position_T, segment_T, task_T = (np.zeros(total, np.int64) for _ in range(3))
    position_T[pack_SL[real_SL]] = np.broadcast_to(grid_SL, real_SL.shape)[real_SL]
    for sample, start, length in zip(packed.samples, starts_S, lengths_S, strict=True):
        segment_T[start : start + length] = sample.segment_ids_T
        task_T[start : start + length] = task_ids.get(sample.task, 0)
    edges = np.unique(np.concatenate([starts_S, starts_S + lengths_S, np.arange(0, total + 1, packed.row_tokens)]))
    gaps = [np.arange(a, b, longest) for a, b in itertools.pairwise(edges.tolist()) if b - a > longest]
    edges = np.unique(np.concatenate([edges, *gaps])) if gaps else edges
    return Batch(
        input_ids=torch.from_numpy(packed.corrupted_T)[None],
        position_ids=torch.from_numpy(position_T)[None],
        token_type_ids=torch.from_numpy(segment_T)[None],
        task_type_ids=torch.from_numpy(task_T)[None],
        cu_seqlens=torch.from_numpy(edges.astype(np.int32)),
        max_seqlen=longest,
        pack_SL=torch.from_numpy(pack_SL),
        real_SL=torch.from_numpy(real_SL),
        unpack_T=torch.from_numpy(unpack_T),
        cls_positions_S=torch.from_numpy(starts_S),
        targets={task: {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in group.items()} for task, group in targets.items()},
        counts=dict(counts),
        real_tokens=int(lengths_S.sum()),
        masked_tokens=len(packed.hidden.position_M),
        maskable_tokens=int(packed.units.maskable_T.sum()),
    )
