"""The newest checkpoint on every rank, though one alone reads it.

rank 0: find, read and hash in one pass   ->  state to all, then one tensor after the other through the process group

No rank but the first opens a file of it. All look whether the same folder is there: a run whose first rank lies on
another machine tomorrow must find its checkpoints again.
"""

from __future__ import annotations

import torch

from pretrain.processes.heartbeat import doing
from pretrain.processes.world import World
from pretrain.state.checkpoint import Snapshot
from pretrain.state.names import candidates
from pretrain.state.store import Store


def read_together(store: Store, world: World) -> Snapshot | None:
    """The newest valid checkpoint, equal on every rank; None when there is none at all. A collective.

    Raises:
        ValueError: on every rank: none is valid, one could not be read, or machines see different folders.
    """
    doing("newest checkpoint")
    fault: Exception | None = None
    found = None
    if world.rank == 0:
        try:
            found = store.latest()
        except (ValueError, OSError) as error:
            fault = error
    world.all_or_none(fault)
    newest = max((int(path.name[-8:]) for path in candidates(store.folder)), default=-1)
    world.agree(newest, f"the newest checkpoint in {store.folder} (it must lie on a disk that all machines share)")
    return shared(found, world)


def shared(found: Snapshot | None, world: World) -> Snapshot | None:
    """What rank 0 brings, on every rank; a collective. The others hold each tensor once, as it arrives."""
    if world.size == 1:
        return found
    outline = world.from_first((found.state, _shapes(found)) if found else None)
    if outline is None:
        return None
    state, shapes = outline
    tensors = {}
    for name, kind, shape in shapes:
        tensors[name] = world.spread(found.tensors[name] if found else torch.empty(shape, dtype=kind))
    return Snapshot(state=state, tensors=tensors)


def _shapes(found: Snapshot) -> list[tuple[str, torch.dtype, tuple[int, ...]]]:
    return [(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in found.tensors.items()]
