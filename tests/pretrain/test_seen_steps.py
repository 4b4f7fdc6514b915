"""`kmask show step` gives the very ids that training saw: before, at and after checkpoints, in later stages, after going
back and after a resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from seen_ids import Ids, ids_of

from launch.outcomes.seen_step import read_step, step_json, step_lines
from launch.settings.components import read_config
from pretrain.config import Run
from pretrain.processes.world import World

STAGES = (
    "stages=[{name: one, steps: 7, tasks: {knowledge_masking: 1, span_boundary: 0}},"
    "{name: two, steps: 5, tasks: {knowledge_masking: 1, span_boundary: 0, sentence_reordering: 2}}]"
)
SETTINGS = [STAGES, "checkpoints={every: 3, keep: 2}", "tracking={every: 2, sinks: []}", "evaluation.every=0"]


@pytest.fixture
def train(tiny_run: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ids]:
    """Train, to the end or to a step, and return the ids of the micro-batches of every step."""

    def run(*overrides: str, spikes: Mapping[int, int] | None = None, stop_after: int = -1) -> Ids:
        settings = read_config(Run, tiny_run, [*SETTINGS, *overrides])
        return ids_of(settings, world, monkeypatch, spikes, lambda step: step >= stop_after >= 0)

    return run


def shown(target: Path, step: int, *overrides: str) -> list[list[int]]:
    found = step_json(read_step(target, overrides, step), None)
    return [batch["input_ids"] for batch in found["micro_batches"]]


def without_cursors(folder: Path) -> None:
    """Lines as runs wrote them before they held cursors."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("cursors", None)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("spikes", [{}, {5: 1}, {9: 1}, {5: 2, 11: 1}], ids=str)
def test_every_step_is_redrawn_as_it_was(train: Callable[..., Ids], tmp_path: Path, spikes: Mapping[int, int]) -> None:
    """From the cursors of the lines, and from those of the checkpoints alone."""
    seen = train("stability.on_spike=rollback", "batch.rows_per_process=2", spikes=spikes)
    assert sorted(seen) == list(range(1, 13))
    for known in ("lines with cursors", "checkpoints only"):
        for step, ids in seen.items():
            assert shown(tmp_path / "run", step) == ids, (known, step)
        without_cursors(tmp_path / "run")


def test_a_resumed_run_is_one_run_and_what_is_to_come_is_refused(
    train: Callable[..., Ids], tiny_run: Path, tmp_path: Path
) -> None:
    first = train(stop_after=5)
    last = max(first)
    assert last < 12
    with pytest.raises(ValueError, match=f"step {last + 1}: the run is at step {last}"):
        read_step(tmp_path / "run", [], last + 1)
    seen = {**first, **train()}
    for target, overrides in ((tmp_path / "run", []), (tiny_run, SETTINGS)):
        assert all(shown(target, step, *overrides) == ids for step, ids in seen.items())


def test_each_process_gets_its_own_micro_batches_and_together_they_are_the_step(
    train: Callable[..., Ids], tmp_path: Path
) -> None:
    seen = train()
    for file in (tmp_path / "run/checkpoints").glob("*/state.json"):
        state = json.loads(file.read_text())
        state["machine"]["processes"] = 2
        file.write_text(json.dumps(state))
    found = step_json(read_step(tmp_path / "run", [], 4), None)["micro_batches"]
    assert [(batch["rank"], batch["micro_batch"]) for batch in found] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert sorted(batch["input_ids"] for batch in found) == sorted(seen[4])
    alone = step_json(read_step(tmp_path / "run", [], 4), 1)["micro_batches"]
    assert alone == found[2:]
    with pytest.raises(ValueError, match="--rank 2: the run had 2 processes"):
        step_json(read_step(tmp_path / "run", [], 4), 2)


def test_settings_that_changed_are_found_out_and_a_yaml_helps(
    train: Callable[..., Ids], tiny_run: Path, tmp_path: Path
) -> None:
    """The first checkpoints are gone, and with them what they knew of the settings of their steps."""
    old = ["batch.rows_per_step=2"]
    seen = train(*old, "checkpoints.keep=1", stop_after=6)
    seen |= train("checkpoints.keep=1")
    assert shown(tmp_path / "run", 9) == seen[9]
    with pytest.raises(ValueError, match=r"step 3 are not known for certain.*metrics.jsonl \(step 4\).*settings"):
        read_step(tmp_path / "run", [], 3)
    assert shown(tiny_run, 3, *SETTINGS, *old) == seen[3]


def test_what_is_drawn_names_rows_hidden_tokens_and_what_was_noted(train: Callable[..., Ids], tmp_path: Path) -> None:
    train(spikes={4: 1})
    lines = ["".join(word.text for word in line) for line in step_lines(read_step(tmp_path / "run", [], 4), None, 3)]
    assert lines[0].startswith("step 4, stage `one`   4 rows of 256 tokens in 4 micro-batches")
    assert lines[1].startswith("counted from") and "it agrees with" in lines[1]
    assert "a jump: a jump" in lines and sum(line.startswith("  row ") for line in lines) == 4
    assert sum("   task " in line for line in lines) == 3 and any("→M" in line for line in lines)
    every = ["".join(word.text for word in line) for line in step_lines(read_step(tmp_path / "run", [], 4), 0, 0)]
    assert sum("   task " in line for line in every) > 8
    row = step_json(read_step(tmp_path / "run", [], 4), None)["micro_batches"][0]["rows"][0]
    skipped = json.loads((tmp_path / "run/skipped.jsonl").read_text().splitlines()[0])["rows"][0]
    assert {name: row[name] for name in ("stream", "epoch", "windows")} == {
        name: skipped[name] for name in ("stream", "epoch", "windows")
    } and sorted(row["documents"]) == skipped["documents"]


def test_folders_that_are_no_runs_and_half_lines(train: Callable[..., Ids], tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="it is no run, or has just begun"):
        read_step(tmp_path / "empty", [], 1)
    with pytest.raises(ValueError, match="no such run folder"):
        read_step(tmp_path / "nowhere", [], 1)
    seen = train()
    with (tmp_path / "run/metrics.jsonl").open("a") as handle:
        handle.write('{"event": "train", "step": 99, "curs')
    for state in (tmp_path / "run/checkpoints").glob("*/state.json"):
        state.write_text("{")
    with pytest.raises(ValueError, match="holds no checkpoint that tells its settings; give its YAML"):
        read_step(tmp_path / "run", [], 3)
    assert shown(tiny_run, 3, *SETTINGS) == seen[3]


def test_going_ahead_many_rows_ends_where_taking_them_one_by_one_does(tiny_run: Path) -> None:
    from pretrain.corpus import Corpus
    from pretrain.feed.sampling import Cursor, Sampler

    run = read_config(Run, tiny_run, [STAGES])
    streams = Corpus(run=run).streams(run.stages[1], "train")
    sampler = Sampler(streams=streams, rows_per_step=7)
    cursors: dict[str, Cursor] = {"other": Cursor(3, 1, 2, 9)}
    begin = dict(cursors)
    for steps in range(1, 60):
        _, cursors = sampler.step(cursors)
        assert sampler.after(begin, steps) == cursors
    assert max(cursor.epoch for name, cursor in cursors.items() if name != "other") >= 1
