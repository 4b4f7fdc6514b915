"""Attention over the grids of a batch: one call a grid, nothing crosses samples.

    (T, H, E) --gather--> (P, H, E) --one call a grid--> (P, H, E) --gather back--> (T, H, E)

``fused``    torch's flash attention for CPUs as one operator of ours, with its own backward: both directions gather,
             where autograd would scatter, and torch.compile sees one call (a graph has no shapes of grids in it)
``anywhere`` the same with torch's scaled_dot_product_attention: attention dropout, and GPUs in full precision

Shape legend: T positions of the batch, S samples, G grids, P places of all grids, H heads, E head width, L longest
sample of a grid.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from pretrain.feed.grids import Grids

FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
FLASH_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def mask_of(bias_NL: torch.Tensor, prefix_N: torch.Tensor | None, reach: int = 0) -> torch.Tensor | None:
    """What is added to the scores of a grid, (N, 1, 1 or L, L); None: nothing.

    Args:
        bias_NL: 0, or minus infinity for places behind the end of a sample.
        prefix_N: how many first tokens of each sample see each other (prefix.py); None: all.
        reach: how far a token sees to both sides; 0: as far as its sample goes.
    """
    place_L = torch.arange(bias_NL.shape[1], device=bias_NL.device)
    near_LL = (place_L[None, :] - place_L[:, None]).abs() <= reach if 0 < reach < len(place_L) - 1 else None
    if prefix_N is None and near_LL is None:
        return bias_NL[:, None, None, :] if bool(torch.isinf(bias_NL[-1, -1])) else None
    if prefix_N is None:
        return bias_NL[:, None, None, :].masked_fill(~near_LL, float("-inf"))  # type: ignore[operator]
    visible_NLL = (place_L < prefix_N[:, None])[:, None, :] | (place_L[None, :] <= place_L[:, None])[None]
    if near_LL is not None:
        visible_NLL = visible_NLL & near_LL
    return bias_NL[:, None, None, :].masked_fill(~visible_NLL[:, None], float("-inf"))


def _grids(
    shape_G2: torch.Tensor, bias_P: torch.Tensor, prefix_S: torch.Tensor | None, reach: int
) -> Iterator[tuple[slice, int, int, torch.Tensor | None]]:
    """Places, samples, longest sample and mask of each grid."""
    place = line = 0
    for samples, longest in shape_G2.tolist():
        if not samples:
            break
        here = slice(place, place + samples * longest)
        prefix_N = None if prefix_S is None else prefix_S[line : line + samples]
        yield here, samples, longest, mask_of(bias_P[here].view(samples, longest), prefix_N, reach)
        place, line = here.stop, line + samples


def _grid(tensor_PHE: torch.Tensor, here: slice, samples: int, longest: int) -> torch.Tensor:
    """(N, H, L, E), a view."""
    return tensor_PHE[here].view(samples, longest, *tensor_PHE.shape[1:]).transpose(1, 2)


@torch.library.custom_op("kmask::grid_attention", mutates_args=())
def _forward(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    pack_P: torch.Tensor,
    unpack_T: torch.Tensor,
    bias_P: torch.Tensor,
    shape_G2: torch.Tensor,
    prefix_S: torch.Tensor | None,
    scale: float,
    reach: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output (T, H, E); for the backward pass query, key, value and output in places (4, P, H, E), and the log-sums
    (P, H)."""
    kept = query.new_empty(4, len(pack_P), *query.shape[1:])
    for index, tensor in enumerate((query, key, value)):
        torch.index_select(tensor, 0, pack_P, out=kept[index])
    kept[3, -1] = 0
    sums = torch.empty(len(pack_P), query.shape[1], dtype=torch.float32)
    for here, samples, longest, mask in _grids(shape_G2, bias_P, prefix_S, reach):
        q, k, v = (_grid(kept[index], here, samples, longest) for index in range(3))
        out_NHLE, sum_NHL = FLASH(q, k, v, 0.0, False, attn_mask=mask, scale=scale)
        _grid(kept[3], here, samples, longest).copy_(out_NHLE)
        sums[here].view(samples, longest, -1).copy_(sum_NHL.transpose(1, 2))
    return kept[3].index_select(0, unpack_T), kept, sums


