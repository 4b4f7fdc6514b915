"""`kmask launch --plan`: what a run would cost on the machines of a cluster file, and how its steps scale with them.

    cluster file (device, bandwidth, latency), or what `kmask doctor --cluster` measured  --+
    YAML --preflight--> Preflight --pretrain/scaling.py--> seconds of a step at every ZeRO stage, tokens a second on
                                                           1, 2, 4 ... machines, and from where on more text a step pays

The model and its measured error: docs/scaling.md. Nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from launch.backends import Backend
from launch.cluster.measured import read_measured
from launch.processes.dry_run import LABEL, row
from launch.shell.formatting import byte_size, counted, short

if TYPE_CHECKING:
    from pretrain.config import Run
    from pretrain.plans import StagePlan
    from pretrain.preflight import Preflight
    from pretrain.scaling import Machines, Speed, StepTime
    from pretrain.settings import DeepSpeed

WITHOUT_BF16 = ("V100", "T4")
"""Devices on which `precision: auto` chooses fp32."""
ENOUGH = 0.9
"""Of a step, what is spent computing where exchanging no longer matters."""


def on_device(run: Run, device: str) -> Run:
    """The run with `precision: auto` as GPUs of such a name would have it."""
    if not device or run.engine.precision != "auto":
        return run
    return replace(run, engine=replace(run.engine, precision="fp32" if device in WITHOUT_BF16 else "bf16"))


class Setting(NamedTuple):
    """A run on a cluster, as the model of step time takes it."""

    stage: StagePlan
    machines: Machines
    speed: Speed
    engine: DeepSpeed

    @property
    def tokens(self) -> float:
        """Real tokens of a micro-batch of a process."""
        return self.stage.batch.rows_per_process * self.stage.batch.row * self.stage.load.real_share

    def micro(self, machines: Machines) -> float:
        """Micro-batches of a process in a step; no whole number where its rows cannot be divided."""
        return self.stage.batch.rows_per_step / (machines.processes * self.stage.batch.rows_per_process)

    def step(self, machines: Machines, zero: int) -> StepTime:
        """A step on such machines at a ZeRO stage."""
        from pretrain.scaling import step_time

        assert self.stage.sizes is not None
        engine = replace(self.engine, zero_stage=zero)
        flops = self.tokens * self.stage.load.flops
        return step_time(
            self.stage.sizes, engine, round(self.micro(machines)), machines, self.speed, flops, self.tokens
        )

    def rate(self, machines: Machines, zero: int) -> float:
        """Real tokens a second of all processes."""
        return round(self.micro(machines)) * self.tokens * machines.processes / self.step(machines, zero).total

    def stages(self) -> list[int]:
        """ZeRO stages that its precision allows."""
        return [number for number in range(4) if number or self.engine.precision not in ("bf16_parameters", "fp16")]


def network(backend: Backend, cluster: Path) -> tuple[Machines | None, str]:
    """The machines, and what says so; None where it is not known how fast they exchange.

    Raises:
        ValueError: machines with different numbers of processes.
    """
    from pretrain.scaling import Machines

    hosts, processes = backend.machine_count(), backend.world()[0]
    if processes % hosts:
        raise ValueError(f"{cluster}: its {hosts} machines have unequal numbers of processes")
    found = read_measured(cluster)
    fits = found is not None and (found.machines > 1) == (hosts > 1)
    bandwidth = backend.bandwidth or (found.bandwidth if found and fits else 0.0)
    latency = backend.latency or (found.latency if found and fits else 0.0)
    given = [name for name in ("bandwidth", "latency") if getattr(backend, name)]
    why = " and ".join([*(["as given"] if given else []), *(["as measured"] if len(given) < 2 and fits else [])])
    each = processes // hosts
    if hosts == 1:
        local = 1e9 * bandwidth if bandwidth else math.inf
        return Machines(hosts, each, local, latency / 1e6, local), why or "messages within it taken to cost nothing"
    return (Machines(hosts, each, 1e9 * bandwidth, latency / 1e6), why) if bandwidth else (None, "")


def speed_of(found: Preflight, backend: Backend, rate: float) -> tuple[Speed | None, str]:
    """How fast one process computes by itself, and what says so; None: nothing does.

    Raises:
        ValueError: the device of the cluster file is not known.
    """
    from pretrain.costs import USUAL_SHARE
    from pretrain.peaks import PEAKS, SINGLE, peak_tflops
    from pretrain.scaling import Speed

    if rate:
        return Speed(rate * found.dearest.load.flops), f"{short(rate)} tokens/s alone, as given (--rate)"
    peak = found.run.tracking.peak_tflops or (peak_tflops(backend.device) if backend.device else None)
    if backend.device and not peak:
        known = ", ".join(name for name, _ in PEAKS)
        raise ValueError(f"device: {backend.device!r} is none of {known}; give --rate or tracking.peak_tflops")
    if not peak or found.run.engine.precision in SINGLE:
        return None, ""
    flops = USUAL_SHARE * peak * 1e12
    return Speed(flops), f"{flops / 1e12:,.0f} TFLOP/s alone: {USUAL_SHARE:.0%} of {peak:,.0f}, a guess"


def setting_of(found: Preflight, backend: Backend, cluster: Path, rate: float) -> tuple[Setting | None, str]:
    """A run on the machines of a cluster file and what it rests on; None, and what is lacking.

    Args:
        rate: real tokens a second of one process alone; 0: not given.
    """
    machines, why = network(backend, cluster)
    speed, told = speed_of(found, backend, rate)
    if found.dearest.sizes is None or found.step >= found.total:
        return None, "all steps are done"
    if machines is None:
        return None, f"not known: set bandwidth in {cluster}, or `kmask doctor --cluster {cluster}` measures it"
    if speed is None:
        return None, f"not known: name the GPUs in {cluster} (device: H200; for 16 bits), or give --rate of one process"
    fast = machines.bandwidth < math.inf
    link = f"{machines.bandwidth / 1e9:,.3g} GB/s, {1e6 * machines.latency:,.3g} us a hop ({why})" if fast else why
    setting = Setting(found.dearest, machines, speed, found.run.engine)
    return setting, f"{machines.processes} processes {backend.where()}: {link}; one process {told}"


def scaling_lines(setting: Setting | None, told: str) -> Iterator[str]:
    """Everything about steps on these machines."""
    yield row("scaling", told)
    if setting is None:
        return
    yield from step_lines(setting)
    yield from machine_lines(setting)
    yield from paying_lines(setting)
    yield row(
        "", "a model (docs/scaling.md): exchange is not overlapped, data are there in time; one machine: hops alone"
    )


def step_lines(setting: Setting) -> Iterator[str]:
    """A line for each ZeRO stage, the configured one marked."""
    from pretrain.scaling import traffic

    yield f"{'a step':{LABEL}}{'computing':>11}{'exchanging':>11}{'carried':>11}{'tokens/s':>11}{'computing':>11}"
    for zero in setting.stages():
        step, assumed = setting.step(setting.machines, zero), replace(setting.engine, zero_stage=zero)
        assert setting.stage.sizes is not None
        sent = traffic(setting.stage.sizes, assumed, round(setting.micro(setting.machines)))
        carried = byte_size(sent.carried(setting.machines.processes))
        rate = short(setting.rate(setting.machines, zero))
        mark = "*" if zero == setting.engine.zero_stage else " "
        cells = (seconds(step.compute + step.update), seconds(step.exchange), carried, rate, f"{step.share:.0%}")
        yield f"  {mark} ZeRO {zero}    " + "".join(f"{cell:>11}" for cell in cells)


def machine_lines(setting: Setting) -> Iterator[str]:
    """Tokens a second on 1, 2, 4 ... machines at the configured ZeRO stage, as far as the rows of a step divide."""
    given, zero = setting.machines, setting.engine.zero_stage
    counts = [count for count in (2**power for power in range(17)) if count < given.hosts]
    told = []
    for count in [*counts, given.hosts]:
        machines = given._replace(hosts=count)
        if setting.micro(machines) >= 1 and setting.micro(machines).is_integer():
            rate, step = setting.rate(machines, zero), setting.step(machines, zero)
            told.append(f"{count}: {short(rate)} tokens/s ({step.share:.0%})")
    yield row("machines", "; ".join(told))


def paying_lines(setting: Setting) -> Iterator[str]:
    """How much text a step needs before exchanging hardly matters."""
    from pretrain.scaling import MOST_MICRO, paying_micro

    now, step = round(setting.micro(setting.machines)), setting.tokens * setting.machines.processes
    assert setting.stage.sizes is not None
    for zero in setting.stages():
        engine = replace(setting.engine, zero_stage=zero)
        flops = setting.tokens * setting.stage.load.flops
        enough = paying_micro(setting.stage.sizes, engine, setting.machines, setting.speed, flops, ENOUGH)
        label = "more text" if zero == setting.stages()[0] else ""
        if enough:
            needed = counted(enough, "micro-batch", "es")
            told = f"from {needed}, {short(enough * step)} tokens a step (now {now:,}, {short(now * step)})"
            yield row(label, f"ZeRO {zero}: {ENOUGH:.0%} of a step are computing {told}")
        elif zero < 2:
            yield row(label, f"ZeRO {zero}: not with {MOST_MICRO:,} micro-batches a step either")
        else:
            yield row(
                label, f"ZeRO {zero}: never, it exchanges in each micro-batch; larger ones pay (rows_per_process)"
            )


def seconds(value: float) -> str:
    """A time as a person reads it."""
    return f"{1e3 * value:,.3g} ms" if value < 1 else f"{value:,.3g} s"
