"""The command line: assembles the verbs, and makes errors readable. Exit codes stand in shell/exit_codes.py."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from launch.packages import check_packages
from launch.processes.rank import LostPeerError, LostProcessError, end_at_once, has_joined
from launch.shell.exit_codes import FAILED, INTERRUPTED, USER_ERROR
from launch.verbs.bench import bench
from launch.verbs.compare import compare
from launch.verbs.config import config_app
from launch.verbs.doctor import doctor
from launch.verbs.evaluate import evaluate
from launch.verbs.export import export
from launch.verbs.init import init
from launch.verbs.launch import launch
from launch.verbs.lexicon import lexicon_app
from launch.verbs.prepare import prepare_app
from launch.verbs.push import push
from launch.verbs.report import report
from launch.verbs.show import show_app
from launch.verbs.status import status
from launch.verbs.track import track
from launch.verbs.train import train
from launch.verbs.vocab import vocab_app

STORY = "Knowledge-masked pretraining: raw Chinese and English text in, Hugging Face checkpoint out."
BEGIN, PREPARE, LOOK, TRAIN, USE = "1. Begin", "2. Prepare", "3. Look", "4. Train", "5. Use"
"""The panels of the help, in the order of a project."""


class InOrder(TyperGroup):
    """Commands by the number of their panel, in the order of a project."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, sorted by panel."""
        return sorted(self.commands, key=lambda name: str(getattr(self.commands[name], "rich_help_panel", None) or "9"))


app = typer.Typer(
    cls=InOrder,
    help=STORY,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(config_app, name="config", rich_help_panel=BEGIN)
app.add_typer(prepare_app, name="prepare", rich_help_panel=PREPARE)
app.add_typer(lexicon_app, name="lexicon", rich_help_panel=PREPARE)
app.add_typer(vocab_app, name="vocab", rich_help_panel=PREPARE)
app.add_typer(show_app, name="show", rich_help_panel=LOOK)
app.command("init", rich_help_panel=BEGIN)(init)
app.command("doctor", rich_help_panel=BEGIN)(doctor)
app.command("train", rich_help_panel=TRAIN)(train)
app.command("launch", rich_help_panel=TRAIN)(launch)
app.command("status", rich_help_panel=TRAIN)(status)
app.command("report", rich_help_panel=USE)(report)
app.command("track", rich_help_panel=USE)(track)
app.command("eval", rich_help_panel=USE)(evaluate)
app.command("compare", rich_help_panel=USE)(compare)
app.command("export", rich_help_panel=USE)(export)
app.command("push", rich_help_panel=USE)(push)
app.command("bench", rich_help_panel=USE)(bench)


def main() -> None:
    """Entry point of the `kmask` command."""
    try:
        check_packages()
        if os.environ.get("NO_COLOR"):
            from typer import rich_utils

            rich_utils.COLOR_SYSTEM = None
        app()
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("KMASK_DEBUG") or is_unexpected(error):
            if has_joined():
                traceback.print_exc()
                end_at_once(FAILED)
            raise
        rank = os.environ.get("RANK", "0")
        what = "note" if isinstance(error, LostPeerError) else "error" if rank == "0" else f"rank {rank}"
        print(f"{what}: {message_of(error)}", file=sys.stderr)
        code = FAILED if isinstance(error, LostProcessError) else USER_ERROR
        if has_joined():
            end_at_once(code)
        sys.exit(code)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        sys.exit(INTERRUPTED)


def is_unexpected(error: Exception) -> bool:
    """Is it nothing that the user can put right?"""
    return isinstance(error, RuntimeError) and not str(error).startswith("a worker process died")


def message_of(error: Exception) -> str:
    """What to tell; of an error of the operating system, what it is and the file."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.strerror}: {error.filename}"
    return str(error)


def tell_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib.metadata import version

        print(f"kmask {version('kmask')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=tell_version, is_eager=True, help="Print the version and stop.")
]


@app.callback()
def options(version: Version = False) -> None:
    """Knowledge-masked pretraining: raw Chinese and English text in, Hugging Face checkpoint out."""


if __name__ == "__main__":
    main()
