"""The cursors with which a stage begins: nothing is served yet, and they count in its own lengths.

A cursor counts rows within a block of 1,024 slots of text, and how a block is packed hangs on the lengths of samples
and rows (stages/batching.py). Where a stage has others than the one before, every stream goes on at the next block of
its epoch, whose slots are the same under all lengths: no window of the epoch begins in a slot in which one began
before. It may reach into the text behind its slot: from 128 to 512 tokens, in the middle of an epoch of the example
corpus, an eighth of the text that followed had been seen in the epoch, and 8 % of the corpus was not; a new epoch
begun there would repeat a half. What is left of the block waits for the next epoch. Slots grow with samples of more
than 512 tokens; where they do, it is the next epoch, for its order is that of other slots.

    128 tokens (epoch 2, block 5, row 17)  ->  512 tokens (2, 6, 0)  ->  2,048 tokens (3, 0, 0)
"""

from __future__ import annotations

from collections.abc import Mapping

from pretrain.config import Run
from pretrain.feed.sampling import Cursor
from pretrain.feed.sources import slot_tokens
from pretrain.stages.batching import Batching


def beginning(run: Run, index: int, cursors: Mapping[str, Cursor]) -> dict[str, Cursor]:
    """The cursors of a stage that begins where the one before it stands."""
    fresh = {name: cursor._replace(served=0) for name, cursor in cursors.items()}
    return recounted(run, index - 1, index, fresh) if index else fresh


def recounted(run: Run, before: int, now: int, cursors: Mapping[str, Cursor]) -> dict[str, Cursor]:
    """The cursors of one stage as those of another; doing it again changes nothing."""
    old, new = (run.batch_of(run.stages[index]) for index in (before, now))
    if old.lengths == new.lengths:
        return dict(cursors)
    return {
        name: _at_block(cursor) if _slot(run, name, old) == _slot(run, name, new) else _at_epoch(cursor)
        for name, cursor in cursors.items()
    }


def _at_block(cursor: Cursor) -> Cursor:
    """At the next block, unless it is at the beginning of one: that place hangs on no packing."""
    return cursor._replace(block=cursor.block + 1, row=0) if cursor.row else cursor


def _at_epoch(cursor: Cursor) -> Cursor:
    """At the next epoch, unless it is at the beginning of one."""
    return cursor._replace(epoch=cursor.epoch + 1, block=0, row=0) if cursor.block or cursor.row else cursor


def _slot(run: Run, stream: str, batch: Batching) -> int:
    """Tokens of the slots of a stream."""
    task = run.tasks.get(stream.rpartition("/")[2])
    return slot_tokens(batch.max_sample_tokens - (task.special_tokens() if task else 0))
