"""`kmask config`: look at configurations, and at what may stand in them."""

from __future__ import annotations

from typing import Annotated

import typer

from launch.manual.pages import manual_page
from launch.settings.resolved import resolved_lines
from launch.settings.schema import schema_text
from launch.verbs.arguments import ConfigFile, Overrides

config_app = typer.Typer(
    help="Look at configurations: `show` resolves one, `schema` and `reference` list every key.", no_args_is_help=True
)

REFERENCE_HELP = "`data`, `pretrain`, `cluster`; `masking`, `objectives`: every scheme or task with examples."


@config_app.command("show")
def config_show(config: ConfigFile, overrides: Overrides = None) -> None:
    """The resolved configuration: every key with the value that will be used, and where it was written."""
    for line in resolved_lines(config, overrides or []):
        print(line)


@config_app.command("schema")
def config_schema(kind: Annotated[str, typer.Argument(help="`data`, `pretrain` or `cluster`.")]) -> None:
    """JSON Schema, for editors; its description says how a file names it."""
    print(schema_text(kind), end="")


@config_app.command("reference")
def config_reference(kind: Annotated[str, typer.Argument(help=REFERENCE_HELP)]) -> None:
    """Every key with its type, default and meaning, as a Markdown page (docs/ holds them)."""
    print(manual_page(kind), end="")
