"""How long a step takes on several machines: a model in a few numbers, for `kmask launch --plan` and docs/scaling.md.

    traffic(sizes, settings, micro)    what a process exchanges with the others in a step
    step_time(...)                     seconds = max(compute + update + exchange, data)

    compute     operations of a process / its rate
    update      trained weights that a process moves (all at ZeRO 0, its share above) / their rate, and from ZeRO 1 on
                gradients of every micro-batch that DeepSpeed puts into its buffers / the rate of that
    exchange    bytes through the narrowest link / its bandwidth + hops x latency, and none of it beside the compute
    data        tokens of a process / the rate of its loader, which works ahead

All processes form a ring, those of a machine side by side, so that one link leaves every machine. Of S bytes, an
all-reduce carries 2 (N - 1) / N S through every link in 2 (N - 1) hops, a reduce-scatter or an all-gather half of both.

    T = 100 M trained weights, fp32, 2 micro-batches, N = 4:    ZeRO 0   400 MB summed            600 MB carried
                                                                     1   and 400 MB gathered      900 MB
                                                                     2   800 MB, 400 MB         1,500 MB
                                                                     3   800 MB, 800 MB         1,200 MB
"""

from __future__ import annotations

import math
from typing import NamedTuple

from pretrain.settings import DeepSpeed
from pretrain.sizes import BUCKET, COPIES, Sizes

PREFETCH = 50_000_000
"""Elements that ZeRO 3 gathers at once where it holds nothing back (autocast)."""
SMALL_SUMS = 2
"""All-reduces of a few numbers at the end of a step from ZeRO 1 on: the norm of the gradient, the look for numbers that
are not finite."""


class Traffic(NamedTuple):
    """What a process exchanges in a step."""

    summed: float
    """Bytes that go through all-reduces."""
    scattered: float
    """Bytes that go through reduce-scatters."""
    gathered: float
    """Bytes that all-gathers put together."""
    halves: int
    """Messages: an all-reduce counts twice, because it is a reduce-scatter and an all-gather."""

    def over_gloo(self) -> Traffic:
        """As gloo carries it, which sends a reduce-scatter as an all-reduce; NCCL does not."""
        return self._replace(summed=self.summed + self.scattered, scattered=0)

    def carried(self, processes: int) -> float:
        """Bytes through every link of the ring, in each direction that it is used."""
        return (processes - 1) / processes * (2 * self.summed + self.scattered + self.gathered)

    def hops(self, processes: int) -> int:
        """Times that somebody waits for a neighbour."""
        return (processes - 1) * self.halves


def traffic(found: Sizes, settings: DeepSpeed, micro: int) -> Traffic:
    """Of a step of so many micro-batches; as counted of DeepSpeed 0.19.8 at every stage and precision.

    ```
    ZeRO    all-reduce             reduce-scatter       all-gather
    0       4 T                    -                    -
    1       g                      -                    w
    2       micro x g              -                    w
    3       -                      micro x g            micro x p
    ```

    T trained weights; g, w, p bytes of gradients, of trained and of all weights: 4 each; 2 with 16-bit copies; under
    autocast g and p hold 2 for weights of linear layers, w 4. fp16, which needs a GPU, is taken to be like bf16 copies.
    """
    trained, whole, stage = found.trained, found.parameters, settings.zero_stage
    if stage == 0:
        return Traffic(4 * trained, 0, 0, 2)
    copies, autocast = settings.precision in COPIES, settings.precision == "bf16"
    narrow = 2 * found.linear if autocast else 0
    gradients, weights = (2 * trained, 2 * trained) if copies else (4 * trained - narrow, 4 * trained)
    buckets = math.ceil(trained / BUCKET) * (2 if autocast else 1)
    if stage < 3:
        times = micro if stage == 2 else 1
        return Traffic(times * gradients, 0, weights, 2 * (times * buckets + SMALL_SUMS) + 2)
    pieces = 1 + math.ceil(whole / PREFETCH) if autocast else found.large
    every = (2 if copies else 4) * whole - narrow
    return Traffic(0, micro * gradients, micro * every, micro * (buckets + pieces) + 2 * SMALL_SUMS)


class Machines(NamedTuple):
    """Where a run would be."""

    hosts: int
    each: int
    """Processes on each of them."""
    bandwidth: float
    """Bytes a second out of a machine, and as many into it."""
    latency: float = 0.0
    """Seconds a hop."""
    local: float = math.inf
    """Bytes a second between processes of one machine."""

    @property
    def processes(self) -> int:
        """All of them."""
        return self.hosts * self.each

    def seconds(self, exchanged: Traffic) -> float:
        """That the exchange of a step takes."""
        narrowest = self.local if self.hosts == 1 else min(self.bandwidth, self.local)
        return exchanged.carried(self.processes) / narrowest + exchanged.hops(self.processes) * self.latency


class Speed(NamedTuple):
    """Of one process."""

    flops: float
    """Operations a second while it computes."""
    update: float = math.inf
    """Weights a second that its optimiser moves."""
    handling: float = math.inf
    """Gradients a second that DeepSpeed takes into its buffers, from ZeRO 1 on in every micro-batch."""
    loader: float = math.inf
    """Tokens a second that its loader brings."""


class StepTime(NamedTuple):
    """Seconds of a step, by what they are spent on."""

    compute: float
    update: float
    exchange: float
    data: float
    """That the loader needs for the tokens of the step; beside all else."""

    @property
    def total(self) -> float:
        """From one step to the next."""
        return max(self.compute + self.update + self.exchange, self.data)

    @property
    def share(self) -> float:
        """Of the time, what is spent computing: 1 is linear scaling."""
        return (self.compute + self.update) / self.total if self.total else 1.0


def step_time(
    found: Sizes, settings: DeepSpeed, micro: int, machines: Machines, speed: Speed, flops: float, tokens: float = 0.0
) -> StepTime:
    """Of a step.

    Args:
        micro: micro-batches of a process.
        flops: operations of one micro-batch, and ``tokens`` the real ones in it.
    """
    sharded = settings.zero_stage > 0
    moved, handled = found.trained / (machines.processes if sharded else 1), micro * found.trained * sharded
    return StepTime(
        compute=micro * flops / speed.flops,
        update=moved / speed.update + handled / speed.handling,
        exchange=machines.seconds(traffic(found, settings, micro)),
        data=micro * tokens / speed.loader,
    )


MOST_MICRO = 1024


def paying_micro(
    found: Sizes, settings: DeepSpeed, machines: Machines, speed: Speed, flops: float, share: float
) -> int:
    """The fewest micro-batches a step of which ``share`` is spent computing; 0 where no number of them reaches it."""
    for micro in range(1, MOST_MICRO + 1):
        if step_time(found, settings, micro, machines, speed, flops).share >= share:
            return micro
    return 0
