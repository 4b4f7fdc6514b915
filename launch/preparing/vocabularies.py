"""Vocabularies: trained on a corpus, looked into, or extended with what they lack."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from launch.settings.components import read_config
from launch.shell.console import Bar, rich_console

if TYPE_CHECKING:
    from data_prep.preparing.plan import Preparation

SHOWN_TOKENS, SHOWN_EXAMPLES = 40, 5


def read_preparation(config: Path, overrides: list[str]) -> Preparation:
    """The data configuration in a file."""
    from data_prep.preparing.plan import Preparation

    return read_config(Preparation, config, overrides)


def silent(progress: Any) -> None:
    """Hear nothing of the progress."""


def train_vocabulary(config: Path, overrides: list[str], output: Path) -> None:
    """Train the vocabulary that a data YAML describes."""
    from data_prep.preparing.corpus_tasks import train

    preparation = read_preparation(config, overrides)
    if given := preparation.vocabulary.path:
        raise ValueError(f"vocabulary.path: {config} takes an existing vocabulary ({given}); there is nothing to train")
    if output.exists():
        raise ValueError(f"{output} exists already. Choose another folder, or delete it.")
    bar = Bar("vocabulary", "parts")
    train(preparation, output, lambda done, parts: bar.update(done, parts, "parts read"))
    bar.close()
    print(f"{len((output / 'vocab.txt').read_text(encoding='utf-8').splitlines()):,} tokens in {output}")


def inspect_vocabulary(folder: Path, corpus: Path | None, characters: int, as_json: bool) -> None:
    """Print what is in a vocabulary, and how it covers the corpus of a data YAML."""
    from data_prep.vocabularies.vocabulary_report import VocabularyReport

    report = VocabularyReport(folder=tokenizer_folder(folder))
    value = report.summary()
    if corpus:
        from data_prep.preparing.corpus_tasks import documents

        value["corpus"] = report.coverage(documents(read_preparation(corpus, []), characters, silent))
    if as_json:
        print(json.dumps(value, ensure_ascii=False, indent=1))
    else:
        print_report(value)


class Extending(NamedTuple):
    """What to add to a vocabulary."""

    corpus: Path | None
    """A data YAML: the characters that its text lacks."""
    words: Path | None
    """A list of words, where no corpus is given."""
    characters: int
    """At most about so many characters of the corpus are read."""
    min_count: int
    """How often the corpus must need a character."""
    limit: int
    """At most so many new tokens; 0: all."""
    reuse_unused: bool
    """Fill [unusedN] rows first."""
    whole: bool = True
    """Chinese words of the list become whole tokens."""


def extend_vocabulary(folder: Path, output: Path, what: Extending, as_json: bool) -> None:
    """Add tokens to a vocabulary and tell which."""
    from data_prep.vocabularies.vocabulary_extension import extend

    check_extending(what)
    folder = tokenizer_folder(folder)
    wanted, left = wanted_tokens(folder, what)
    chosen = wanted[: what.limit] if what.limit else wanted
    done = extend(folder, output, chosen, reuse_unused=what.reuse_unused)
    report = {
        "added": done.added,
        "reused": done.reused,
        "rows": done.rows,
        "rarer_than_min_count": left,
        "over_limit": len(wanted) - len(chosen),
    }
    if as_json:
        print(json.dumps(report, ensure_ascii=False, indent=1))
        return
    added, shown = f"{len(done.added):,} tokens added", " ".join(list(done.added)[:SHOWN_TOKENS])
    print(f"{added} ({done.reused:,} in [unused] rows), {done.rows:,} rows in {output}: {shown}")
    for name, text in (
        ("rarer_than_min_count", f"seen fewer than {what.min_count} times"),
        ("over_limit", f"beyond --limit {what.limit}"),
    ):
        if report[name]:
            print(f"{report[name]:,} left out: {text}")


def tokenizer_folder(folder: Path) -> Path:
    """``folder``, or the tokenizer in it where it is a run or a prepared folder."""
    inner = folder / "tokenizer"
    return inner if (inner / "tokenizer.json").is_file() and not (folder / "tokenizer.json").is_file() else folder


def check_extending(what: Extending) -> None:
    """Refuse what means nothing.

    Raises:
        ValueError: which option it is.
    """
    if (what.corpus is None) == (what.words is None):
        raise ValueError("give either --corpus DATA.yaml or --words FILE")
    if what.limit < 0:
        raise ValueError(f"limit: {what.limit} must be 0 or more")
    if what.min_count < 1:
        raise ValueError(f"min_count: {what.min_count} must be at least 1")


def wanted_tokens(folder: Path, what: Extending) -> tuple[list[str], int]:
    """The tokens to add, the most needed first, and how many were needed too rarely."""
    from data_prep.vocabularies.vocabulary_extension import backend_of, missing_characters, read_words, tokens_of_words

    backend = tokenizer_of(folder, backend_of)
    if what.words:
        return tokens_of_words(backend, read_words(what.words), han=what.whole), 0
    from data_prep.preparing.corpus_tasks import texts

    assert what.corpus is not None
    missing, _ = missing_characters(backend, texts(read_preparation(what.corpus, []), what.characters, silent))
    ordered = sorted(missing.items(), key=lambda item: (-item[1], item[0]))
    wanted = [token for token, count in ordered if count >= what.min_count]
    return wanted, len(missing) - len(wanted)


def tokenizer_of(folder: Path, load: Callable[[Path], Any]) -> Any:
    """The tokenizer of a folder, which may hold a vocab.txt alone."""
    from data_prep.vocabularies.vocabulary import adopt

    with tempfile.TemporaryDirectory() as place:
        adopt(folder, Path(place))
        return load(Path(place))


def print_report(value: dict[str, Any]) -> None:
    """What is in a vocabulary, as tables for a person."""
    from rich.table import Table

    console = rich_console()
    sizes = f"{value['tokens']:,} tokens in {value['rows']:,} rows, {value['unused']:,} unused, {value['gaps']:,} gaps"
    console.print(f"{value['folder']}: {sizes}", markup=False)
    special = (f"{token} {'missing' if index is None else index}" for token, index in value["special"].items())
    console.print("special: " + " ".join(special), markup=False)
    classes = Table("class", "tokens")
    for name, count in value["classes"].items():
        classes.add_row(name, f"{count:,}")
    console.print(classes)
    for name, text in (
        ("unreachable", "tokens that no text can reach"),
        ("duplicates", "tokens equal to another one after normalisation"),
    ):
        found = value[name]
        examples = f", for example {found['examples'][:SHOWN_EXAMPLES]}" if found["examples"] else ""
        console.print(f"{found['count']:,} {text}{examples}", markup=False)
    if corpus := value.get("corpus"):
        print_coverage(console, corpus)


def print_coverage(console: Any, corpus: dict[str, Any]) -> None:
    """How much of a corpus is [UNK], and which characters are to blame."""
    from rich.table import Table

    console.print(
        f"corpus: {corpus['documents']:,} documents, {corpus['characters']:,} characters, "
        f"{corpus['tokens_per_character']:.3f} tokens a character, "
        f"{corpus['unknown']:,} [UNK] ({corpus['unknown_share']:.4%}), "
        f"{corpus['distinct_unknown_characters']:,} different unknown characters",
        markup=False,
    )
    unknown = Table("unknown", "code", "count", "example")
    for item in corpus["unknown_characters"]:
        name = item["character"]
        code = f"U+{ord(name):04X}" if len(name) == 1 else ""
        unknown.add_row(name, code, f"{item['count']:,}", item["example"].replace("[", "\\["))
    console.print(unknown)
