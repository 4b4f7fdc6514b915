"""`kmask show VIEW`: one command for each view, so that each has the options and the help of its own.

kmask show document PREPARED -n 3
kmask show masks PREPARED --schemes whole_unit,ngram
kmask show batch pretrain.yaml
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from launch.outcomes.seen_step import read_step, step_json, step_lines
from launch.settings.yaml_files import ConfigError
from launch.views.batch import show_batch
from launch.views.document import show_document
from launch.views.masks.comparison import Request, compare
from launch.views.masks.page import comparison_page
from launch.views.masks.terminal import print_comparison
from launch.views.page import lines_page, write_page
from launch.views.schedule import show_schedule
from launch.views.shard import show_shard
from launch.views.task import Request as TaskRequest
from launch.views.task import show_task
from launch.views.terminal import print_lines
from launch.views.words import Line


class Views(TyperGroup):
    """A group of views; an unknown one is refused with those that there are."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The view that is named."""
        if args[0] not in self.commands:
            raise ConfigError(f"show {args[0]}: one of {', '.join(self.commands)}")
        return super().resolve_command(ctx, args)


show_app = typer.Typer(
    cls=Views,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    subcommand_metavar="VIEW TARGET [ARGS]...",
    help="Look at what was prepared and what training will see: `document`, `shard`, `masks`, `batch`, `step`, "
    "`schedule`, `task` (each has its own --help).",
)

STEP_JSON_HELP = "Rows, windows and the ids that the model was given, and nothing else on stdout."
MASKS_TARGET_HELP = "A prepared folder, or a pretraining YAML: its own masking comes first."
MASKS_CHANGES_HELP = "Changes: dotted.key=value ... of a YAML; of a scheme as in ngram.max_words=2."

Prepared = Annotated[Path, typer.Argument(metavar="PREPARED", help="A prepared folder (the `output` of a data YAML).")]
Run = Annotated[Path, typer.Argument(metavar="CONFIG", help="A pretraining YAML.")]
Changes = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the YAML: dotted.key=value ...")
]
Html = Annotated[Path | None, typer.Option(help="Also write a self-contained page.")]


@show_app.command("document")
def document_view(
    folder: Prepared,
    number: Annotated[int, typer.Option("--number", "-n", help="Which document, from 0.")] = 0,
    html: Html = None,
) -> None:
    """One document, a sentence a line, its words, phrases and entities in brackets."""
    show_lines(f"document {folder}", show_document(folder, number), html)


@show_app.command("shard")
def shard_view(
    folder: Prepared,
    number: Annotated[int, typer.Option("--number", "-n", help="Which shard, from 0.")] = 0,
    html: Html = None,
) -> None:
    """The shards of a folder, and the documents of one of them with their tokens and units."""
    show_lines(f"shard {folder}", show_shard(folder, number), html)


@show_app.command("masks")
def masks_view(
    target: Annotated[Path, typer.Argument(metavar="PREPARED | CONFIG", help=MASKS_TARGET_HELP)],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=MASKS_CHANGES_HELP)] = None,
    number: Annotated[int, typer.Option("--number", "-n", help="Which window is drawn, from 0.")] = 0,
    schemes: Annotated[str, typer.Option(help="These schemes only, as in `whole_unit,ngram`.")] = "",
    tokens: Annotated[int, typer.Option(help="Longest window, in tokens.")] = 126,
    windows: Annotated[int, typer.Option(help="How many windows the tables count.")] = 2000,
    progress: Annotated[float, typer.Option(help="How far training is, 0 to 1, for schemes in stages.")] = 0.0,
    html: Html = None,
) -> None:
    """One sample under every masking scheme, and what each scheme does to many samples."""
    wanted = [name.strip() for name in schemes.split(",") if name.strip()]
    comparison = compare(Request(target, overrides or [], number, wanted, tokens, windows, progress))
    print_comparison(comparison)
    if html:
        write_page(html, comparison_page(comparison))


@show_app.command("batch")
def batch_view(
    config: Run,
    overrides: Changes = None,
    number: Annotated[int, typer.Option("--number", "-n", help="Which step, from 0.")] = 0,
    html: Html = None,
) -> None:
    """What the model sees at a step: units in brackets, hidden tokens in colour, span boundary targets."""
    show_lines(f"batch {config}", show_batch(config, overrides or [], number), html)


@show_app.command("step")
def step_view(
    number: Annotated[int, typer.Argument(metavar="STEP", help="As in metrics.jsonl: the first is 1.")],
    run: Annotated[Path, typer.Option(help="The folder of a training run, or its YAML.", metavar="RUN")],
    overrides: Changes = None,
    rank: Annotated[int | None, typer.Option(help="Only what this process saw, from 0.")] = None,
    samples: Annotated[int, typer.Option(help="How many samples are drawn; 0: all.", min=0)] = 6,
    as_json: Annotated[bool, typer.Option("--json", help=STEP_JSON_HELP)] = False,
    html: Html = None,
) -> None:
    """What a step of a run really saw: rows, texts, what was hidden; whatever was left out or resumed before it."""
    with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
        seen = read_step(run, overrides or [], number)
    if as_json:
        print(json.dumps(step_json(seen, rank), ensure_ascii=False))
        return
    show_lines(f"step {number} {run}", step_lines(seen, rank, samples), html)


@show_app.command("schedule")
def schedule_view(config: Run, overrides: Changes = None, html: Html = None) -> None:
    """Stages, the share of each task, and the learning rate along the run."""
    show_lines(f"schedule {config}", show_schedule(config, overrides or []), html)


@show_app.command("task")
def task_view(
    name: Annotated[str, typer.Argument(metavar="TASK", help="A name under `tasks` of the YAML.")],
    config: Run,
    overrides: Changes = None,
    samples: Annotated[int, typer.Option(help="How many samples are looked at in each split.")] = 2000,
    html: Html = None,
) -> None:
    """One task: its inputs, the share of each class, whether it can be answered without reading, what a run reached."""
    show_lines(f"task {name}", show_task(TaskRequest(name, config, overrides or [], samples)), html)


def show_lines(what: str, lines: Iterable[Line], html: Path | None) -> None:
    """Print a view, and write it as a page when asked."""
    found = list(lines)
    print_lines(found)
    if html:
        write_page(html, lines_page(f"kmask show {what}", found))
