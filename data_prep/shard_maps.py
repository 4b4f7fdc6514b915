"""How many shards a process maps at a time: the kernel allows 65,530 maps unless told otherwise (vm.max_map_count).

opened(shard)     the oldest is let go where there are too many; it is mapped again when it is asked for
"""

from __future__ import annotations

import weakref
from collections import deque
from functools import cache
from pathlib import Path
from typing import Protocol

MAXIMUM = Path("/proc/sys/vm/max_map_count")


class Closable(Protocol):
    """A shard."""

    def close(self) -> None:
        """Let the file go."""


_mapped: deque[weakref.ref[Closable]] = deque()


@cache
def most() -> int:
    """Half of what the kernel allows: libraries and heaps are maps, too."""
    try:
        return int(MAXIMUM.read_text()) // 2
    except (OSError, ValueError):
        return 1 << 15


def opened(shard: Closable) -> None:
    """``shard`` is being mapped."""
    _mapped.append(weakref.ref(shard))
    while len(_mapped) > most():
        if (oldest := _mapped.popleft()()) is not None and oldest is not shard:
            oldest.close()
