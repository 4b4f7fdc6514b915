"""What a run would cost: tokens, operations, hours, memory at every ZeRO stage. For `kmask train --plan`.

Preflight --> Costs       what is left of the run, from the step at which it would start
zero_table(...)           memory of a process at ZeRO 0 to 3, for the stage of the run that needs most
check_memory(...)         ValueError where the configured one cannot suffice
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from pretrain.config import Run
from pretrain.peaks import peak_of
from pretrain.preflight import Preflight
from pretrain.settings import DeepSpeed
from pretrain.sizes import Memory, training_memory

USUAL_SHARE = 0.4
"""Of a device's peak that training is taken to reach where nothing is known: encoders of base size reach a quarter to a
half of it."""
LAST_LINES = 20
"""Lines of training whose median rate is taken."""
GIB = 2**30


class Rate(NamedTuple):
    """How fast a run is taken to be."""

    tokens: float
    """Real tokens a second, of all processes."""
    why: str


class Costs(NamedTuple):
    """What is left of a run."""

    steps: int
    positions: int
    """Of all rows, padding included."""
    tokens: float
    """Real tokens: positions without padding."""
    flops: float

    def hours(self, rate: Rate) -> float:
        """At a rate."""
        return self.tokens / rate.tokens / 3600


def costs(found: Preflight) -> Costs:
    """Of the steps that are left, stage by stage."""
    positions, tokens, flops = 0, 0.0, 0.0
    for stage in found.stages:
        left = stage.positions(found.step)
        real = left * stage.load.real_share
        positions, tokens, flops = positions + left, tokens + real, flops + real * stage.load.flops
    return Costs(max(found.total - found.step, 0), positions, tokens, flops)


def rate_of(found: Preflight, given: float, lines: Iterable[Mapping[str, Any]]) -> Rate | None:
    """The rate that is given, that of the last lines of the run, or a usual share of a known GPU's peak; None: nothing
    is known.

    Args:
        lines: of metrics.jsonl, where the run has some.
    """
    if given:
        return Rate(given, "as given (--rate)")
    seen = [line.get("tokens_per_second") for line in lines if line.get("event") == "train"]
    rates = [float(value) for value in seen if isinstance(value, int | float)][-LAST_LINES:]
    if rates:
        return Rate(statistics.median(rates), f"the median of the last {len(rates)} lines of metrics.jsonl")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    peak = peak_of(found.run.tracking.peak_tflops, found.run.engine.precision, device)
    whole = costs(found)
    if not peak or not whole.flops:
        return None
    tokens = USUAL_SHARE * peak * 1e12 * found.processes * whole.tokens / whole.flops
    return Rate(tokens, f"{USUAL_SHARE:.0%} of {peak:,.0f} TFLOP/s on each of {found.processes} devices, a guess")


class ZeroRow(NamedTuple):
    """Memory of a process at one ZeRO stage."""

    stage: int
    memory: Memory | None
    """None: the precision needs a higher stage, or Muon a lower one."""
    activations: int
    """Without what is predicted over the vocabulary."""
    vocabulary: int

    @property
    def total(self) -> int:
        """All of it; 0 when this stage is impossible."""
        return sum(self.memory) + self.activations + self.vocabulary if self.memory else 0


def zero_table(found: Preflight) -> list[ZeroRow]:
    """ZeRO 0 to 3, each for the stage of the run that needs most there."""
    rows = []
    for number in range(4):
        needs = []
        for stage in found.stages:
            if stage.sizes is None:
                continue
            settings = _at(found.run, number)
            memory = training_memory(stage.sizes, settings, found.processes) if settings else None
            bucket = _bucket(number) - _bucket(found.run.engine.zero_stage) if stage.activations else 0
            load = stage.activations - stage.load.vocabulary + bucket
            needs.append(ZeroRow(number, memory, load, stage.load.vocabulary))
        rows.append(max(needs, key=lambda row: row.total))
    return rows


def _at(run: Run, stage: int) -> DeepSpeed | None:
    """The same engine at another ZeRO stage, where precision and optimiser allow that."""
    try:
        run.optimization.check_sharding(stage)
        return replace(run.engine, zero_stage=stage)
    except ValueError:
        return None


def _bucket(stage: int) -> int:
    from pretrain.sizes import BUCKET

    return 4 * BUCKET if stage else 0


def device_memory(given: float) -> tuple[float, str] | None:
    """Bytes of a device and what says so; None: not known."""
    if given:
        return given * GIB, "as given (--memory)"
    if torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(0).total_memory), torch.cuda.get_device_name(0)
    return None


def check_memory(found: Preflight, rows: Sequence[ZeroRow], there: float) -> None:
    """Raise ValueError when the configured ZeRO stage needs more than a device has; says what would fit."""
    mine = rows[found.run.engine.zero_stage]
    if mine.total <= there:
        return
    others = [str(row.stage) for row in rows if row.memory and row.total <= there]
    remedies = [f"engine.zero_stage {' or '.join(others)} would fit"] if others else []
    fixed = sum(mine.memory or ())
    if found.dearest.batch.rows_per_process > 1 and fixed < there:
        remedies.append("fewer rows at once (batch.rows_per_process) need less for activations")
    if found.run.engine.zero_stage and not others:
        remedies.append("more processes share out optimiser and gradients")
    raise ValueError(
        f"memory cannot suffice: a process needs about {mine.total / GIB:,.3g} GiB ({fixed / GIB:,.3g} GiB of weights, "
        f"gradients and Adam), the device has {there / GIB:,.3g} GiB; {'; '.join(remedies) or 'train a smaller model'}"
    )
