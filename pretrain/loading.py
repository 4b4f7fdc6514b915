"""Row specs -> batches, in this process or in data workers. Stateless: any worker may make any batch.

MicroBatchSpec --read windows, objective.build--> Samples --pack, mask--> Packed --targets--> Batch
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch.utils.data import DataLoader, Dataset

from masking.keyed import hash_key
from pretrain.batch import Batch, to_batch
from pretrain.objectives import Objective
from pretrain.packed import Masking, Packed, Sample, Specials, pack
from pretrain.sampling import MicroBatchSpec, RowSpec, Stream
from pretrain.stopping import shielded


@dataclass(frozen=True, kw_only=True)
class BatchMaker(Dataset[Batch]):
    """Makes a batch from its description."""

    streams: Mapping[str, Stream]
    objectives: Mapping[str, Objective]
    """All active tasks."""
    masking: Masking
    specials: Specials
    task_ids: Mapping[str, int]
    row_tokens: int
    max_sample_tokens: int
    seed: int
    salt: str = "train"
    """Separates the draws of training and evaluation."""
    figures: str = ""
    """Ends the names of the figures that an evaluation makes of these batches."""

    def samples(self, row: RowSpec) -> list[Sample]:
        """The samples of one row."""
        stream = self.streams[row.stream]
        result = []
        for window in row.windows:
            text = stream.source.read(window)
            key = hash_key(self.salt, self.seed, stream.name, row.epoch, text.document_id, text.start)
            sample = stream.objective.build(text, key, stream.task, self.specials)
            if len(sample.token_ids_T) > self.max_sample_tokens:
                raise ValueError(
                    f"task {stream.task!r} ({type(stream.objective).__name__}) made a sample of {len(sample.token_ids_T)} tokens from document "
                    f"{text.document_id!r}; batch.max_sample_tokens allows {self.max_sample_tokens}"
                )
            result.append(sample)
        return result

    def packed(self, spec: MicroBatchSpec) -> Packed:
        """The batch in numpy."""
        return pack([self.samples(row) for row in spec.rows], self.row_tokens, self.masking, self.specials, spec.progress)

    def __getitem__(self, spec: MicroBatchSpec) -> Batch:
        packed = self.packed(spec)
        made = {name: objective.targets(packed, name) for name, objective in self.objectives.items()}
        return to_batch(packed, self.task_ids, {name: arrays for name, (arrays, _) in made.items()}, {name: count for name, (_, count) in made.items()})


def end_if_orphaned(rank: int, worker: int) -> None:
    """End a data worker whose rank was killed while it was starting: torch's own watch begins now, and would watch its new parent."""
    if os.getppid() != rank:
        os._exit(1)


def loader(maker: BatchMaker, specs: Iterable[MicroBatchSpec], workers: int, pin: bool, patience_minutes: float) -> Iterator[Batch]:
    """Batches in the order of ``specs``, made ahead by ``workers`` processes (0: in this one).

    Workers are deaf to requests to stop: the process that reads from them saves first and then lets them go. One that hangs for
    ``patience_minutes`` ends the run.
    """
    settings: dict[str, Any] = {}
    if workers:
        begin = partial(end_if_orphaned, os.getpid())
        settings = {"multiprocessing_context": "spawn", "prefetch_factor": 4, "timeout": 60 * patience_minutes, "worker_init_fn": begin}
    data_loader = DataLoader(maker, sampler=specs, batch_size=None, num_workers=workers, pin_memory=pin, **settings)
    with shielded():
        return iter(data_loader)
