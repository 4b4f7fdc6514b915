"""Lexicons from a corpus: terms and names mined from its text, and words similar by their neighbours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from launch.settings.components import decode, field_docs, read_config
from launch.settings.yaml_files import from_arguments
from launch.shell.console import Bar

MEANING_COLUMN = 32


def mine_lexicon(config: Path, output: Path, overrides: list[str], dry_run: bool) -> None:
    """Mine the corpus of a data YAML; overrides whose keys are settings of mining change mining, others the YAML."""
    from data_prep.counting.mining import Mining
    from data_prep.preparing.corpus_tasks import mine
    from data_prep.preparing.plan import Preparation

    names = set(field_docs(Mining))
    ours = [item for item in overrides if item.partition("=")[0] in names]
    mining = decode(Mining, from_arguments(ours))
    preparation = read_config(Preparation, config, [item for item in overrides if item not in ours])
    if dry_run:
        print_settings(mining)
        return
    bar = Bar("mine", "parts")
    entries = mine(preparation, mining, output, lambda progress: None, lambda *parts: bar.update(*parts, "parts read"))
    bar.close()
    if entries:
        use = f"{{kind: lexicon, level: phrase, origin: mined, paths: [{output}]}}"
        print(f"{entries:,} entries in {output}: review it, then use it with {use}")
        return
    remedy = "Lower min_count or min_npmi, or read more text."
    print(f"no entry passed the thresholds; {output} holds the settings only. {remedy}", file=sys.stderr)


def find_similar_words(folder: Path, output: Path, items: list[str], dry_run: bool) -> None:
    """Compare the words of a prepared folder and write a table of the most similar ones of each."""
    from data_prep.counting.similar_words import Similarity, similar_words, write_table
    from data_prep.shards import Prepared

    similarity = decode(Similarity, from_arguments(items))
    prepared = Prepared.open(folder)
    if dry_run:
        print_settings(similarity)
        return
    bars = StepBars()
    try:
        table = similar_words(prepared, similarity, bars)
    finally:
        bars.close()
    write_table(output, table, prepared, similarity)
    words, pairs = f"{len(table.surfaces):,} words", f"{len(table.word_P):,} pairs"
    print(f"{words}, {pairs}, {table.alone:,} words without a similar one -> {output}")
    if table.left_out:
        print(f"{table.left_out:,} frequent words left out: their text does not give the same tokens again")
    if table.forgotten:
        remedy = "lower max_words or max_tokens to keep them all"
        print(f"{table.forgotten:,} rare neighbourhoods forgotten, to bound memory; {remedy}")
    use = f"masking: {{strategy: {{kind: macbert, similar_words: {output}}}}}"
    print(f"use it in a pretraining configuration: {use}")


class StepBars:
    """A bar for each step, the one after the other."""

    def __init__(self) -> None:
        self.bars: dict[str, Bar] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self.bars:
            self.close()
            self.bars[step] = Bar(step, "")
        self.bars[step].update(done, total, f"{done:,} of {total:,}")

    def close(self) -> None:
        """Leave them as they are."""
        for bar in self.bars.values():
            bar.close()


def print_settings(component: Any) -> None:
    """Every setting with its value and meaning."""
    cls: Any = type(component)
    for name, meaning in field_docs(cls).items():
        print(f"{name}: {getattr(component, name)}".ljust(MEANING_COLUMN) + f"# {meaning}")
