"""`kmask lexicon`: lexicons from the corpus itself.

    kmask lexicon mine configs/data/demo.yaml -o mined.tsv min_count=3 corpora.0.paths=[other.jsonl]

An argument of `mine` whose key is a setting of mining changes mining; every other one changes the data configuration.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from launch.config import decode, field_docs, read_config
from launch.console import Bar
from launch.yaml_files import ConfigError, Source, parse

lexicon_app = typer.Typer(
    help="Lexicons from the corpus itself: `mine` finds terms and names for you to review, `similar` finds similar words.", no_args_is_help=True
)


@lexicon_app.command("mine")
def mine_command(
    config: Annotated[Path, typer.Argument(help="Data YAML: which corpora, cleaning and segmenters.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The lexicon to write (tab-separated).")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Settings of mining (min_count=5 ...), or changes to the data YAML.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the settings and stop.")] = False,
) -> None:
    """Score the corpus's word sequences by NPMI and branching entropy, and write the best as a lexicon to review."""
    from data_prep.counting.mining import Mining
    from data_prep.preparing.corpus_tasks import mine
    from data_prep.preparing.plan import Preparation

    names = set(field_docs(Mining))
    ours = [item for item in overrides or [] if item.partition("=")[0] in names]
    mining = decode(Mining, settings(ours))
    preparation = read_config(Preparation, config, [item for item in overrides or [] if item not in ours])
    if dry_run:
        _print_settings(mining)
        return
    bar = Bar("mine", "parts")
    entries = mine(preparation, mining, output, lambda progress: None, lambda done, parts: bar.update(done, parts, "parts read"))
    bar.close()
    if entries:
        print(f"{entries:,} entries in {output}: review it, then use it with {{kind: lexicon, level: phrase, origin: mined, paths: [{output}]}}")
    else:
        print(f"no entry passed the thresholds; {output} holds the settings only. Lower min_count or min_npmi, or read more text.", file=sys.stderr)


@lexicon_app.command("similar")
def similar_command(
    folder: Annotated[Path, typer.Argument(help="A prepared folder (the output of `kmask prepare`).", metavar="PREPARED_FOLDER")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The table to write (tab-separated).")],
    items: Annotated[list[str] | None, typer.Argument(help="Settings (min_count=5 ...).", metavar="[SETTING=VALUE]...")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the settings and stop.")] = False,
) -> None:
    """Compare words by their neighbours in the corpus, and write the most similar ones of each word: what `kind: macbert` replaces words with."""
    from data_prep.counting.similar_words import Similarity, similar_words, write_table
    from data_prep.shards import Prepared

    similarity = decode(Similarity, settings(items or []))
    prepared = Prepared.open(folder)
    if dry_run:
        _print_settings(similarity)
        return
    bars: dict[str, Bar] = {}

    def heard(step: str, done: int, total: int) -> None:
        if step not in bars:
            close()
            bars[step] = Bar(step, "")
        bars[step].update(done, total, f"{done:,} of {total:,}")

    def close() -> None:
        for bar in bars.values():
            bar.close()

    try:
        table = similar_words(prepared, similarity, heard)
    finally:
        close()
    write_table(output, table, prepared, similarity)
    print(f"{len(table.surfaces):,} words, {len(table.word_P):,} pairs, {table.alone:,} words without a similar one -> {output}")
    if table.left_out:
        print(f"{table.left_out:,} frequent words left out: their text does not give the same tokens again")
    if table.forgotten:
        print(f"{table.forgotten:,} rare neighbourhoods forgotten, to bound memory; lower max_words or max_tokens to keep them all")
    print(f"use it in a pretraining configuration: masking: {{strategy: {{kind: macbert, similar_words: {output}}}}}")


def _print_settings(component: Any) -> None:
    cls: Any = type(component)
    for name, meaning in field_docs(cls).items():
        print(f"{name}: {getattr(component, name)}".ljust(32) + f"# {meaning}")


def settings(items: list[str]) -> Source:
    """`key=value` arguments as a configuration of their own.

    Raises:
        ConfigError: a key stands twice.
    """
    values: dict[str, Any] = {}
    for item in items:
        key, _, text = item.partition("=")
        if key in values:
            raise ConfigError(f"command line: {key} stands twice")
        values[key] = parse(text, f"command line {key}")
    return Source(values, {(key,): "command line" for key in values})
