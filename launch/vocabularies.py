"""`kmask vocab`: train a vocabulary, look into one, extend one.

kmask vocab train configs/data/demo.yaml -o runs/vocabulary
kmask vocab inspect runs/vocabulary --corpus configs/data/demo.yaml
kmask vocab extend checkpoints/my-bert --corpus configs/data/demo.yaml -o runs/extended
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from launch.config import read_config
from launch.console import Bar

vocab_app = typer.Typer(help="Vocabularies: `train` one, `inspect` one, `extend` one with what it lacks.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="A tokenizer folder.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The tokenizer folder to write.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
CorpusFile = Annotated[Path | None, typer.Option(help="Data YAML: the texts to look at.")]
Characters = Annotated[int, typer.Option(help="At most about so many characters of the corpus are read.")]


def silent(progress: Any) -> None:
    """Hear nothing of the progress."""


@vocab_app.command("train")
def train_command(
    config: Annotated[Path, typer.Argument(help="Data YAML: corpora, cleaning and `vocabulary`.")],
    output: Output,
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to it: dotted.key=value ...")] = None,
) -> None:
    """Train the vocabulary that a data YAML describes, and nothing else."""
    from data_prep.preparing.corpus_tasks import train

    preparation = _preparation(config, overrides)
    if preparation.vocabulary.path:
        raise ValueError(f"vocabulary.path: {config} takes an existing vocabulary ({preparation.vocabulary.path}); there is nothing to train")
    if output.exists():
        raise ValueError(f"{output} exists already. Choose another folder, or delete it.")
    bar = Bar("vocabulary", "parts")
    train(preparation, output, lambda done, parts: bar.update(done, parts, "parts read"))
    bar.close()
    print(f"{len((output / 'vocab.txt').read_text(encoding='utf-8').splitlines()):,} tokens in {output}")


@vocab_app.command("inspect")
def inspect_command(folder: Folder, corpus: CorpusFile = None, characters: Characters = 20_000_000, as_json: Json = False) -> None:
    """What is in a vocabulary; with a corpus, how much of it is [UNK] and which characters are to blame."""
    from data_prep.vocabularies.vocabulary_report import VocabularyReport

    report = VocabularyReport(folder=folder)
    value = report.summary()
    if corpus:
        from data_prep.preparing.corpus_tasks import documents

        value["corpus"] = report.coverage(documents(_preparation(corpus, None), characters, silent))
    if as_json:
        print(json.dumps(value, ensure_ascii=False, indent=1))
    else:
        _render(value)


@vocab_app.command("extend")
def extend_command(
    folder: Folder,
    output: Output,
    corpus: CorpusFile = None,
    words: Annotated[Path | None, typer.Option(help="A list, one word a line: Latin words become whole tokens, missing characters are added.")] = None,
    min_count: Annotated[int, typer.Option(help="A character is added when the corpus needs it at least so often.")] = 2,
    limit: Annotated[int, typer.Option(help="At most so many new tokens, the most frequent first; 0: all.")] = 0,
    reuse_unused: Annotated[bool, typer.Option("--reuse-unused", help="Fill [unusedN] rows before appending new ones.")] = False,
    characters: Characters = 200_000_000,
    as_json: Json = False,
) -> None:
    """Add what a vocabulary lacks; every old id, and how known text is cut into characters, stays."""
    from data_prep.vocabularies.vocabulary_extension import Extension, backend_of, extend, missing_characters, read_words, tokens_of_words

    if (corpus is None) == (words is None):
        raise ValueError("give either --corpus DATA.yaml or --words FILE")
    if limit < 0 or min_count < 1:
        raise ValueError(f"limit: {limit} must be 0 or more" if limit < 0 else f"min_count: {min_count} must be at least 1")
    backend = _backend(folder, backend_of)
    if corpus:
        from data_prep.preparing.corpus_tasks import texts

        missing, _ = missing_characters(backend, texts(_preparation(corpus, None), characters, silent))
        wanted = [token for token, count in sorted(missing.items(), key=lambda item: (-item[1], item[0])) if count >= min_count]
        left = len(missing) - len(wanted)
    else:
        assert words is not None
        wanted, left = tokens_of_words(backend, read_words(words)), 0
    done: Extension = extend(folder, output, wanted[:limit] if limit else wanted, reuse_unused=reuse_unused)
    report = {
        "added": done.added,
        "reused": done.reused,
        "rows": done.rows,
        "rarer_than_min_count": left,
        "over_limit": max(0, len(wanted) - limit) * bool(limit),
    }
    if as_json:
        print(json.dumps(report, ensure_ascii=False, indent=1))
        return
    print(f"{len(done.added):,} tokens added ({done.reused:,} in [unused] rows), {done.rows:,} rows in {output}: {' '.join(list(done.added)[:40])}")
    for name, text in (("rarer_than_min_count", f"seen fewer than {min_count} times"), ("over_limit", f"beyond --limit {limit}")):
        if report[name]:
            print(f"{report[name]:,} left out: {text}")


def _backend(folder: Path, load: Any) -> Any:
    """The tokenizer of a folder, which may hold a vocab.txt alone."""
    import tempfile

    from data_prep.vocabularies.vocabulary import adopt

    with tempfile.TemporaryDirectory() as place:
        adopt(folder, Path(place))
        return load(Path(place))


def _preparation(config: Path, overrides: list[str] | None) -> Any:
    from data_prep.preparing.plan import Preparation

    return read_config(Preparation, config, overrides or [])


def _render(value: dict[str, Any]) -> None:
    """Tables for a person."""
    from rich.table import Table

    from launch.console import rich_console

    console = rich_console()
    console.print(f"{value['folder']}: {value['tokens']:,} tokens in {value['rows']:,} rows, {value['unused']:,} unused, {value['gaps']:,} gaps", markup=False)
    console.print("special: " + " ".join(f"{token} {'missing' if index is None else index}" for token, index in value["special"].items()), markup=False)
    table = Table("class", "tokens")
    for name, count in value["classes"].items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    for name, text in (("unreachable", "tokens that no text can reach"), ("duplicates", "tokens equal to another one after normalisation")):
        found = value[name]
        console.print(f"{found['count']:,} {text}" + (f", for example {found['examples'][:5]}" if found["examples"] else ""), markup=False)
    corpus = value.get("corpus")
    if not corpus:
        return
    console.print(
        f"corpus: {corpus['documents']:,} documents, {corpus['characters']:,} characters, {corpus['tokens_per_character']:.3f} tokens a character, "
        f"{corpus['unknown']:,} [UNK] ({corpus['unknown_share']:.4%}), {corpus['distinct_unknown_characters']:,} different unknown characters",
        markup=False,
    )
    table = Table("unknown", "code", "count", "example")
    for item in corpus["unknown_characters"]:
        name = item["character"]
        table.add_row(name, f"U+{ord(name):04X}" if len(name) == 1 else "", f"{item['count']:,}", item["example"].replace("[", "\\["))
    console.print(table)
