"""`kmask show task`: what a task asks, how often each answer is right, and whether it can be known without reading."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from launch.settings.components import read_config
from launch.settings.yaml_files import ConfigError
from launch.shell.formatting import percent
from launch.views.batch import sample_drawing
from launch.views.words import Line, Word

GROUPS = ("length", "position", "form", "source", "overlap")
SHOWN_CLASSES, SHOWN_EXAMPLES = 12, 6
TAIL_BYTES = 4_000_000
"""Of metrics.jsonl, where the newest evaluation is looked for."""
ERRORS = 3.0
"""How many standard errors above the majority a baseline must lie to be called a leak."""


class Request(NamedTuple):
    """What is to be looked at."""

    task: str
    file: Path
    overrides: list[str]
    samples: int


def show_task(request: Request) -> Iterable[Line]:
    """Inputs, classes, leaks, and what the run has reached so far.

    Raises:
        ValueError: no such task, or it cannot be built.
    """
    from pretrain.config import Run
    from pretrain.corpus import Corpus
    from pretrain.leaks.trial import look

    run = read_config(Run, request.file, request.overrides)
    name = request.task
    if name not in run.tasks:
        raise ConfigError(f"tasks: there is no {name!r} in {request.file}; it has {', '.join(run.tasks)}")
    corpus = Corpus(run=run)
    objective = corpus.objectives[name]
    seen = look(corpus, name, "train", request.samples)
    folders = corpus.feeds[name]
    yield [Word(name, "title"), Word(f"   {type(objective).__name__}; {flags(objective, run.task_ids[name])}", "dim")]
    yield [Word(f"reads {', '.join(folders)}, split {objective.feed().split}", "dim")]
    yield [Word(counted(seen))]
    yield from example_lines(seen, objective, corpus.tokenizer.tokens)
    if objective.classes:
        yield from class_lines(seen, objective)
        held = look(corpus, name, "heldout", request.samples) if has_heldout(folders, objective) else None
        yield from leak_lines(seen, held)
    yield from reached_lines(Path(run.output) / "metrics.jsonl", name)


def flags(objective: Any, task_id: int) -> str:
    """How it takes part in a batch."""
    parts = [
        "builds rows of its own" if objective.BUILDS_ROWS else "rides on the rows of others",
        f"task id {task_id}",
        "trains the pooler" if objective.TRAINS_POOLER else "",
        f"{objective.classes} classes" if objective.classes else "",
    ]
    return ", ".join(part for part in parts if part)


def counted(seen: Any) -> str:
    """Samples, targets and what fell back."""
    told = f"{seen.samples:,} samples of {seen.tokens / max(seen.samples, 1):.0f} tokens, {seen.targets:,} targets"
    if seen.unasked:
        told += f"; {seen.unasked:,} samples ({percent(seen.unasked, seen.samples)}) give none: only other tasks learn"
        told += " from them"
    return told


def has_heldout(folders: Mapping[str, Any], objective: Any) -> bool:
    """Has any of the folders documents to measure on?"""
    return any(folder.tokens(objective.feed().heldout) for folder in folders.values())


def example_lines(seen: Any, objective: Any, tokens: list[str]) -> Iterable[Line]:
    """One sample of each class."""
    for label, (packed, number) in sorted(seen.examples.items())[:SHOWN_EXAMPLES]:
        yield []
        answer = f"class {label} {objective.class_names[label]}" if label >= 0 else "a sample"
        yield [Word(answer, "word"), Word(f"   {packed.samples.document_ids[number]}", "dim")]
        yield sample_drawing(packed, number, tokens)
        segments = packed.samples[number].segment_ids_T.tolist()
        if any(segments):
            yield [Word("segments " + runs(segments), "dim")]


def runs(values: list[int]) -> str:
    """0 x 12, 1 x 9"""
    told: list[list[int]] = []
    for value in values:
        if told and told[-1][0] == value:
            told[-1][1] += 1
        else:
            told.append([value, 1])
    return ", ".join(f"{value} x {count}" for value, count in told)


def class_lines(seen: Any, objective: Any) -> Iterable[Line]:
    """The share of every class."""
    total = sum(seen.classes.values())
    yield []
    yield [Word("classes", "title"), Word("   share of the targets in the training split", "dim")]
    names = objective.class_names
    width = max((len(name) for name in names), default=1)
    common = seen.classes.most_common()
    shown = sorted(label for label, _ in common[:SHOWN_CLASSES])
    for label in shown:
        share = seen.classes[label] / max(total, 1)
        bar = "█" * round(30 * share)
        yield [Word(f"  {names[label]:{width}s} {share:7.1%} {seen.classes[label]:9,d}  "), Word(bar, "word")]
    if len(common) > len(shown):
        rest = sum(count for _, count in common[SHOWN_CLASSES:])
        yield [Word(f"  {len(common) - len(shown)} others {rest / total:.1%} {rest:,}", "dim")]
    if missing := [name for label, name in enumerate(names) if not seen.classes[label]]:
        told = ", ".join(missing[:SHOWN_CLASSES]) + (" ..." if len(missing) > SHOWN_CLASSES else "")
        yield [Word(f"  not seen: {len(missing)} of {len(names)} ({told})", "dim")]


def leak_lines(seen: Any, held: Any) -> Iterable[Line]:
    """Accuracy of a logistic regression on each group of features, and on all."""
    from pretrain.leaks.logistic import baseline, majority

    fitted = seen.table
    asked = held.table if held else fitted
    yield []
    where = "held-out targets" if held else "the targets it was fitted to (there is no held-out document)"
    yield [
        Word("without reading", "title"),
        Word(f"   accuracy of a logistic regression on {len(asked):,} {where}", "dim"),
    ]
    if not len(fitted) or not len(asked) or len(set(fitted.label_N.tolist())) < 2:
        yield [Word("  too few targets of different classes to tell", "dim")]
        return
    usual = majority(fitted, asked)
    yield [Word(f"  {'most frequent class':22s} {usual.accuracy:6.1%}")]
    there = {group for group, _ in fitted.columns()}
    for group in [*(name for name in GROUPS if name in there), "all of them"]:
        found = baseline(fitted, asked, there if group == "all of them" else {group})
        more = (found.accuracy - usual.accuracy) / max(found.error, usual.error, 1e-9)
        style, told = ("entity", "   tells the answer in part") if more > ERRORS else ("", "")
        yield [Word(f"  {group:22s} {found.accuracy:6.1%} ± {found.error:.1%}"), Word(told, style)]


def reached_lines(metrics: Path, task: str) -> Iterable[Line]:
    """Accuracy of the run's newest evaluation beside the majority."""
    line = newest_evaluation(metrics, task)
    yield []
    if line is None:
        yield [Word(f"no evaluation of it yet in {metrics}", "dim")]
        return
    told = f"step {line['step']:,}: held-out accuracy {line[f'accuracy/{task}']:.1%}"
    if (usual := line.get(f"majority/{task}")) is not None:
        told += f", most frequent class {usual:.1%}"
    yield [Word("trained", "title"), Word(f"   {told}")]


def newest_evaluation(metrics: Path, task: str) -> dict[str, Any] | None:
    """The last evaluation that measured a task, in the last part of the file."""
    if not metrics.is_file():
        return None
    with metrics.open("rb") as file:
        file.seek(max(metrics.stat().st_size - TAIL_BYTES, 0))
        lines = file.read().splitlines()
    for line in reversed(lines):
        if b'"evaluation"' in line and f'"accuracy/{task}"'.encode() in line:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and isinstance(found.get(f"accuracy/{task}"), float):
                return found
    return None
