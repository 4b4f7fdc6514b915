"""`kmask prepare`: run it, plan it, watch it, check it, report on it.

    kmask prepare CONFIG [key=value ...]    the same as `kmask prepare run CONFIG ...`
    kmask prepare plan CONFIG               what would be done, how long it takes and how much disk it needs; nothing but a large survey is kept
    kmask prepare status PREPARED           how far it is, from any shell
    kmask prepare verify PREPARED           every byte and every array checked again
    kmask prepare report PREPARED           a page about what was read, left out and found

PREPARED is the `output` of a data configuration, or the configuration itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from launch.config import load
from launch.console import Bar, clock

WRONG = 2
SHOWN_PROBLEMS, SHOWN_LINES = 100, 6


class RunByDefault(TyperGroup):
    """A group of commands whose first argument may be left out when it is `run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before arguments that name no command."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


prepare_app = typer.Typer(
    cls=RunByDefault,
    no_args_is_help=True,
    subcommand_metavar="CONFIG | COMMAND [ARGS]...",
    rich_markup_mode="markdown",
    help="Corpus to shards: `kmask prepare CONFIG` runs it (again: continues it); the commands below look at it before, meanwhile and afterwards.",
)

ConfigFile = Annotated[Path, typer.Argument(help="Data YAML; see configs/data or `kmask init`.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Changes to it: dotted.key=value ...")]
Target = Annotated[Path, typer.Argument(metavar="PREPARED", help="A prepared folder, or the data YAML that names it as `output`.")]


@prepare_app.command("run")
def run_command(
    config: ConfigFile,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as `kmask prepare plan`.")] = False,
    slurm: Annotated[int | None, typer.Option(help="Print an sbatch script that prepares in this many tasks, and do nothing.")] = None,
) -> None:
    """Clean, segment, annotate, tokenize. Run again to continue; run at once on many machines to share the work.

    Exit code 3: some documents were set aside.
    """
    from launch.commands import run_prepare

    if dry_run and slurm is None:
        plan_command(config, overrides)
        return
    raise typer.Exit(run_prepare(config, overrides or [], slurm))


@prepare_app.command("plan")
def plan_command(config: ConfigFile, overrides: Overrides = None) -> None:
    """Say what would be done, the estimated hours and disk space, measured on a sample. Nothing is written."""
    from launch.planning import show_plan

    show_plan(config, overrides or [])


@prepare_app.command("status")
def status_command(target: Target, as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False) -> None:
    """How far preparation is: running, stopped or finished, speed, time left, and what was set aside so far."""
    from data_prep.preparing.folder_status import status

    found = status(folder_of(target))
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    for line in status_lines(found):
        print(line)


@prepare_app.command("verify")
def verify_command(target: Target) -> None:
    """Hash every shard and the tokenizer again and check every array. Exit code 2: something is wrong, and what."""
    from data_prep.preparing.verification import verify

    folder = folder_of(target)
    bar = Bar("verify", "bytes")
    try:
        problems = list(verify(folder, lambda done, total: bar.update(done, total, f"{done / 1e6:,.1f} MB")))
    finally:
        bar.close()
    if not problems:
        shards = json.loads((folder / "manifest.json").read_bytes())["shards"]
        print(f"{folder}: {len(shards):,} shard(s) with {sum(shard['documents'] for shard in shards):,} documents are as they were made")
        return
    print(f"error: {folder}: {len(problems):,} problem(s)", file=sys.stderr)
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"  {problem}", file=sys.stderr)
    if len(problems) > SHOWN_PROBLEMS:
        print(f"  ... and {len(problems) - SHOWN_PROBLEMS:,} more", file=sys.stderr)
    print(f"  {remedy(problems)}", file=sys.stderr)
    raise typer.Exit(WRONG)


def remedy(problems: Sequence[str]) -> str:
    """What to do about them."""
    damaged = sorted({"/".join(problem.partition(":")[0].split("/")[:2]) for problem in problems if problem.startswith("parts/")})
    damaged += ["tokenizer"] if any(problem.startswith("tokenizer") for problem in problems) else []
    shown = ", ".join(damaged[:SHOWN_LINES]) + (" ..." if len(damaged) > SHOWN_LINES else "")
    return f"Delete {shown} and run `kmask prepare CONFIG` again: it makes what is missing." if damaged else "Run `kmask prepare CONFIG` again."


@prepare_app.command("report")
def report_command(
    target: Target,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The page to write; `report.html` in the prepared folder by default.")] = None,
) -> None:
    """Write a self-contained page: what was read, left out and found, with plots and sample passages."""
    from launch.report import write_report

    folder = folder_of(target)
    file = output or folder / "report.html"
    write_report(folder, file)
    print(f"written to {file}")


def folder_of(target: Path) -> Path:
    """The prepared folder behind a folder or a configuration."""
    return Path(str(load(target, []).value.get("output", ""))) if target.is_file() else target


def status_lines(found: dict[str, Any]) -> list[str]:
    """A status as a person reads it."""
    if "parts" not in found:
        state = "running, the files are being surveyed" if found["state"] == "running" else "never begun (no plan.json there)"
        return [f"{found['folder']}: {state}", *worker_lines(found)]
    done, total = found["bytes"]["done"], found["bytes"]["total"]
    stage = f", stage `{found['stage']}`" if found["state"] != "finished" else ""
    share = f"{done / 1e6:,.1f} of {total / 1e6:,.1f} MB ({done / max(total, 1):.0%})"
    lines = [
        f"{found['folder']}: {found['state']}{stage}",
        f"  {found['parts']['done']:,} of {found['parts']['total']:,} parts, {share}, {found['documents']:,} documents",
    ]
    if found["megabytes_per_second"] and found["state"] != "finished":
        lines.append(f"  {found['megabytes_per_second']:.2f} MB/s, about {clock(found['seconds_left'])} left")
    for name, step in found["steps"].items():
        lines.append(f"  step {name}: " + ("finished" if step["finished"] else f"{step['parts']:,} of {step['of']:,} parts"))
    if found["set_aside"]:
        lines.append("  set aside: " + "; ".join(f"{reason}: {count:,}" for reason, count in found["set_aside"].items()))
    if found["state"] == "stopped":
        lines.append("  nothing works on it now; `kmask prepare CONFIG` continues")
    return [*lines, *worker_lines(found)]


def worker_lines(found: dict[str, Any]) -> list[str]:
    """Who is at what."""
    lines = [f"  launched by process {launch['process']} on {launch['host']}" for launch in found["launches"]]
    for worker in found["workers"]:
        where = f", line {worker['line']:,}" if worker["line"] else ""
        lines.append(f"  process {worker['process']} on {worker['host']}: {worker['stage']} {worker['part']}{where}")
    return lines
