"""`kmask vocab`: train a vocabulary, look into one, extend one.

kmask vocab train configs/data/demo.yaml -o runs/vocabulary
kmask vocab inspect runs/vocabulary --corpus configs/data/demo.yaml
kmask vocab extend checkpoints/my-bert --corpus configs/data/demo.yaml -o runs/extended
kmask vocab extend checkpoints/my-bert --words words.txt -o runs/extended
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.preparing.vocabularies import Extending, extend_vocabulary, inspect_vocabulary, train_vocabulary
from launch.verbs.arguments import Overrides

vocab_app = typer.Typer(
    help="Vocabularies: `train` one, `inspect` one, `extend` one with what it lacks.", no_args_is_help=True
)

WORDS_HELP = "A list, one word a line: words become whole tokens, missing characters are added."
WHOLE_HELP = "Chinese words of the list become whole tokens, or only their missing characters are added."
COUNT_HELP = "A character is added when the corpus needs it at least so often."
LIMIT_HELP = "At most so many new tokens, the most frequent first; 0: all."
REUSE_HELP = "Fill [unusedN] rows before appending new ones, or append all."

Folder = Annotated[Path, typer.Argument(help="A tokenizer folder, a checkpoint that has one, or a run.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The tokenizer folder to write.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
CorpusFile = Annotated[Path | None, typer.Option(help="Data YAML: the texts to look at.")]
Characters = Annotated[int, typer.Option(help="At most about so many characters of the corpus are read.")]


@vocab_app.command("train")
def train_command(
    config: Annotated[Path, typer.Argument(help="Data YAML: corpora, cleaning and `vocabulary`.")],
    output: Output,
    overrides: Overrides = None,
) -> None:
    """Train the vocabulary that a data YAML describes, and nothing else."""
    train_vocabulary(config, overrides or [], output)


@vocab_app.command("inspect")
def inspect_command(
    folder: Folder, corpus: CorpusFile = None, characters: Characters = 20_000_000, as_json: Json = False
) -> None:
    """What is in a vocabulary; with a corpus, how much of it is [UNK] and which characters are to blame."""
    inspect_vocabulary(folder, corpus, characters, as_json)


@vocab_app.command("extend")
def extend_command(
    folder: Folder,
    output: Output,
    corpus: CorpusFile = None,
    words: Annotated[Path | None, typer.Option(help=WORDS_HELP)] = None,
    min_count: Annotated[int, typer.Option(help=COUNT_HELP)] = 2,
    limit: Annotated[int, typer.Option(help=LIMIT_HELP)] = 0,
    reuse_unused: Annotated[bool, typer.Option("--reuse-unused/--append", help=REUSE_HELP)] = True,
    whole: Annotated[bool, typer.Option("--whole-words/--characters-only", help=WHOLE_HELP)] = True,
    characters: Characters = 200_000_000,
    as_json: Json = False,
) -> None:
    """Add what a vocabulary lacks; every old id, and how known text is cut into characters, stays."""
    what = Extending(corpus, words, characters, min_count, limit, reuse_unused, whole)
    extend_vocabulary(folder, output, what, as_json)
