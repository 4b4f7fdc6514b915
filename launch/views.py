"""What `kmask show` shows, as lines of styled words; showing.py renders them on a terminal or a page."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from launch.config import ConfigError, read_config
from launch.drawn_tokens import Line, Word, cells, joined, legend

SHOWN_SAMPLES = 6


def show_document(folder: Path, overrides: list[str], number: int) -> Iterable[Line]:
    """One document with its units in brackets."""
    from data_prep.shards import Prepared

    prepared = Prepared.open(folder)
    total = 0
    for split in ("train", "heldout"):
        for shard in prepared.shards(split):
            if number < total + len(shard):
                yield from document_lines(prepared, shard, number - total, split)
                return
            total += len(shard)
    raise ConfigError(f"{folder} has {total} documents, numbered from 0")


def document_lines(prepared: Any, shard: Any, document: int, split: str) -> Iterable[Line]:
    """Title, facts, then one line per sentence."""
    tokens = [prepared.tokenizer.tokens[index] for index in shard.token_ids.row(document)]
    facts = [shard.text_of(name, document) for name in ("id", "title", "language", "source")]
    yield [Word(f"{facts[0]}  {facts[1]}", "title"), Word(f"   {facts[2]}, {facts[3]}, {split}, {len(tokens)} tokens", "dim")]
    yield bracket_legend()
    before: dict[int, list[Word]] = {}
    after: dict[int, list[Word]] = {}
    for level in sorted(prepared.levels, key=lambda name: name != "entity"):
        column = shard.units[level]
        for unit in range(int(column.offsets_D1[document]), int(column.offsets_D1[document + 1])):
            start, length = int(column.start_U[unit]), int(column.length_U[unit])
            style = level if level in ("word", "phrase", "entity") else "phrase"
            label = prepared.labels[int(column.label_U[unit])].type
            before.setdefault(start, []).append(Word("[" if level == "word" else f"[{label or level} ", style))
            after.setdefault(start + length - 1, []).insert(0, Word("]", style))
    ends = set(shard.sentence_ends.row(document).tolist())
    line: Line = []
    for position, text in enumerate(joined(tokens)):
        glued = tokens[position].startswith("##")
        line += ([Word(" ")] if text.startswith(" ") and not glued and line else []) + before.get(position, [])
        line += [Word(text.strip() if not glued else text), *after.get(position, [])]
        if position + 1 in ends:
            yield line
            line = []


def bracket_legend() -> Line:
    """What the brackets of a document mean."""
    return [
        Word("[ORG 北京大学]", "entity"),
        Word(" an entity, "),
        Word("[term 机器翻译]", "phrase"),
        Word(" a phrase with its kind, "),
        Word("[机器]", "word"),
        Word(" a word of several tokens; levels overlap, brackets of all are drawn", "dim"),
    ]


def show_shard(folder: Path, overrides: list[str], number: int) -> Iterable[Line]:
    """Counts of the folder, then the documents of one shard."""
    from data_prep.shards import Prepared

    prepared = Prepared.open(folder)
    yield [Word(str(folder), "title"), Word(f"   fingerprint {prepared.fingerprint[:16]}, tokenizer {prepared.vocabulary_sha256[:16]}", "dim")]
    for index, entry in enumerate(prepared.entries):
        mark = "> " if index == number else "  "
        yield [
            Word(
                f"{mark}{index:4d} {entry.path:32s} {entry.documents:7,d} documents {entry.tokens:12,d} tokens  {entry.sha256[:12]}",
                "title" if index == number else "",
            )
        ]
    if not 0 <= number < len(prepared.entries):
        raise ConfigError(f"{folder} has {len(prepared.entries)} shards, numbered from 0")
    from data_prep.shards import Shard

    shard = Shard(prepared.folder / prepared.entries[number].path, prepared.levels)
    for document in range(min(len(shard), 20)):
        counts = ", ".join(f"{level} {int(column.offsets_D1[document + 1] - column.offsets_D1[document])}" for level, column in shard.units.items())
        tokens = len(shard.token_ids.row(document))
        yield [Word(f"  {shard.text_of('id', document):24.24s} {shard.text_of('title', document):24.24s} {tokens:7,d} tokens  "), Word(counts, "dim")]
    if len(shard) > 20:
        yield [Word(f"  ... and {len(shard) - 20} more", "dim")]


def show_batch(file: Path, overrides: list[str], step: int) -> Iterable[Line]:
    """What the model sees at a step: units in brackets, hidden tokens in colour, SBO targets."""
    from pretrain.config import Run
    from pretrain.corpus import Corpus
    from pretrain.feed.sampling import MicroBatchSpec, Sampler
    from pretrain.schedule import position, total_steps

    run = read_config(Run, file, overrides)
    corpus = Corpus(run=run)
    total = total_steps(run.stages)
    if not 0 <= step < total:
        raise ConfigError(f"the run has {total} steps, numbered from 0")
    where = position(run.stages, step)
    stage = run.stages[where.stage]
    maker = corpus.maker(stage, "train", run.masking)
    sampler = Sampler(streams=maker.streams, rows_per_step=run.batch.rows_per_step)
    cursors = cursors_at(run, corpus, step)
    rows, _ = sampler.step(cursors)
    packed = maker.packed(MicroBatchSpec(step, rows, step / total))
    real = sum(len(sample.token_ids_T) for sample in packed.samples)
    yield [
        Word(f"step {step}, stage `{stage.name}`", "title"),
        Word(f"   {len(rows)} rows of {run.batch.row} tokens, {len(packed.samples)} samples, {real / len(packed.original_T):.1%} real tokens", "dim"),
    ]
    share = len(packed.hidden.position_M) / max(int(packed.units.maskable_T.sum()), 1)
    yield [Word(f"{share:.1%} of the text is hidden", "dim")]
    yield [word._replace(text=word.plain or word.text) for word in legend()]
    yield from sample_lines(packed, corpus.tokenizer.tokens, run)


def cursors_at(run: Any, corpus: Any, step: int) -> dict[str, Any]:
    """The cursors of a fresh run at ``step``: order is a pure function, so the steps before are only counted, not built."""
    from pretrain.feed.sampling import Sampler
    from pretrain.schedule import position

    cursors: dict[str, Any] = {}
    for earlier in range(step):
        where = position(run.stages, earlier)
        if where.step == 0:
            cursors = {name: cursor._replace(served=0) for name, cursor in cursors.items()}
            sampler = Sampler(streams=corpus.streams(run.stages[where.stage], "train"), rows_per_step=run.batch.rows_per_step)
        _, cursors = sampler.step(cursors)
    if position(run.stages, step).step == 0:
        cursors = {name: cursor._replace(served=0) for name, cursor in cursors.items()}
    return cursors


def sample_lines(packed: Any, vocabulary: list[str], run: Any) -> Iterable[Line]:
    """The first samples of a packed batch."""
    from masking.boundary import boundary_targets
    from masking.display import pieces
    from masking.spans import precedence

    tokens = [vocabulary[index] for index in packed.original_T]
    seen = [vocabulary[index] for index in packed.corrupted_T]
    unit_end_T, kind_T = packed.units.partition(precedence(packed.units.levels))
    actions = dict(zip(packed.hidden.position_M.tolist(), packed.hidden.action_M.tolist(), strict=True))
    boundary = boundary_targets(packed.spans, packed.units, 20)
    told = False
    for index, sample in enumerate(packed.samples[:SHOWN_SAMPLES]):
        start = int(packed.sample_start_S[index])
        end = start + len(sample.token_ids_T)
        labels = ", ".join(f"{task} = {label}" for task, label in sample.labels.items())
        yield []
        yield [
            Word(f"{sample.document_id} from token {sample.first_token}", "title"),
            Word(f"   task {sample.task} (id {run.task_ids[sample.task]}) {labels}", "dim"),
        ]
        drawn = pieces(tokens, seen, unit_end_T, kind_T, packed.spans, actions, start, end)
        yield [word._replace(text=word.plain or word.text) for cell in cells(drawn) for word in cell]
        mine = (boundary.position_M >= start) & (boundary.position_M < end)
        targets = [
            f"{tokens[p]} = f({tokens[left]}, {tokens[right]}, {offset})"
            for p, left, right, offset in zip(
                boundary.position_M[mine][:8], boundary.left_M[mine][:8], boundary.right_M[mine][:8], boundary.offset_M[mine][:8], strict=True
            )
        ]
        if targets:
            yield [Word("SBO: " + "; ".join(targets) + (" ..." if int(mine.sum()) > 8 else ""), "dim")]
            told = True
    if told:
        yield []
        yield [Word("SBO (span boundary objective): a hidden token = f(token left of its run, token right of it, place in the run from 0)", "dim")]


def show_schedule(file: Path, overrides: list[str], number: int) -> Iterable[Line]:
    """Stages, rows per task and the learning rate along the run."""
    from pretrain.config import Run
    from pretrain.schedule import planned_tasks, total_steps

    run = read_config(Run, file, overrides)
    total = total_steps(run.stages)
    rows = run.batch.rows_per_step
    yield [Word(f"{total:,} steps of {rows} rows x {run.batch.row} tokens = {total * rows * run.batch.row:,} tokens", "title")]
    yield [Word("task table: " + ", ".join(f"{run.task_ids[name]} {name}" for name in run.tasks if run.builds_rows(name)), "dim")]
    begin = 0
    for index, stage in enumerate(run.stages):
        new = set(planned_tasks(run.stages, index)) - (set(planned_tasks(run.stages, index - 1)) if index else set())
        yield []
        yield [Word(f"stage {index + 1} `{stage.name}`", "title"), Word(f"   steps {begin:,} to {begin + stage.steps:,}", "dim")]
        built = run.rows_of(stage)
        for task in stage.tasks:
            part = built.get(task, 0.0) / (rows * stage.steps)
            bar = "█" * round(part * 30) if task in built else "on every row"
            count = f"{part:4.0%}  {round(built[task]):9,d} rows" if task in built else " " * 20
            yield [Word(f"  {task:22s}"), Word("new  " if task in new else "     ", "entity"), Word(count + "  "), Word(bar, "word")]
        marks = sorted({0, min(run.optimization.warmup, stage.steps) - 1, stage.steps // 2, stage.steps - 1} - {-1})
        rates = []
        for step in marks:
            at = (step, stage.steps) if run.optimization.restart_per_stage else (begin + step, total)
            rates.append(f"{begin + step:,}: {run.optimization.rate(*at):.2e}")
        yield [Word(f"  learning rate ({run.optimization.schedule})  " + "   ".join(rates), "dim")]
        begin += stage.steps
