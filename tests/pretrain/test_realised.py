"""What was trained beside what was planned: exact at the end of each stage, after stops, crashes, going back and changes
of later stages. One rank in this process; two ranks are in test_order.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY_RUN

from launch.settings.components import decode, load, plain
from pretrain import realised
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.sampling import Cursor
from pretrain.processes.world import World
from pretrain.progress import Progress
from pretrain.state.checkpoint import State
from pretrain.trainer import Trainer

SCHEDULE = (
    "schedule={kind: continual_multi_task, order: [[knowledge_masking, span_boundary], [sentence_reordering]],"
    " iterations: {knowledge_masking: 5, sentence_reordering: 4}}"
)
SETTINGS = ("stages=[]", SCHEDULE, "evaluation.every=0", "engine.zero_stage=0", "batch.rows_per_process=2")
Events = list[tuple[str, int, Mapping[str, Any]]]


@pytest.fixture
def train(tiny_run: Path, tmp_path: Path, world: World) -> Callable[..., Events]:
    """Train a run of that name; ``crash``: fail at that line of metrics, ``stop``: ask to stop after that step."""
    return trainer_of(tiny_run, tmp_path, world)


@pytest.fixture(scope="module")
def plain_ends(prepared: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The ends of the undisturbed run."""
    folder = tmp_path_factory.mktemp("plain")
    file = folder / "run.yaml"
    file.write_text(TINY_RUN.format(output=folder / "run", data=prepared), encoding="utf-8")
    trainer_of(file, folder, world)("plain")
    return ends(folder / "plain")


def trainer_of(file: Path, folder: Path, world: World) -> Callable[..., Events]:
    """The function that trains runs of this configuration in this folder."""

    def work(name: str, *overrides: str, crash: int = -1, stop: int = -1) -> Events:
        run = decode(Run, load(file, [f"output={folder / name}", *SETTINGS, *overrides]))
        events: Events = []

        def report(event: str, step: int, values: Mapping[str, Any]) -> None:
            events.append((event, step, values))
            if event == "train" and step == crash:
                raise RuntimeError("crash")

        made = Trainer(run, plain(run), world, report, asked=lambda: made.progress.step >= stop >= 0)
        if crash >= 0:
            with pytest.raises(RuntimeError, match="crash"):
                made.train()
        else:
            assert made.train() == (stop < 0)
        return events

    return work


def ends(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key != "time"}
        for line in lines
        if line["event"] in ("stage_end", "run_end")
    ]


def test_the_end_of_each_stage_and_of_the_run_says_what_was_planned_and_trained(
    plain_ends: list[dict[str, Any]],
) -> None:
    first, second, whole = plain_ends
    assert first["event"] == "stage_end" and (first["step"], first["steps"]) == (3, 3)
    assert {key: first[key] for key in first if "rows/" in key or "iterations/" in key} == {
        "planned_rows/knowledge_masking": 12,
        "rows/knowledge_masking": 12,
        "iterations/knowledge_masking": 3,
    }
    assert (second["step"], second["steps"], second["rows/knowledge_masking"]) == (9, 6, 8)
    assert second["planned_rows/sentence_reordering"] == second["rows/sentence_reordering"] == 16
    assert second["iterations/sentence_reordering"] == 4
    assert whole["event"] == "run_end" and whole["rows/knowledge_masking"] == 20
    assert whole["planned_rows/sentence_reordering"] == 16
    passed = first["epochs/demo/knowledge_masking"] + second["epochs/demo/knowledge_masking"]
    assert whole["epochs/demo/knowledge_masking"] == pytest.approx(passed, abs=2e-4) and 0 < passed < 1


