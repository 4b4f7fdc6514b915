"""Which rows a step of a run saw: from the nearest place where its cursors are known, building nothing on the way.

    anchors       step 0, stages that began, checkpoints, lines of metrics   ->  cursors after so many steps
    rollbacks     skipped.jsonl                                              ->  cursors that a checkpoint was left with
    cursors_at    nearest anchor before --Sampler.after--> the step --> the nearest one behind it, which must agree

A run whose settings changed between two anchors (rows of a step, weights, folders) does not arrive where it was: that
is found out and refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.files import read_json
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.sampling import Cursor, MicroBatchSpec, Sampler, micro_batches
from pretrain.stage_cursors import beginning
from pretrain.stages.schedule import position, total_steps
from pretrain.state.checkpoint import State
from pretrain.state.names import candidates

FARTHEST = 2000
"""Steps up to which the next anchor is asked whether it agrees."""


class Anchor(NamedTuple):
    """A place of a run where its cursors are known."""

    step: int
    """Steps done."""
    cursors: Mapping[str, Cursor]
    where: str
    """What knows them."""


class Found(NamedTuple):
    """Where a step begins."""

    cursors: Mapping[str, Cursor]
    before: Anchor
    """What it was counted from."""
    behind: Anchor | None
    """What agreed; None: nothing behind the step is known, or it is too far."""


def states_of(folder: Path) -> list[State]:
    """The states of the checkpoints of a run, oldest first; their tensors are not looked at, damaged ones left out."""
    found = []
    for path in candidates(folder / "checkpoints"):
        if not (path / "state.json").is_file():
            continue
        try:
            value = read_json(path / "state.json")
            rest = {key: item for key, item in value.items() if key not in ("version", "sha256", "files", "cursors")}
            found.append(State(**rest, cursors=_cursors(value["cursors"])))
        except (ValueError, TypeError, KeyError, OSError, AttributeError):
            continue
    return found


def anchors(states: Sequence[State], lines: Iterable[Mapping[str, Any]]) -> list[Anchor]:
    """All places where cursors are known, by step.

    Args:
        lines: of metrics.jsonl; those of training hold cursors.
    """
    found = [Anchor(0, {}, "the beginning of the run")]
    if states:
        begin = 0
        for stage in states[-1].done:
            if stage.get("begun"):
                found.append(Anchor(begin, _cursors(stage["begun"]), f"the beginning of stage {stage['name']}"))
            begin += int(stage["steps"])
    found += [Anchor(state.step, state.cursors, f"the checkpoint of step {state.step:,}") for state in states]
    for line in lines:
        if line.get("event") == "train" and isinstance(line.get("cursors"), dict):
            found.append(Anchor(int(line["step"]), _cursors(line["cursors"]), "metrics.jsonl"))
    return sorted(found, key=lambda anchor: anchor.step)


def rollbacks(rows: Iterable[Mapping[str, Any]]) -> dict[int, Mapping[str, Cursor]]:
    """By the step that a run went back to, the cursors that it went on with.

    Args:
        rows: of skipped.jsonl.
    """
    return {int(row["step"]): _cursors(row["to"]) for row in rows if row.get("event") == "rollback"}


def cursors_at(
    run: Run, corpus: Corpus, step: int, known: Sequence[Anchor], jumps: Mapping[int, Mapping[str, Cursor]]
) -> Found:
    """The cursors at which a step begins.

    Args:
        step: steps done before it.
        jumps: ``rollbacks``.

    Raises:
        ValueError: the places around the step do not agree: the run was not trained with these settings there.
    """
    before = max((anchor for anchor in known if anchor.step <= step), key=lambda anchor: anchor.step)
    cursors = _walked(run, corpus, before.cursors, before.step, step, jumps)
    behind = next((anchor for anchor in known if anchor.step > step), None)
    if behind is None or behind.step - step > FARTHEST:
        return Found(cursors, before, None)
    inside = {at: jump for at, jump in jumps.items() if step < at < behind.step}
    arrived = _walked(run, corpus, cursors, step, behind.step, inside)
    jumped = jumps.get(behind.step, arrived)  # it was noted before the run went back to it, or when a stage began there
    known_there = _begun(run, behind.step, behind.cursors)
    expected = _places(known_there, known_there)
    if expected not in (_places(arrived, known_there), _places(jumped, known_there)):
        raise ValueError(
            f"the rows of step {step + 1:,} are not known for certain: counted from {before.where} (step "
            f"{before.step:,}), the run does not arrive where {behind.where} (step {behind.step:,}) says it was. Its "
            "settings changed in between (batch.rows_per_step, weights, folders, stages): give the YAML that it was "
            "trained with there"
        )
    return Found(cursors, before, behind)


def _places(cursors: Mapping[str, Cursor], names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Where streams stand, whatever they have served."""
    return {name: tuple(cursors.get(name, Cursor())[:3]) for name in names}


def _walked(
    run: Run,
    corpus: Corpus,
    cursors: Mapping[str, Cursor],
    begin: int,
    end: int,
    jumps: Mapping[int, Mapping[str, Cursor]],
) -> Mapping[str, Cursor]:
    """Cursors after ``end`` steps from those after ``begin``, through the stages and rollbacks in between."""
    cuts = {sum(stage.steps for stage in run.stages[:index]) for index in range(len(run.stages))} | set(jumps)
    places = [begin, *sorted(at for at in cuts if begin < at < end), end]
    for at, until in zip(places, [*places[1:], None], strict=True):
        cursors = jumps.get(at, cursors)
        cursors = _begun(run, at, cursors)
        if until is not None and until > at:
            cursors = sampler_of(run, corpus, at).after(cursors, until - at, at)
    return cursors


def _begun(run: Run, step: int, cursors: Mapping[str, Cursor]) -> Mapping[str, Cursor]:
    """The cursors after so many steps, as those of the stage that begins there, if one does."""
    where = position(run.stages, step)
    return cursors if where.step else beginning(run, where.stage, cursors)


def sampler_of(run: Run, corpus: Corpus, step: int) -> Sampler:
    """The order of rows of the stage of a step."""
    stage = run.stages[position(run.stages, step).stage]
    return Sampler(streams=corpus.streams(stage, "train"), rows_per_step=run.step_rows(stage))


def step_specs(
    run: Run, corpus: Corpus, step: int, cursors: Mapping[str, Cursor], processes: int
) -> list[list[MicroBatchSpec]]:
    """The micro-batches of a step, by process, as training makes them.

    Raises:
        ValueError: the rows of a step cannot be divided by so many processes.
    """
    batch = run.batch_of(run.stages[position(run.stages, step).stage])
    sampler, total, rows = sampler_of(run, corpus, step), total_steps(run.stages), batch.rows_per_process
    batch.accumulation(processes)
    if sampler.step_rows.of(step) < batch.rows_per_step:
        batch.check_warmup(processes)
    steps = range(step, step + 1)
    return [list(micro_batches(sampler, cursors, steps, total, rows, rank, processes, {})) for rank in range(processes)]


def _cursors(value: Mapping[str, Any]) -> dict[str, Cursor]:
    """As files have them: lists, or objects by field."""
    return {
        name: Cursor(**item) if isinstance(item, Mapping) else Cursor(*(int(part) for part in item))
        for name, item in value.items()
    }
