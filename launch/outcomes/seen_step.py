"""`kmask show step`: exactly what a step of a run saw: its rows, their texts, what was hidden in them.

    RUN --checkpoints, metrics.jsonl, skipped.jsonl--> where the step began (pretrain/history.py)
        --as training makes them--> micro-batches --> lines, or JSON with the ids that the model was given

Steps are counted as metrics.jsonl and skipped.jsonl count them: the first is 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.outcomes.saved_runs import ChosenRun, choose_run, tell
from launch.reports.run.metric_lines import MetricLines
from launch.views.batch import sample_lines, without_colours
from launch.views.words import Line, Word, legend

if TYPE_CHECKING:
    from pretrain.corpus import Corpus
    from pretrain.feed.sampling import MicroBatchSpec
    from pretrain.history import Found

ROWS, DOCUMENTS = 24, 4
"""Rows that are listed, and documents of each."""


@dataclass(frozen=True, kw_only=True)
class SeenStep:
    """A step that was trained."""

    step: int
    """As metrics.jsonl counts: 1 is the first."""
    run: Any
    corpus: Corpus
    found: Found
    specs: Sequence[Sequence[MicroBatchSpec]]
    """The micro-batches of each process."""
    maker: Any
    noted: Sequence[Mapping[str, Any]]
    """What skipped.jsonl tells of the step."""

    @property
    def stage(self) -> Any:
        """Its stage."""
        from pretrain.stages.schedule import position

        return self.run.stages[position(self.run.stages, self.step - 1).stage]


def read_step(target: Path, overrides: Sequence[str], step: int) -> SeenStep:
    """Find a step of a run.

    Args:
        target: a run folder, or the YAML of a run.

    Raises:
        ValueError: there is no such run, the step was not trained, or its rows are not known.
    """
    from pretrain import history
    from pretrain.corpus import Corpus
    from pretrain.metrics.lines import Lines
    from pretrain.stages.schedule import position

    chosen = choose_run(target, overrides, None)
    metrics, states = MetricLines(file=chosen.folder / "metrics.jsonl"), history.states_of(chosen.folder)
    lines = [line for line in metrics.records() if line["event"] == "train"] if metrics.file.is_file() else []
    trained = max([state.step for state in states] + [int(line["step"]) for line in lines[-1:]], default=-1)
    if trained < 0:
        raise ValueError(f"{chosen.folder} has no checkpoint and no line of metrics: it is no run, or has just begun")
    if not 1 <= step <= trained:
        raise ValueError(
            f"step {step:,}: the run is at step {trained:,}, and its first step is 1; `kmask show batch` draws what a "
            "step to come would see"
        )
    run = settings_at(chosen, states, step)
    corpus = Corpus(run=run)
    if states:
        chosen.check(states[-1], run, corpus.fingerprints)
    rows = Lines(chosen.folder / "skipped.jsonl", tell).read()
    known = history.anchors(states, lines)
    found = history.cursors_at(run, corpus, step - 1, known, history.rollbacks(rows))
    if found.behind is None:
        tell(f"nothing behind step {step:,} confirms its rows: they are as the settings of the run give them")
    machine = states[-1].machine if states else {}
    specs = history.step_specs(run, corpus, step - 1, found.cursors, int(machine.get("processes", 1)))
    return SeenStep(
        step=step,
        run=run,
        corpus=corpus,
        found=found,
        specs=specs,
        maker=corpus.maker(run.stages[position(run.stages, step - 1).stage], "train", run.masking),
        noted=[row for row in rows if row.get("step") == step and row.get("event") in ("skipped", "spike")],
    )


def settings_at(chosen: ChosenRun, states: Sequence[Any], step: int) -> Any:
    """The configuration under which a step was trained: a YAML's, or what the first checkpoint behind the step
    recorded (the newest one, when there is none behind it).

    Raises:
        ValueError: there is neither.
    """
    if not states:
        if chosen.run is None:
            raise ValueError(f"{chosen.folder} holds no checkpoint that tells its settings; give its YAML instead")
        return chosen.run
    return chosen.config(next((state for state in states if state.step >= step), states[-1]))


def step_json(seen: SeenStep, rank: int | None) -> dict[str, Any]:
    """Everything about a step as plain values: rows with their windows, and the ids that the model was given."""
    batches = []
    for number, index, spec in chosen_specs(seen, rank):
        packed = seen.maker.packed(spec)
        batches.append(
            {
                "rank": number,
                "micro_batch": index,
                "rows": [row_json(seen, row) for row in spec.rows],
                "input_ids": packed.corrupted_T.tolist(),
                "hidden": {
                    "position": packed.hidden.position_M.tolist(),
                    "label": packed.hidden.label_M.tolist(),
                    "kind": packed.kind_T[packed.hidden.position_M].tolist(),
                },
                "samples": [
                    {"start": int(start), "task": sample.task, "document": sample.document_id}
                    for start, sample in zip(packed.sample_start_S, packed.samples, strict=True)
                ],
            }
        )
    before, behind = seen.found.before, seen.found.behind
    return {
        "step": seen.step,
        "stage": seen.stage.name,
        "counted_from": {"step": before.step, "where": before.where},
        "confirmed_by": {"step": behind.step, "where": behind.where} if behind else None,
        "noted": [{key: row.get(key) for key in ("event", "reason")} for row in seen.noted],
        "micro_batches": batches,
    }


def row_json(seen: SeenStep, row: Any) -> dict[str, Any]:
    """One row: where it comes from."""
    return {
        "stream": row.stream,
        "epoch": row.epoch,
        "windows": [[int(value) for value in window] for window in zip(*row.windows.columns, strict=True)],
        "documents": documents(seen, row),
    }


def documents(seen: SeenStep, row: Any) -> list[str]:
    """The documents of a row, each once, in order."""
    return list(dict.fromkeys(seen.maker.streams[row.stream].source.texts(row.windows).document_ids))


def chosen_specs(seen: SeenStep, rank: int | None) -> Iterator[tuple[int, int, MicroBatchSpec]]:
    """(process, number, micro-batch), of one process or of all.

    Raises:
        ValueError: the run had no such process.
    """
    if rank is not None and not 0 <= rank < len(seen.specs):
        raise ValueError(f"--rank {rank}: the run had {len(seen.specs)} processes, numbered from 0")
    for number, specs in enumerate(seen.specs):
        if rank in (None, number):
            yield from ((number, index, spec) for index, spec in enumerate(specs))


def step_lines(seen: SeenStep, rank: int | None, samples: int) -> Iterator[Line]:
    """A step as lines: where it was found, its rows, and its first samples.

    Args:
        samples: how many are drawn; 0: all.
    """
    found, run = seen.found, seen.run
    specs = list(chosen_specs(seen, rank))
    rows = sum(len(spec.rows) for _, _, spec in specs)
    yield [
        Word(f"step {seen.step:,}, stage `{seen.stage.name}`", "title"),
        Word(f"   {rows} rows of {run.batch_of(seen.stage).row} tokens in {len(specs)} micro-batches", "dim"),
    ]
    behind = f", and it agrees with {found.behind.where} at step {found.behind.step:,}" if found.behind else ""
    yield [Word(f"counted from {found.before.where} (step {found.before.step:,}){behind}", "dim")]
    for row in seen.noted:
        what = "left out" if row["event"] == "skipped" else "a jump"
        yield [Word(f"{what}: {row.get('reason')}", "bad")]
    left = ROWS
    for number, index, spec in specs:
        if left > 0:
            yield []
            yield [Word(f"process {number}, micro-batch {index}", "title")]
            yield from row_lines(seen, spec, left)
        left -= len(spec.rows)
    if left < 0:
        yield [Word(f"and {-left:,} more rows (`--rank`, `--json`)", "dim")]
    yield []
    yield without_colours(legend())
    for number, index, spec in specs:
        packed = seen.maker.packed(spec)
        drawn = min(samples, len(packed.samples)) if samples else len(packed.samples)
        if not drawn:
            break
        yield []
        yield [Word(f"process {number}, micro-batch {index}: {drawn} of {len(packed.samples)} samples", "title")]
        yield from sample_lines(packed, seen.corpus.tokenizer.tokens, run, drawn)
        samples -= drawn if samples else 0
        if samples == 0 and drawn < len(packed.samples):
            break


def row_lines(seen: SeenStep, spec: MicroBatchSpec, most: int) -> Iterator[Line]:
    """The first rows of a micro-batch: folder and task, epoch, documents."""
    for place, row in enumerate(spec.rows[:most]):
        names = documents(seen, row)
        more = f" and {len(names) - DOCUMENTS} more" if len(names) > DOCUMENTS else ""
        yield [
            Word(f"  row {spec.first + place:3d}  {row.stream}"),
            Word(f"  epoch {row.epoch}  {len(row.windows)} texts of ", "dim"),
            Word(", ".join(names[:DOCUMENTS]) + more),
        ]
