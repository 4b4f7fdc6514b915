"""`--dry-run` of train and launch: every check of a start, what would be trained, and the commands last.

    YAML, backend  --preflight-->  Preflight  ->  lines no wider than the terminal (100 columns at most)  ->  commands

Nothing is written. Where torch is missing (a login node), the commands of `kmask launch` are shown all the same.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shlex
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from launch.backends import Backend, Command, Start
from launch.processes.rank import adopt_slurm, is_rank
from launch.settings.components import decode, plain
from launch.settings.yaml_files import load
from launch.shell.exit_codes import DONE
from launch.shell.formatting import byte_size, counted, decimals

if TYPE_CHECKING:
    from pretrain.plans import StagePlan
    from pretrain.preflight import Preflight

NARROWEST, WIDEST, LABEL = 60, 100, 14
NEEDED = ("torch", "transformers", "deepspeed")


def dry_run(backend: Backend, file: Path, overrides: list[str], remote: bool) -> int:
    """Print what ``backend`` would start; returns the exit code.

    Args:
        remote: the commands are meant for other machines; libraries missing on this one only end the checks.

    Raises:
        ValueError: the run would not start here, or not there.
    """
    source = load(file, overrides)
    output = Path(str(source.value.get("output", "."))).absolute()
    start = Start(["train", str(file), *overrides], output, output / "attempts" / "NAME")
    commands = backend.commands(start)
    if is_rank() and not remote:
        adopt_slurm()
        if os.environ["RANK"] != "0":
            return DONE  # rank 0 tells
        commands = []
    if lacking := missing():
        if not remote:
            raise ValueError(
                f"{' and '.join(lacking)} cannot be imported here, so nothing can be trained; "
                "`kmask doctor` says what to install"
            )
        show([f"note: nothing was checked, because {' and '.join(lacking)} cannot be imported on this machine"])
    else:
        from pretrain.config import Run
        from pretrain.preflight import Place, preflight

        run = decode(Run, source)
        processes, machines = world_of(backend, commands)
        found = preflight(run, plain(run), Place(*processes))
        show([f"{file}: a start would pass every check; nothing was written", *summary(found, machines)])
    if script := backend.script(start):
        print(script)
    show_commands(commands)
    return DONE


def missing() -> list[str]:
    """Libraries that training needs and this machine lacks; torch is imported, for a library of its own may be gone."""
    found = []
    for name in NEEDED:
        try:
            if importlib.util.find_spec(name) is None or (name == "torch" and not importlib.import_module(name)):
                found.append(name)
        except (ImportError, OSError, ValueError):
            found.append(name)
    return found


def world_of(backend: Backend, commands: Sequence[Command]) -> tuple[tuple[int, int], str]:
    """Number of processes, how many of them on this machine, and where they are for a person."""
    if not commands:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return (int(os.environ["WORLD_SIZE"]), local), f"of which {local} on this machine"
    return backend.world(), backend.where()


def summary(found: Preflight, where: str) -> Iterator[str]:
    """What would be trained, as lines of a label and a text."""
    run, total = found.run, found.total
    yield row("run", starting_point(found))
    yield from (row("changed", change) for change in found.changes)
    yield row("output", run.output)
    micro = f"; each takes {micro_batches(found.stages[0], found.processes)}" if run.even else ""
    yield row("processes", f"{found.processes} {where}{micro}")
    for stage in found.stages:
        yield from stage_lines(stage, found.step)
        if not run.even:
            yield from batch_lines(stage, found.processes)
    batch = found.stages[0].batch
    step = f"{batch.rows_per_step * batch.row:,} a step ({batch.rows_per_step:,} rows of {batch.row:,}), "
    whole = sum(stage.positions() for stage in found.stages)
    yield row("tokens", f"{step if run.even else ''}{whole:,} in {total:,} steps")
    for folder in found.folders:
        heldout = f"{folder.heldout:,} documents held out" if folder.heldout else "nothing held out"
        yield row(
            "data",
            f"{folder.name}: {folder.tokens:,} tokens, {folder.epochs:,.{decimals(folder.epochs)}f} epochs; {heldout}",
        )
    yield row(
        "evaluation",
        f"every {run.evaluation.every:,} steps on up to {run.evaluation.rows:,} rows a task and folder"
        if run.evaluation.every
        else "off",
    )
    yield from model_lines(found)
    yield from (row("note", note) for note in found.notes)


def starting_point(found: Preflight) -> str:
    """Where it would start."""
    if found.newest is None:
        return f"new, {found.total:,} steps"
    if found.step >= found.total:
        return f"finished: all {found.total:,} steps are done ({found.newest}); a start would do nothing"
    return f"would go on at step {found.step:,} of {found.total:,}, from {found.newest}"


def stage_lines(stage: StagePlan, step: int) -> Iterator[str]:
    """A stage and its tasks."""
    end = stage.begin + stage.steps
    state = ", done" if step >= end else f", {step - stage.begin:,} of them done" if step > stage.begin else ""
    yield row("stage", f"`{stage.name}`: {stage.steps:,} steps, {stage.begin:,} to {end:,}{state}")
    for task in stage.tasks:
        rows = (
            f"{task.share:4.0%} {task.rows:11,d} rows"
            if task.share
            else f"{'':>4} {'every row' if task.everywhere else 'no rows':>16}"
        )
        yield f"{'':{LABEL}}  {task.name:24} {rows}{'  new' if task.new else ''}"


def micro_batches(stage: StagePlan, processes: int) -> str:
    """What a process takes a step, once the rows have grown."""
    batches = counted(stage.batch.rows_per_step // (processes * stage.batch.rows_per_process), "micro-batch", "es")
    return f"{batches} a step of {counted(stage.batch.rows_per_process, 'row')}"


def batch_lines(stage: StagePlan, processes: int) -> Iterator[str]:
    """How much text the steps of a stage see, where stages or steps differ in it."""
    rows, batch = (stage.rows.of(step) for step in (stage.begin, stage.begin + stage.steps - 1)), stage.batch
    told = " to ".join(f"{count:,}" for count in dict.fromkeys(rows))
    lengths = f"{told} rows a step of {batch.row:,} tokens, samples of up to {batch.max_sample_tokens:,}"
    yield row("", f"{lengths}; each process takes {micro_batches(stage, processes)}")


def model_lines(found: Preflight) -> Iterator[str]:
    """Parameters, precision, learning rate, memory and disk."""
    run, sizes, memory = found.run, found.sizes, found.memory
    heads = ", ".join(f"{name} {count:,}" for name, count in sizes.heads.items())
    yield row("parameters", f"{sizes.parameters:,}: encoder {sizes.encoder:,}; heads {heads}")
    yield row("precision", run.engine.precision + (f" ({found.why})" if found.why else ""))
    rate = run.optimization
    again = ", anew in each stage" if rate.restart_per_stage and len(run.stages) > 1 else ""
    end = "" if rate.schedule == "noam" else f" to {rate.lr * rate.final_share:g}"
    yield row(
        "rate", f"{rate.lr:g} at its peak after {rate.warmup:,} steps of warm-up, then {rate.schedule}{end}{again}"
    )
    parts = (
        f"{byte_size(memory.weights)} weights + {byte_size(memory.gradients)} gradients + {byte_size(memory.adam)} Adam"
    )
    world = f"ZeRO {run.engine.zero_stage}, {counted(found.processes, 'process', 'es')}"
    yield row("memory", f"{byte_size(sum(memory))} a process: {parts} ({world})")
    if activations := max(stage.activations for stage in found.stages):
        yield row("", f"and roughly {byte_size(activations)} for activations and buffers: an estimate")
    if begun := max(stage.sizes.begun for stage in found.stages if stage.sizes):
        yield row(
            "", f"and {byte_size(4 * begun)} of main memory for a stage's beginning (optimization.average_stages)"
        )
    count, every = run.checkpoints.most([stage.steps for stage in run.stages]), run.checkpoints.every
    disk = f"{byte_size(count * sizes.checkpoint)} of {byte_size(found.free)}"
    yield row("checkpoint", f"{byte_size(sizes.checkpoint)}, every {every:,} steps; up to {count} at a time, {disk}")


def row(label: str, text: str) -> str:
    """A label and what there is to say."""
    return f"{label:{LABEL}}{text}"


def show(lines: Sequence[str] | Iterator[str]) -> None:
    """Print lines; those that are too long for the terminal go on below their text."""
    width = min(WIDEST, max(NARROWEST, shutil.get_terminal_size((WIDEST, 24)).columns))
    for line in lines:
        indent = "" if line[:1].strip() and not line[:LABEL].endswith(" ") else " " * LABEL
        print(
            textwrap.fill(
                line,
                width,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
                drop_whitespace=True,
            )
        )


def show_commands(commands: Sequence[Command]) -> None:
    """The commands, one a line as a shell takes them: they come last and are not wrapped."""
    if not commands:
        print(f"{'commands':{LABEL}}none to start: this is one of the processes of torchrun, srun or deepspeed")
        return
    print("would start" if len(commands) == 1 else f"would start {len(commands)} processes")
    for command in commands:
        variables = [f"{name}={shlex.quote(item)}" for name, item in command.environment.items()]
        print(" ".join([*variables, shlex.join(command.argv)]))
