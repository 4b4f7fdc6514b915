"""The batches of this process, a step at a time, with what all processes must agree on before it is trained.

    StepBatches.fetch()  ->  Ready     batches on the device, their counts, how long the step waited for them, or the
                                       fault there was
    Counts                             the same counts summed over all processes (stage.py)

A fault is no exception here: the other processes hear of it in the message in which the counts are agreed, and all end
alike.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from pretrain.config import Run
from pretrain.feed.batch import Batch
from pretrain.feed.loading import BatchMaker, default_workers, loader
from pretrain.feed.means import counted
from pretrain.feed.sampling import MicroBatchSpec
from pretrain.processes.stopping import start_tracker
from pretrain.processes.world import World

LOOK_MINUTES = 0.1
"""How often a process that waits for a batch looks whether its data workers live."""
COUNTED = ("real_tokens", "masked_tokens", "maskable_tokens", "given_up_units", "pairs")


class Ready(NamedTuple):
    """The batches of a step of this process."""

    batches: list[Batch]
    counts: list[float]
    """Targets of each task and of its parts (feed/means.py), then the fields of Counts from ``real`` on."""
    waited: float
    """Seconds."""
    fault: ValueError | OSError | None


class Counts(NamedTuple):
    """Sums over the batches of a step of all processes."""

    targets: Mapping[str, float]
    real: float
    masked: float
    maskable: float
    given_up: float
    pairs: float
    slots: float
    bad: bool
    """Has a process a reason not to train it?"""


class StepBatches:
    """The batches of a stage in order, made ahead by data workers where there are some.

    Args:
        accumulation: batches of a step, where their number is not given; at most so many.
    """

    def __init__(
        self, maker: BatchMaker, specs: Iterator[MicroBatchSpec], run: Run, world: World, accumulation: int
    ) -> None:
        on_gpu = world.device.type == "cuda"
        workers = default_workers(on_gpu, torch.get_num_threads()) if run.data_workers is None else run.data_workers
        if workers:
            start_tracker()
        self.counted, self.device, self.accumulation, self.minutes = (
            counted(maker.objectives),
            world.device,
            accumulation,
            run.engine.timeout_minutes,
        )
        self.batches = loader(maker, specs, workers, on_gpu, min(LOOK_MINUTES, self.minutes), accumulation)

    def fetch(self, count: int = 0) -> Ready:
        """The batches of the next step; ``count`` of them, where its rows have not grown to all yet."""
        begun = time.perf_counter()
        try:
            ready = [self._next().to(self.device) for _ in range(count or self.accumulation)]
        except (ValueError, OSError) as error:
            return self.none()._replace(fault=error)
        counts = [sum(batch.counts[name] for batch in ready) for name in self.counted]
        counts += [sum(getattr(batch, name) for batch in ready) for name in COUNTED]
        counts.append(sum(batch.input_ids.numel() for batch in ready))
        return Ready(ready, [float(count) for count in counts], time.perf_counter() - begun, None)

    def none(self) -> Ready:
        """No batches: after the last step of a stage."""
        return Ready([], [0.0] * (len(self.counted) + len(COUNTED) + 1), 0.0, None)

    def _next(self) -> Batch:
        """The next batch.

        Torch tells of a data worker that dies by SIGCHLD, which comes too early when the worker dies while it starts;
        so it is also asked.

        Raises:
            RuntimeError: a data worker has died, or hangs for engine.timeout_minutes.
            ValueError: what could not be made into a batch, in the words of the code that noticed.
        """
        deadline = time.monotonic() + 60 * self.minutes
        while True:
            try:
                return next(self.batches)
            except RuntimeError as error:
                if "DataLoader timed out" not in str(error) or time.monotonic() > deadline:
                    raise
            except (ValueError, OSError) as error:
                if " in DataLoader worker process " not in str(error):
                    raise
                raise ValueError(
                    re.split(r"(?m)^[\w.]*Error: ", str(error))[-1].strip()
                ) from error  # behind the worker's traceback
