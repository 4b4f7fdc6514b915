"""Attention over grids is attention inside each sample, forwards and backwards, whatever the grids."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.feed.grids import CALL_COST, Grids, grids_of
from pretrain.network.grid_attention import anywhere, fused

HEADS, WIDTH = 2, 8
MIXED = [5, 40, 8, 8, 31, 1, 64, 2, 33, 33, 40, 17]


def laid(lengths: list[int], gap: int = 3) -> tuple[list[int], int, Grids]:
    """Starts of samples with gaps between, the number of positions, and their grids."""
    starts = [0, *itertools.accumulate(length + gap for length in lengths)][:-1]
    total = starts[-1] + lengths[-1] + gap
    return starts, total, grids_of(np.array(starts, np.int64), np.array(lengths, np.int64), total)


def tensors(total: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Query, key, value and what pulls at the output."""
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(total, HEADS, WIDTH, generator=generator, dtype=dtype) for _ in range(4)]


def alone(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, starts, lengths, prefixes, reach=0
) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """Each sample by itself, pair by pair, in the words of the definition."""
    out = torch.zeros_like(query)
    for start, length, prefix in zip(starts, lengths, prefixes, strict=True):
        here = slice(start, start + length)
        scores = torch.einsum("qhe,khe->hqk", query[here], key[here]) * 0.3
        for asks, seen in itertools.product(range(length), range(length)):
            if (seen >= prefix and seen > asks) or (reach and abs(seen - asks) > reach):
                scores[:, asks, seen] = -torch.inf
        out[here] = torch.einsum("hqk,khe->qhe", scores.softmax(-1), value[here])
    return out


@pytest.mark.parametrize("prefixes", [None, [2, 0, 8, 3, 99, 1, 30, 0, 33, 5, 40, 16]])
@pytest.mark.parametrize(("way", "reach"), [(fused, 0), (anywhere, 0), (fused, 5), (anywhere, 39)])
def test_outputs_and_gradients_equal_those_of_each_sample_alone(
    way: object, reach: int, prefixes: list[int] | None
) -> None:
    starts, total, grids = laid(MIXED)
    *inputs, pull = tensors(total)
    line_S = None if prefixes is None else torch.tensor(prefixes)[grids.order_S]
    mine, theirs = ([tensor.clone().requires_grad_() for tensor in inputs] for _ in range(2))
    arguments = (grids, line_S, 0.3, reach) if way is fused else (grids, line_S, 0.3, 0.0, reach)
    found = way(*mine, *arguments)  # type: ignore[operator]
    expected = alone(*theirs, starts, MIXED, prefixes or MIXED, reach)
    assert torch.allclose(found, expected, atol=1e-5)
    (found * pull).sum().backward()
    (expected * pull).sum().backward()
    for one, other in zip(mine, theirs, strict=True):
        assert one.grad is not None and other.grad is not None
        assert torch.allclose(one.grad, other.grad, atol=1e-5)


def test_positions_of_no_sample_get_and_give_nothing() -> None:
    _, total, grids = laid(MIXED)
    *inputs, _ = tensors(total)
    mine = [tensor.requires_grad_() for tensor in inputs]
    outside = ~grids.real_T
    assert int(outside.sum()) == total - sum(MIXED) > 0
    out = fused(*mine, grids, None, 0.3)
    assert not out[outside].any()
    out.sum().backward()
    for tensor in mine:
        assert tensor.grad is not None and not tensor.grad[outside].any()


def test_another_sample_changes_no_bit_of_a_sample() -> None:
    starts, total, grids = laid(MIXED)
    query, key, value, _ = tensors(total)
    before = fused(query, key, value, grids, None, 0.3)
    changed = slice(starts[4], starts[4] + MIXED[4])
    for tensor in (query, key, value):
        tensor[changed] = 9.0
    after = fused(query, key, value, grids, None, 0.3)
    kept = torch.ones(total, dtype=torch.bool)
    kept[changed] = False
    assert torch.equal(before[kept], after[kept]) and not torch.equal(before[changed], after[changed])


def test_half_precision_is_that_of_torch() -> None:
    _, total, grids = laid(MIXED)
    *inputs, _ = tensors(total, torch.bfloat16)
    found = fused(*inputs, grids, None, 0.3)
    exact = fused(*(tensor.float() for tensor in inputs), grids, None, 0.3)
    assert found.dtype == torch.bfloat16 and torch.allclose(found.float(), exact, atol=0.03)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_grids_hold_every_token_once_and_no_split_of_the_lengths_is_cheaper(lengths: list[int]) -> None:
    _, _, grids = laid(lengths)
    shapes = [(samples, longest) for samples, longest in grids.shape_G2.tolist() if samples]
    places = sum(samples * longest for samples, longest in shapes)
    assert grids.length_S.tolist() == lengths and sorted(grids.order_S.tolist()) == list(range(len(lengths)))
    assert len(grids.pack_P) == len(grids.bias_P) > places
    real = torch.isfinite(grids.bias_P)
    assert int(real.sum()) == sum(lengths) and not real[places:].any()
    assert torch.equal(grids.pack_P[real].sort().values, grids.real_T.nonzero()[:, 0])
    assert torch.equal(grids.pack_P[grids.unpack_T[grids.real_T]], grids.real_T.nonzero()[:, 0])
    falling = sorted(lengths, reverse=True)
    assert [longest for _, longest in shapes] == [
        falling[first] for first in itertools.accumulate([0, *(samples for samples, _ in shapes[:-1])])
    ]
    cost = sum(CALL_COST + samples * longest**2 for samples, longest in shapes)
    least = [0.0]
    for end in range(1, len(falling) + 1):
        least.append(min(least[begin] + CALL_COST + (end - begin) * falling[begin] ** 2 for begin in range(end)))
    assert cost == pytest.approx(least[-1])
