"""Python's search for unreachable objects, at moments of our own: it takes long among torch's objects, and a step in
which one process searches is a step in which all others wait."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def scheduled_garbage() -> Iterator[None]:
    """Within: no search but those that are asked for (``search_garbage``), and none among what was there before."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def search_garbage() -> None:
    """Search now, among what was made since."""
    gc.collect()
