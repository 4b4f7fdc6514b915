"""Samples of a batch in grids of nearly equal lengths, for attention that has no kernel for rows of mixed lengths.

    lengths 5 9 8 30 31   ->   (2, 31): samples 4 3      (2, 9): samples 1 2      (1, 5): sample 0

Attention over a grid costs its samples times the square of its longest one, so a single grid of a batch wastes most of
its work on short samples; one grid a length would waste time on calls. Which lengths share a grid is chosen so that
both together are least.

Tables are made up to sizes that few batches exceed, so that compiled code meets few shapes.

Shape legend: T positions of the batch, S samples, G grids, P places of all grids and at least one that is in none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

CALL_COST = 1024.0
"""What a further grid costs, in pairs of places: 90 us for both directions against 13 ns a pair and head, 4 to 12
heads (one core, processor time, torch 2.13)."""
GRIDS = 16


class Grids(NamedTuple):
    """Where every position of a batch lies in its grids, and the other way round."""

    length_S: torch.Tensor
    """int64[S], tokens of each sample."""
    order_S: torch.Tensor
    """int64[S], the sample in each line of the grids, first grid first."""
    shape_G2: torch.Tensor
    """int64[G, 2], samples and places of each grid, zeros at its end; stays in the processor's memory."""
    pack_P: torch.Tensor
    """int64[P], the position that stands in each place; behind the end of a sample its first one."""
    bias_P: torch.Tensor
    """float32[P], 0, and minus infinity behind the ends of samples: what is added to the scores of a key."""
    unpack_T: torch.Tensor
    """int64[T], the place of each position; P - 1 for those of no sample."""

    def to(self, device: torch.device) -> Grids:
        """The same grids on ``device``."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Grids:
        """The same grids in page-locked memory."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, move: object) -> Grids:
        assert callable(move)
        moved = {name: move(value) for name, value in self._asdict().items() if name != "shape_G2"}
        return self._replace(**moved)

    @property
    def real_T(self) -> torch.Tensor:
        """bool[T], positions of samples."""
        return self.unpack_T < len(self.pack_P) - 1


def grids_of(start_S: npt.NDArray[np.int64], length_S: npt.NDArray[np.int64], total: int) -> Grids:
    """Grids of samples that begin at these of ``total`` positions."""
    from pretrain.feed import kernels

    order_S = np.argsort(-length_S, kind="stable")
    sorted_S = np.ascontiguousarray(length_S[order_S])
    shape_G2 = kernels.grid_shapes(sorted_S, CALL_COST)
    part = -(-total // 8)
    places = -(-(int(shape_G2.prod(1).sum()) + 1) // part) * part
    shape_G2 = np.pad(shape_G2, ((0, -len(shape_G2) % GRIDS), (0, 0)))
    tables = kernels.fill_grids(start_S[order_S], sorted_S, shape_G2, total, places)
    arrays = (length_S, order_S, shape_G2, *tables)
    return Grids(*(torch.from_numpy(array) for array in arrays))
