"""The command line: reads arguments, builds components, shows results. Nothing is computed here.

Exit codes: 0 done; 1 unexpected failure; 2 something the user can put right (one message says what); 3 done, but documents were
set aside; 5 stopped on request after saving.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from launch.lexicons import lexicon_app
from launch.packages import check_packages
from launch.preparations import prepare_app
from launch.ranks import end_at_once, has_joined
from launch.view_commands import show_app
from launch.vocabularies import vocab_app

USER_ERROR = 2


class InOrder(TyperGroup):
    """Commands by the number of their panel, in the order of a project."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, sorted by panel."""
        return sorted(self.commands, key=lambda name: str(getattr(self.commands[name], "rich_help_panel", None) or "9"))


app = typer.Typer(
    cls=InOrder,
    help="Knowledge-masked pretraining: raw Chinese and English text in, Hugging Face checkpoint out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at configurations: `show` resolves one, `schema` and `reference` list every key.", no_args_is_help=True)
app.add_typer(config_app, name="config", rich_help_panel="1. Begin")
app.add_typer(prepare_app, name="prepare", rich_help_panel="2. Prepare")
app.add_typer(lexicon_app, name="lexicon", rich_help_panel="2. Prepare")
app.add_typer(vocab_app, name="vocab", rich_help_panel="2. Prepare")
app.add_typer(show_app, name="show", rich_help_panel="3. Look")

ConfigFile = Annotated[Path, typer.Argument(help="YAML file; see configs/ or `kmask init`.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Changes to it: dotted.key=value ...")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and do nothing.")]


def main() -> None:
    """Entry point of the `kmask` command."""
    try:
        check_packages()
        if os.environ.get("NO_COLOR"):
            from typer import rich_utils

            rich_utils.COLOR_SYSTEM = None
        app()
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("KMASK_DEBUG") or (isinstance(error, RuntimeError) and not str(error).startswith("a worker process died")):
            if has_joined():
                traceback.print_exc()
                end_at_once(1)
            raise
        message = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename and error.strerror else str(error)
        if os.environ.get("RANK", "0") == "0":
            print(f"error: {message}", file=sys.stderr)
        else:
            print(f"rank {os.environ['RANK']}: {message}", file=sys.stderr)
        if has_joined():
            end_at_once(USER_ERROR)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        sys.exit(130)


def tell_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib.metadata import version

        print(f"kmask {version('kmask')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=tell_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    """Knowledge-masked pretraining: raw Chinese and English text in, Hugging Face checkpoint out."""


@app.command(rich_help_panel="1. Begin")
def init(
    recipe: Annotated[str, typer.Argument(help="`zh` or `en`: from scratch; `continue`: from a Hugging Face checkpoint.")],
    folder: Annotated[Path, typer.Argument(help="Where to write data.yaml and pretrain.yaml.")] = Path(),
    dry_run: DryRun = False,
) -> None:
    """Write a commented recipe to start from."""
    from launch.recipes import write_recipe

    for line in write_recipe(recipe, folder, dry_run):
        print(line)


@app.command(rich_help_panel="1. Begin")
def doctor() -> None:
    """Look at this machine: versions, GPUs, memory, disk, compilers, and what is missing."""
    from launch.doctor import examine

    raise typer.Exit(examine())


@app.command(rich_help_panel="4. Train")
def train(
    config: ConfigFile,
    overrides: Overrides = None,
    processes: Annotated[int, typer.Option(help="Processes on this machine; 0: one per GPU, or 2 without.")] = 0,
    dry_run: DryRun = False,
) -> None:
    """Pretrain; run again to continue where it stopped. Under torchrun, srun or deepspeed each process is one rank."""
    from launch.commands import run_train

    raise typer.Exit(run_train(config, overrides or [], processes, dry_run))


@app.command(rich_help_panel="4. Train")
def launch(
    cluster: Annotated[Path, typer.Argument(help="YAML with `kind: local` or `kind: hostfile`; see configs/cluster/.")],
    config: ConfigFile,
    overrides: Overrides = None,
    dry_run: DryRun = False,
) -> None:
    """Pretrain on the machines that a cluster file describes."""
    from launch.commands import run_launch

    raise typer.Exit(run_launch(cluster, config, overrides or [], dry_run))


@app.command("eval", rich_help_panel="5. Use")
def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a training run, or its YAML.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to a YAML: dotted.key=value ...")] = None,
    step: Annotated[int | None, typer.Option(help="The checkpoint of this step instead of the newest.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON, and nothing else on stdout.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Loss and accuracy of a checkpoint on held-out documents, by task and kind of unit."""
    from launch.results import run_eval

    raise typer.Exit(run_eval(run, overrides or [], step, as_json, dry_run))


@app.command(rich_help_panel="5. Use")
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a training run, or its YAML.")],
    folder: Annotated[Path, typer.Argument(help="Where to write the Hugging Face folder.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to a YAML: dotted.key=value ...")] = None,
    step: Annotated[int | None, typer.Option(help="The checkpoint of this step instead of the newest.")] = None,
    licence: Annotated[str, typer.Option("--license", help="For the model card, as in `apache-2.0`; otherwise that of the start checkpoint.")] = "",
    languages: Annotated[list[str] | None, typer.Option("--language", help="For the model card, repeatable; otherwise those of the data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What was done as JSON, and nothing else on stdout.")] = False,
    companions: Annotated[bool, typer.Option("--companions", help="Also second encoders inside heads, to FOLDER-TASK-NAME each.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Write a Hugging Face folder and check that it gives the same logits as the training model."""
    from launch.results import run_export

    raise typer.Exit(run_export(run, folder, overrides or [], step, licence, languages or [], as_json, dry_run, companions))


@app.command(rich_help_panel="5. Use")
def bench(
    what: Annotated[str, typer.Argument(help="`masking` on a prepared folder, or `prepare` on a data YAML.")],
    target: Annotated[Path, typer.Argument(help="The folder or file to measure on.")],
    seconds: Annotated[float, typer.Option(help="How long to measure each figure.")] = 3.0,
) -> None:
    """Measure this machine on your own data."""
    from launch.benching import run_bench

    run_bench(what, target, seconds)


@config_app.command("show")
def config_show(config: ConfigFile, overrides: Overrides = None) -> None:
    """The resolved configuration: every key with the value that will be used, and where it was written."""
    from launch.commands import show_config

    show_config(config, overrides or [])


@config_app.command("schema")
def config_schema(kind: Annotated[str, typer.Argument(help="`data`, `pretrain` or `cluster`.")]) -> None:
    """JSON Schema, for editors; its description says how a file names it."""
    from launch.schema import schema_text

    print(schema_text(kind), end="")


@config_app.command("reference")
def config_reference(kind: Annotated[str, typer.Argument(help="`data`, `pretrain`, `cluster`, or `masking`: every scheme with an example.")]) -> None:
    """Every key with its type, default and meaning, as a Markdown page (docs/ holds them)."""
    from launch.reference import page

    print(page(kind), end="")


if __name__ == "__main__":
    main()
