"""`kmask train --plan`, `kmask launch --plan`: what a run would cost before it is started: memory by ZeRO stage,
operations, hours, disk; on a cluster also how its steps scale (scaling_plan.py).

    YAML --preflight--> Preflight --pretrain/costs.py--> lines; an error at the end when memory cannot suffice

Every check of a start is made, as by --dry-run. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from launch.backends import Backend
from launch.processes.dry_run import batch_lines, missing, row, show, stage_lines, starting_point
from launch.processes.scaling_plan import on_device, scaling_lines, setting_of
from launch.settings.components import decode, plain
from launch.settings.yaml_files import load
from launch.shell.exit_codes import DONE
from launch.shell.formatting import byte_size, clock, short

if TYPE_CHECKING:
    from pretrain.costs import Costs, Rate, ZeroRow
    from pretrain.preflight import Preflight

COLUMNS = ("weights", "gradients", "Adam", "activation", "vocabulary", "a process")


class Asked(NamedTuple):
    """What is asked about a run."""

    rate: float = 0.0
    """Tokens a second, on a cluster those of one process alone; 0: as the run did, or guessed."""
    memory: float = 0.0
    """GiB of a device; 0: what this machine's GPU has."""


def tell_plan(backend: Backend, file: Path, overrides: Sequence[str], asked: Asked, cluster: Path | None = None) -> int:
    """Print what a run would cost where ``backend`` starts it; returns the exit code.

    Args:
        cluster: the file that the backend was read from; it is told how steps scale on its machines.

    Raises:
        ValueError: it would not start, or memory cannot suffice.
    """
    if lacking := missing():
        raise ValueError(f"{' and '.join(lacking)} cannot be imported here; `kmask doctor` says what to install")
    from pretrain.config import Run
    from pretrain.costs import Rate, check_memory, costs, device_memory, rate_of, zero_table
    from pretrain.metrics.lines import Lines
    from pretrain.preflight import Place, preflight

    for name, value in asked._asdict().items():
        if value < 0:
            raise ValueError(f"--{name}: {value:g} must be positive")
    run = decode(Run, load(file, list(overrides)))
    place, where = backend.world(), backend.where()
    found = preflight(on_device(run, backend.device), plain(run), Place(*place))
    rate = rate_of(found, 0.0 if cluster else asked.rate, Lines(Path(found.run.output) / "metrics.jsonl", print).read())
    setting, told = setting_of(found, backend, cluster, asked.rate) if cluster else (None, "")
    if setting:
        rate = Rate(setting.rate(setting.machines, run.engine.zero_stage), "the model of its steps, below")
    table, there = zero_table(found), device_memory(asked.memory)
    show([f"{file}: nothing was written", row("run", starting_point(found)), row("processes", f"{place[0]} {where}")])
    for stage in found.stages:
        show(stage_lines(stage, found.step))
        if not found.run.even:
            show(batch_lines(stage, found.processes))
    show(size_lines(found))
    print("\n".join(memory_lines(found, table)))
    show(cost_lines(found, costs(found), rate, there))
    if cluster:
        show(scaling_lines(setting, told))
    if there:
        check_memory(found, table, there[0])
    return DONE


def size_lines(found: Preflight) -> Iterator[str]:
    """Parameters and precision."""
    sizes = found.sizes
    heads = ", ".join(f"{name} {count:,}" for name, count in sizes.heads.items())
    yield row("parameters", f"{sizes.parameters:,}: encoder and tables {sizes.encoder:,}; heads {heads}")
    yield row("precision", found.run.engine.precision + (f" ({found.why})" if found.why else ""))


def memory_lines(found: Preflight, table: Sequence[ZeroRow]) -> Iterator[str]:
    """The table of memory: a line for each ZeRO stage, the configured one marked."""
    yield row("memory", "".join(f"{name:>11}" for name in COLUMNS))
    for item in table:
        mark = "*" if item.stage == found.run.engine.zero_stage else " "
        parts = [*item.memory, item.activations, item.vocabulary, item.total] if item.memory else []
        cells = "".join(f"{byte_size(part):>11}" for part in parts)
        none = "  muon needs ZeRO 0" if item.stage else f"  {found.run.engine.precision} needs ZeRO 1 or more"
        yield f"  {mark} ZeRO {item.stage}    {cells or none}"


def cost_lines(found: Preflight, whole: Costs, rate: Rate | None, there: tuple[float, str] | None) -> Iterator[str]:
    """Device, tokens, operations, hours, disk."""
    run = found.run
    note = "of one process; * as configured; activation and vocabulary are estimates"
    batch = found.dearest.batch
    where = f" (stage `{found.dearest.name}`)" if len({stage.batch.lengths for stage in found.stages}) > 1 else ""
    yield row("", f"{note}, for {batch.rows_per_process} x {batch.row:,} positions at once{where}")
    if begun := max(stage.sizes.begun for stage in found.stages if stage.sizes):
        yield row("", f"beside them {byte_size(4 * begun)} of main memory (optimization.average_stages)")
    yield row("device", f"{byte_size(there[0])}, {there[1]}" if there else "memory not known; --memory GIB checks it")
    share = whole.tokens / max(whole.positions, 1)
    a_step = whole.positions // max(whole.steps, 1)
    about = "" if run.even else "about "
    yield row(
        "tokens",
        f"{short(whole.tokens)} in {whole.steps:,} steps of {about}{a_step:,} positions ({share:.1%} real tokens)",
    )
    a_token = whole.flops / max(whole.tokens, 1.0)
    yield row("operations", f"{whole.flops:.3g} FLOP, {short(a_token)} for each token")
    if rate:
        seconds = whole.tokens / rate.tokens
        told = f"{whole.hours(rate):,.1f} hours" if seconds >= 3600 else clock(seconds)
        speed = whole.flops / seconds / found.processes / 1e12 if seconds else 0.0
        yield row("time", f"{told} at {short(rate.tokens)} tokens/s: {rate.why}; {speed:,.3g} TFLOP/s a process")
    else:
        yield row("time", "not known: give --rate TOKENS_PER_SECOND, or train some steps first")
    yield row("", "evaluation and checkpoints come on top")
    size, count = found.sizes.checkpoint, run.checkpoints.most([stage.steps for stage in run.stages])
    room = f"{byte_size(count * size)} of {byte_size(found.free)}"
    yield row("disk", f"{byte_size(size)} a checkpoint, up to {count} at a time: {room}")
    yield from (row("note", note) for note in found.notes)