@torch.library.custom_op("kmask::grid_attention_backward", mutates_args=())
def _backward(
    grad: torch.Tensor,
    kept: torch.Tensor,
    sums: torch.Tensor,
    pack_P: torch.Tensor,
    unpack_T: torch.Tensor,
    bias_P: torch.Tensor,
    shape_G2: torch.Tensor,
    prefix_S: torch.Tensor | None,
    scale: float,
    reach: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of query, key and value, (T, H, E)."""
    pull = grad.index_select(0, pack_P).masked_fill_(torch.isinf(bias_P)[:, None, None], 0.0)
    found = torch.empty_like(kept[:3])
    found[:, -1] = 0
    for here, samples, longest, mask in _grids(shape_G2, bias_P, prefix_S, reach):
        q, k, v, out = (_grid(kept[index], here, samples, longest) for index in range(4))
        sum_NHL = sums[here].view(samples, longest, -1).transpose(1, 2).contiguous()
        pulled = _grid(pull, here, samples, longest)
        grads = FLASH_BACKWARD(pulled, q, k, v, out, sum_NHL, 0.0, False, attn_mask=mask, scale=scale)
        for index, gradient in enumerate(grads):
            _grid(found[index], here, samples, longest).copy_(gradient)
    first, second, third = (found[index].index_select(0, unpack_T) for index in range(3))
    return first, second, third


@_forward.register_fake
def _(query, key, value, pack_P, unpack_T, bias_P, shape_G2, prefix_S, scale, reach):  # type: ignore[no-untyped-def]
    kept = query.new_empty(4, pack_P.shape[0], *query.shape[1:])
    return torch.empty_like(query), kept, query.new_empty(pack_P.shape[0], query.shape[1], dtype=torch.float32)


@_backward.register_fake
def _(grad, kept, sums, pack_P, unpack_T, bias_P, shape_G2, prefix_S, scale, reach):  # type: ignore[no-untyped-def]
    return tuple(grad.new_empty(grad.shape) for _ in range(3))


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *_, pack_P, unpack_T, bias_P, shape_G2, prefix_S, scale, reach = inputs
    ctx.save_for_backward(output[1], output[2], pack_P, unpack_T, bias_P, shape_G2, prefix_S)
    ctx.scale, ctx.reach = scale, reach
    ctx.set_materialize_grads(False)


def _pull(ctx, grad, *_):  # type: ignore[no-untyped-def]
    found = (
        (None, None, None) if grad is None else _backward(grad.contiguous(), *ctx.saved_tensors, ctx.scale, ctx.reach)
    )
    return (*found, *[None] * 7)


_forward.register_autograd(_pull, setup_context=_save)


def fused(
    query_THE: torch.Tensor,
    key_THE: torch.Tensor,
    value_THE: torch.Tensor,
    grids: Grids,
    prefix_S: torch.Tensor | None,
    scale: float,
    reach: int = 0,
) -> torch.Tensor:
    """Attention on a CPU, (T, H, E); 0 at positions of no sample. ``prefix_S`` in the order of the grids' lines,
    ``reach`` as ``mask_of`` has it."""
    tables = grids.pack_P, grids.unpack_T, grids.bias_P, grids.shape_G2
    out: torch.Tensor = _forward(query_THE, key_THE, value_THE, *tables, prefix_S, scale, reach)[0]
    return out


def anywhere(
    query_THE: torch.Tensor,
    key_THE: torch.Tensor,
    value_THE: torch.Tensor,
    grids: Grids,
    prefix_S: torch.Tensor | None,
    scale: float,
    dropout: float,
    reach: int = 0,
) -> torch.Tensor:
    """The same on any device and with dropout of attention weights."""
    packed = [tensor.index_select(0, grids.pack_P) for tensor in (query_THE, key_THE, value_THE)]
    outs = []
    for here, samples, longest, mask in _grids(grids.shape_G2, grids.bias_P, prefix_S, reach):
        q, k, v = (_grid(tensor, here, samples, longest) for tensor in packed)
        mask = mask if mask is None else mask.to(q.dtype)
        out_NHLE = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)
        outs.append(out_NHLE.transpose(1, 2).flatten(0, 1))
    rest = len(grids.pack_P) - sum(len(out) for out in outs)
    outs.append(query_THE.new_zeros(rest, *query_THE.shape[1:]))
    return torch.cat(outs).index_select(0, grids.unpack_T)
