"""`kmask lexicon`: lexicons from the corpus itself.

    kmask lexicon mine configs/data/demo.yaml -o mined.tsv min_count=3 corpora.0.paths=[other.jsonl]

An argument of `mine` whose key is a setting of mining changes mining; every other one changes the data configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.preparing.lexicons import find_similar_words, mine_lexicon

lexicon_app = typer.Typer(
    help="Lexicons from the corpus itself: `mine` finds terms and names for you to review, "
    "`similar` finds similar words.",
    no_args_is_help=True,
)

PREPARED_HELP = "A prepared folder (the output of `kmask prepare`)."
MINING_HELP = "Settings of mining (min_count=5 ...), or changes to the data YAML."
SIMILAR_HELP = (
    "Compare words by their neighbours in the corpus, and write the most similar ones of each word: "
    "what `kind: macbert` replaces words with."
)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the settings and stop.")]


@lexicon_app.command("mine")
def mine_command(
    config: Annotated[Path, typer.Argument(help="Data YAML: which corpora, cleaning and segmenters.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The lexicon to write (tab-separated).")],
    overrides: Annotated[list[str] | None, typer.Argument(help=MINING_HELP)] = None,
    dry_run: DryRun = False,
) -> None:
    """Score the corpus's word sequences by NPMI and branching entropy, and write the best as a lexicon to review."""
    mine_lexicon(config, output, overrides or [], dry_run)


@lexicon_app.command("similar", help=SIMILAR_HELP)
def similar_command(
    folder: Annotated[Path, typer.Argument(help=PREPARED_HELP, metavar="PREPARED_FOLDER")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The table to write (tab-separated).")],
    items: Annotated[
        list[str] | None, typer.Argument(help="Settings (min_count=5 ...).", metavar="[SETTING=VALUE]...")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Write the words most similar to each word."""
    find_similar_words(folder, output, items or [], dry_run)
