"""Row specs -> batches, in this process or in data workers. Stateless: any worker may make any batch.

MicroBatchSpec --windows gathered, objective.build_all--> Samples --lay, hide--> Packed --targets--> Batch
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from torch.utils.data import DataLoader, Dataset

from masking.keyed import place_keys
from pretrain.feed.batch import Batch, to_batch
from pretrain.feed.building import Builder, Built, check_built, check_labels, named
from pretrain.feed.hiding import Masking, Specials
from pretrain.feed.means import told_counts
from pretrain.feed.packed import Packed, as_it_is, hide, lay
from pretrain.feed.samples import Samples
from pretrain.feed.sampling import MicroBatchSpec, RowSpec, Stream
from pretrain.feed.texts import Long, Windows
from pretrain.processes.stopping import shielded

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class BatchMaker(Dataset[Batch]):
    """Makes a batch from its description."""

    streams: Mapping[str, Stream]
    objectives: Mapping[str, Builder]
    """All active tasks."""
    masking: Masking | None
    """None: nothing is hidden."""
    specials: Specials
    task_ids: Mapping[str, int]
    row_tokens: int
    max_sample_tokens: int
    seed: int
    salt: str = "train"
    """Separates the draws of training and evaluation."""
    segment_types: int | None = None
    """Rows of the model's segment table; None: not known."""
    figures: tuple[str, str] = ("", "")
    """What the names of the figures begin and end with that an evaluation makes of these batches."""

    def samples(self, rows: Sequence[RowSpec]) -> tuple[Samples, Long]:
        """The samples of several rows, row by row, and how many each row has.

        Raises:
            ValueError: a damaged shard, or an objective that builds what it may not.
        """
        built: list[Samples] = []
        rows_S: list[Long] = []
        for name in dict.fromkeys(row.stream for row in rows):
            mine = [number for number, row in enumerate(rows) if row.stream == name]
            found = self._built(name, [rows[number] for number in mine])
            built.append(found.samples)
            rows_S.append(np.repeat(np.repeat(mine, [len(rows[number].windows) for number in mine]), found.count_W))
        samples, row_S = Samples.join(built), np.concatenate(rows_S)
        if len(built) > 1:
            order_S = np.argsort(row_S, kind="stable")
            samples, row_S = samples.take(order_S), row_S[order_S]
        return samples, np.bincount(row_S, minlength=len(rows))

    def _built(self, name: str, rows: Sequence[RowSpec]) -> Built:
        """What the objective of a stream builds of the windows of these rows."""
        stream = self.streams[name]
        texts = stream.source.texts(Windows.join([row.windows for row in rows]))
        keys, first = [], 0
        for row in rows:
            last = first + len(row.windows)
            place = (self.salt, self.seed, stream.name, row.epoch)
            keys.append(place_keys(place, texts.document_ids[first:last], row.windows.start_W.tolist()))
            first = last
        with named(stream.task, stream.objective, "building samples"):
            built = stream.objective.build_all(texts, np.concatenate(keys), stream.task, self.specials)
            check_built(built, texts, stream.objective, stream.task, self.max_sample_tokens)
            check_labels(
                built.samples, {stream.task: stream.objective, **self.objectives}, stream.task, self.segment_types
            )
        return built

    def packed(self, spec: MicroBatchSpec) -> Packed:
        """The batch in numpy."""
        samples, count_B = self.samples(spec.rows)
        laid = lay(samples, count_B, self.row_tokens, self.specials.pad, self.specials.vocabulary)
        return as_it_is(laid) if self.masking is None else hide(laid, self.masking, self.specials, spec.progress)

    def __getitem__(self, spec: MicroBatchSpec) -> Batch:
        packed = self.packed(spec)
        made: dict[str, Mapping[str, Long]] = {}
        counts: dict[str, int] = {}
        for name, objective in self.objectives.items():
            with named(name, objective, "making targets"):
                made[name], count = objective.targets(packed, name)
                counts |= told_counts(name, objective.means, count)
        return to_batch(packed, self.task_ids, made, counts, self.max_sample_tokens)


def end_if_orphaned(rank: int, worker: int) -> None:
    """End a data worker whose rank was killed while it was starting: torch's own watch begins now, and would watch its
    new parent."""
    if os.getppid() != rank:
        os._exit(1)


def default_workers(on_gpu: bool, cores: int) -> int:
    """Data workers of a process that has so many cores to itself: 2 to 4 beside a GPU; on a CPU none, which would only
    take its cores."""
    return min(4, max(2, cores - 1)) if on_gpu else 0


def ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """The same items, up to ``count`` of them made ahead in a thread; an error of the thread is raised where its item
    would have come."""
    waiting: queue.Queue[tuple[bool, Any]] = queue.Queue(count)
    ended = threading.Event()

    def put(entry: tuple[bool, Any]) -> bool:
        while not ended.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(entry, timeout=0.2)
                return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    thread = threading.Thread(target=work, name="order of rows", daemon=True)
    thread.start()
    try:
        while True:
            more, item = waiting.get()
            if not more:
                if item is not None:
                    raise item
                return
            yield item
    finally:
        ended.set()


def loader(
    maker: BatchMaker, specs: Iterable[MicroBatchSpec], workers: int, pin: bool, patience_minutes: float, step: int = 1
) -> Iterator[Batch]:
    """Batches in the order of ``specs``, made ahead by ``workers`` processes (0: in this one).

    Workers are deaf to requests to stop: the process that reads from them saves first and then lets them go. One that
    hangs for ``patience_minutes`` ends the run.

    Args:
        step: batches of an optimiser step in this process; at least two steps are made ahead.
    """
    settings: dict[str, Any] = {}
    if workers:
        begin = partial(end_if_orphaned, os.getpid())
        prefetch = max(4, -(-2 * step // workers))
        settings = {
            "multiprocessing_context": "spawn",
            "prefetch_factor": prefetch,
            "timeout": 60 * patience_minutes,
            "worker_init_fn": begin,
        }
        specs = ahead(specs, 2 * step)
    data_loader = DataLoader(maker, sampler=specs, batch_size=None, num_workers=workers, pin_memory=pin, **settings)
    with shielded():
        return iter(data_loader)
