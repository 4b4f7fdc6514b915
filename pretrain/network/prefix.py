"""Attention in which the first tokens of a sample see each other, and every later one what stands before it.

    prefix 2 of 5 tokens      sees:  0 1 2 3 4
                          token 0    x x . . .
                          token 1    x x . . .
                          token 2    x x x . .
                          token 3    x x x x .
                          token 4    x x x x x

(The prefix language model of Dong et al. 2019, UniLM, section 2.3, and Raffel et al. 2020, T5, section 3.2.1.)

A prefix as long as the sample is ordinary attention, a prefix of 0 is causal; samples of any prefix lie in one row.

Shape legend: T positions of the batch, S samples, N stretches of cu_seqlens (samples, paddings), H heads, E width of a
head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pretrain.feed.batch import Batch


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """Where the prefixes of a batch end; made once for all layers."""

    line_S: torch.Tensor
    """int64[S], the prefixes in the order of the lines of the batch's grids."""
    first_T1: torch.Tensor
    """int64, positions inside prefixes; paddings count as prefix."""
    later_T2: torch.Tensor
    """int64, all other positions."""
    first_N1: torch.Tensor
    """int32[N + 1], where each stretch begins among ``first_T1``."""
    later_N1: torch.Tensor
    """int32[N + 1], where each stretch begins among ``later_T2``."""


def prefix_of(batch: Batch, prefix_S: torch.Tensor) -> Prefix:
    """The pattern of a batch.

    Raises:
        ValueError: there is not one prefix per sample, or one is negative.
    """
    samples = len(batch.grids.order_S)
    if prefix_S.shape != (samples,):
        raise ValueError(
            f"prefix_S: {tuple(prefix_S.shape)} lengths were given for {samples} samples; give one per sample"
        )
    prefix_S = prefix_S.to(batch.grids.order_S.device).long()
    if bool((prefix_S < 0).any()):
        raise ValueError(f"prefix_S: {int(prefix_S.min())} must be 0 or more")
    seams = batch.cu_seqlens.long()
    length_N = seams.diff()
    prefix_N = length_N.clone()
    mine_S = torch.searchsorted(seams, batch.cls_positions_S)
    prefix_N[mine_S] = torch.minimum(prefix_S, length_N[mine_S])
    start_T, end_T = seams[:-1].repeat_interleave(length_N), prefix_N.repeat_interleave(length_N)
    inside_T = torch.arange(len(start_T), device=seams.device) - start_T < end_T
    return Prefix(
        line_S=prefix_S[batch.grids.order_S],
        first_T1=inside_T.nonzero()[:, 0],
        later_T2=(~inside_T).nonzero()[:, 0],
        first_N1=_seams(prefix_N),
        later_N1=_seams(length_N - prefix_N),
    )


def _seams(count_N: torch.Tensor) -> torch.Tensor:
    """int32[N + 1]: where each of N stretches begins, and the end."""
    return nn.functional.pad(count_N.cumsum(0), (1, 0)).to(torch.int32)


def variable_length(
    batch: Batch, prefix: Prefix, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
) -> torch.Tensor:
    """(T, H, E) each, half precision on a GPU: prefixes over prefixes, and the other queries causally over their
    samples.

    The later queries of a sample are fewer than its keys: flash attention aligns the causal mask to the lower right
    corner, where the last query meets the last key (torch/nn/attention/bias.py says so of CausalVariant.LOWER_RIGHT),
    which is just what a suffix sees.
    """
    from torch.nn.attention.varlen import varlen_attn

    longest, first, later = batch.max_seqlen, prefix.first_T1, prefix.later_T2
    out = query.new_zeros(query.shape)
    if len(first):
        inside: Any = varlen_attn(
            query[first], key[first], value[first], prefix.first_N1, prefix.first_N1, longest, longest, scale=scale
        )
        out = out.index_copy(0, first, inside)
    if len(later):
        seams = batch.cu_seqlens
        behind: Any = varlen_attn(
            query[later], key, value, prefix.later_N1, seams, longest, longest, scale=scale, window_size=(-1, 0)
        )
        out = out.index_copy(0, later, behind)
    return out
