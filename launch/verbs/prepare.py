"""`kmask prepare`: run it, plan it, watch it, check it, report on it.

    kmask prepare CONFIG [key=value ...]    the same as `kmask prepare run CONFIG ...`
    kmask prepare plan CONFIG               what would be done, and what time and disk it needs
    kmask prepare status PREPARED           how far it is, from any shell
    kmask prepare verify PREPARED           every byte and every array checked again
    kmask prepare report PREPARED           a page about what was read, left out and found

PREPARED is the `output` of a data configuration, or the configuration itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from launch.preparing.planning import show_plan
from launch.preparing.running import run_prepare
from launch.preparing.status import status_lines
from launch.preparing.verifying import verify_folder
from launch.reports.prepared.report import write_report
from launch.settings.yaml_files import load
from launch.verbs.arguments import DataFile, Overrides


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
    help="Corpus to shards: `kmask prepare CONFIG` runs it (again: continues it); "
    "the commands below look at it before, meanwhile and afterwards.",
)

TARGET_HELP = "A prepared folder, or the data YAML that names it as `output`."
REPORT_HELP = "The page to write; `report.html` in the prepared folder by default."
Target = Annotated[Path, typer.Argument(metavar="PREPARED", help=TARGET_HELP)]


@prepare_app.command("run")
def run_command(
    config: DataFile,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as `kmask prepare plan`.")] = False,
    slurm: Annotated[
        int | None, typer.Option(help="Print an sbatch script that prepares in this many tasks, and do nothing.")
    ] = None,
) -> None:
    """Clean, segment, annotate, tokenize. Run again to continue; run at once on many machines to share the work.

    Exit code 3: some documents were set aside.
    """
    if dry_run and slurm is None:
        show_plan(config, overrides or [])
        return
    raise typer.Exit(run_prepare(config, overrides or [], slurm))


@prepare_app.command("plan")
def plan_command(config: DataFile, overrides: Overrides = None) -> None:
    """Say what would be done, the estimated hours and disk space, measured on a sample. Nothing is written."""
    show_plan(config, overrides or [])


@prepare_app.command("status")
def status_command(
    target: Target, as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False
) -> None:
    """How far preparation is: running, stopped or finished, speed, time left, and what was set aside so far."""
    from data_prep.preparing.folder_status import status

    found = status(folder_of(target))
    print(json.dumps(found, indent=1, ensure_ascii=False) if as_json else "\n".join(status_lines(found)))


@prepare_app.command("verify")
def verify_command(target: Target) -> None:
    """Hash every shard and the tokenizer again and check every array. Exit code 2: something is wrong, and what."""
    raise typer.Exit(verify_folder(folder_of(target)))


@prepare_app.command("report")
def report_command(
    target: Target, output: Annotated[Path | None, typer.Option("--output", "-o", help=REPORT_HELP)] = None
) -> None:
    """Write a self-contained page: what was read, left out and found, with plots and sample passages."""
    folder = folder_of(target)
    write_report(folder, output or folder / "report.html")


def folder_of(target: Path) -> Path:
    """The prepared folder behind a folder or a configuration."""
    return Path(str(load(target, []).value.get("output", ""))) if target.is_file() else target