@pytest.mark.parametrize("how", [{"stop": 1}, {"stop": 3}, {"stop": 5}, {"crash": 3}, {"crash": 5}, {"crash": 9}])
def test_counts_after_a_stop_or_a_crash_are_those_of_the_undisturbed_run(
    train: Callable[..., Events], plain_ends: list[dict[str, Any]], tmp_path: Path, how: dict[str, int]
) -> None:
    train("disturbed", **how)
    train("disturbed")
    assert ends(tmp_path / "disturbed") == plain_ends
    train("disturbed")
    assert len(ends(tmp_path / "disturbed")) == 3


def test_a_later_stage_may_change_while_an_earlier_one_runs(train: Callable[..., Events], tmp_path: Path) -> None:
    train("changed", stop=2)
    more = SCHEDULE.replace("sentence_reordering: 4", "sentence_reordering: 7")
    train("changed", more)
    first, second, whole = ends(tmp_path / "changed")
    assert first["rows/knowledge_masking"] == first["planned_rows/knowledge_masking"] == 12
    assert second["rows/sentence_reordering"] == second["planned_rows/sentence_reordering"] == 28
    assert whole["rows/sentence_reordering"] == 28 and whole["rows/knowledge_masking"] == 20


def test_rows_before_a_change_within_a_stage_still_count(train: Callable[..., Events], tmp_path: Path) -> None:
    train("changed", stop=5)
    more = SCHEDULE.replace("sentence_reordering: 4", "sentence_reordering: 6")
    events = train("changed", more)
    assert any("counted from here" in str(values.get("text")) for _, _, values in events)
    second = ends(tmp_path / "changed")[1]
    assert second["rows/knowledge_masking"] + second["rows/sentence_reordering"] == 4 * second["steps"] == 32
    assert second["planned_rows/sentence_reordering"] == 24


def test_rows_left_out_by_going_back_are_not_counted() -> None:
    progress = Progress(
        step=3,
        cursors={"a/x": Cursor(0, 0, 9, 9), "a/y": Cursor(0, 0, 3, 3)},
        done=[{"name": "one", "steps": 3, "rows": {"a/x": 1}}],
    )
    seen = {"tokens": 0.0, "seconds": 0.0, "skipped": 0.0, "pooled": 0.0}
    state = State(
        step=1,
        stage=0,
        cursors={"a/x": Cursor(0, 0, 3, 3), "a/y": Cursor(0, 0, 1, 1)},
        shares={},
        done=[{"name": "one", "steps": 1, "rows": {"a/x": 1}}],
        learned=[],
        fingerprints={},
        config={},
        encoder={},
        seen=seen,
    )
    assert progress.rows_of(0) == {"a/x": 10, "a/y": 3}
    back = progress.back_to(state, 1)
    assert back.cursors["a/x"].served == 9 and back.rows_of(0) == {"a/x": 4, "a/y": 1}
    again = back.back_to(state, 2)
    assert again.rows_of(0) == {"a/x": 4, "a/y": 1}
    assert "left_out" not in state.done[0]


def test_a_stream_that_is_repeated_often_is_told_once_and_its_epochs_are_counted(
    train: Callable[..., Events], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realised, "MANY_EPOCHS", 0.02)
    events = train("often")
    told = [values["text"] for event, _, values in events if event == "note" and "has been read" in values["text"]]
    assert len(told) == 2 and all(sum(name in line for line in told) == 1 for name in ("demo/know", "demo/sent"))


def test_epochs_are_exact_within_a_block_and_go_on_where_the_data_end(tiny_run: Path) -> None:
    run = decode(Run, load(tiny_run, list(SETTINGS)))
    stream = Corpus(run=run).streams(run.stages[0], "train")["demo/knowledge_masking"]
    rows = sum(len(stream.rows(0, block)) for block in range(stream.blocks))
    cursor = Cursor()
    for count in range(1, 2 * rows + 2):
        _, cursor = stream.next(cursor)
        assert stream.blocks > 1 or count > rows or realised.passed(stream, cursor) == pytest.approx(count / rows)
    assert cursor.epoch == 2 and 2 < realised.passed(stream, cursor) < 2.2
