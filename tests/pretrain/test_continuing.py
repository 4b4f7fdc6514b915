"""What may change when a run goes on, and what is refused with both values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY_RUN

from launch.settings.components import decode, load, plain
from pretrain.config import Run
from pretrain.continuing import check_continues, compare
from pretrain.feed.sampling import Cursor
from pretrain.progress import Progress
from pretrain.state.checkpoint import State

FOLDERS = {"demo": "f" * 64}


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text(TINY_RUN.format(output=tmp_path / "run", data=tmp_path / "data"), encoding="utf-8")
    return file


def decoded(file: Path, *overrides: str) -> Run:
    return decode(Run, load(file, list(overrides)))


def state_of(
    run: Run, done: tuple[int, ...], learned: tuple[str, ...] = ("knowledge_masking", "span_boundary")
) -> State:
    stages = [
        {"name": run.stages[index].name, "steps": steps, "tasks": dict(run.stages[index].tasks)}
        for index, steps in enumerate(done)
    ]
    seen = {"tokens": 0.0, "seconds": 0.0, "skipped": 0.0, "pooled": 0.0}
    return State(
        step=sum(done),
        stage=len(done) - 1,
        cursors={},
        shares={},
        done=stages,
        learned=learned,
        fingerprints=FOLDERS,
        config=plain(run),
        encoder={},
        seen=seen,
    )


def changes(
    file: Path,
    *overrides: str,
    done: tuple[int, ...] = (4, 2),
    folders: Mapping[str, str] = FOLDERS,
    learned: Any = None,
) -> tuple[str, str]:
    """(allowed, refused) differences of a run in its second stage, as text."""
    state = state_of(decoded(file), done, learned or ("knowledge_masking", "span_boundary", "sentence_reordering"))
    run = decoded(file, *overrides)
    found = compare(state, run, plain(run), folders)
    return "\n".join(found.allowed), "\n".join(found.refused)


def test_equal_settings_have_no_differences(run_file: Path) -> None:
    assert changes(run_file) == ("", "")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("optimization.lr=5e-4", "optimization.lr: 0.001 -> 0.0005"),
        ("data_workers=2", "data_workers: None -> 2"),
        ("model.dropout=0.2", "model.dropout: 0.1 -> 0.2"),
        ("model.path=/elsewhere", "model.path:  -> /elsewhere"),
        ("tasks.span_boundary.weight=0.5", "tasks.span_boundary.weight: 1.0 -> 0.5"),
        ("data.0.weight=2", "data.demo.weight: 1.0 -> 2.0"),
        ("data.0.path=/moved", "data.demo.path"),
        ("masking.strategy.kind=subword", "masking.strategy.kind: whole_unit -> subword"),
        ("stages.1.steps=2", "stages.1.steps: 4 -> 2"),
        ("stages.1.steps=400", "stages.1.steps: 4 -> 400"),
        ("stages.1.tasks.sentence_reordering=3", "stages.1.tasks.sentence_reordering: 1.0 -> 3.0"),
    ],
)
def test_free_settings_are_told_with_both_values(run_file: Path, override: str, line: str) -> None:
    allowed, refused = changes(run_file, override)
    assert line in allowed and refused == ""


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("seed=2", "seed: 1 -> 2"),
        ("model.hidden=64", "model.hidden: 32 -> 64"),
        ("batch.row_tokens=512", "batch.row_tokens: 256 -> 512"),
        ("tasks.sentence_reordering.segments=4", "tasks.sentence_reordering.segments: 3 -> 4"),
        ("tasks.span_boundary.position_size=16", "tasks.span_boundary.position_size: 8 -> 16"),
        ("tasks.span_boundary.max_length=5", "tasks.span_boundary.max_length: 20 -> 5"),
        ("stages.0.steps=2", "stages.0.steps: 4 -> 2 (this stage has ended)"),
        ("stages.0.steps=9", "stages.0.steps: 4 -> 9 (this stage has ended)"),
        ("stages.0.tasks.knowledge_masking=3", "stages.0.tasks.knowledge_masking: 1.0 -> 3.0 (this stage has ended)"),
        (
            "stages.0.tasks.sentence_reordering=1",
            "stages.0.tasks.sentence_reordering: not set -> 1.0 (this stage has ended)",
        ),
        ("stages.1.steps=1", "stages.1.steps: 4 -> 1 (2 steps of it are done)"),
        ("stages.1.name=other", "stages.1.name: two -> other (this stage has begun)"),
        (
            "stages=[{name: one, steps: 4, tasks: {knowledge_masking: 1, span_boundary: 0}}]",
            "stages: 2 were trained (one, two), 1 are listed",
        ),
    ],
)
def test_what_weights_and_cursors_hang_on_is_refused_with_both_values(run_file: Path, override: str, line: str) -> None:
    allowed, refused = changes(run_file, override)
    assert line in refused and allowed == ""


def test_a_task_is_free_until_its_head_exists(run_file: Path) -> None:
    early: Any = {"done": (2,), "learned": ("knowledge_masking", "span_boundary")}
    allowed, refused = changes(run_file, "tasks.sentence_reordering.segments=4", **early)
    assert "tasks.sentence_reordering.segments: 3 -> 4" in allowed and refused == ""
    allowed, refused = changes(run_file, "tasks.span_boundary.position_size=16", **early)
    assert "tasks.span_boundary.position_size" in refused


def test_stages_to_come_may_change_and_join(run_file: Path) -> None:
    early: Any = {"done": (2,), "learned": ("knowledge_masking", "span_boundary")}
    allowed, refused = changes(run_file, "stages.1.name=other", "stages.1.steps=9", **early)
    assert "stages.1.name: two -> other" in allowed and "stages.1.steps: 4 -> 9" in allowed and refused == ""


def test_a_renamed_folder_is_refused_with_the_remedy_and_other_shards_with_both_fingerprints(run_file: Path) -> None:
    _, refused = changes(run_file, "data.0.name=other", folders={"other": FOLDERS["demo"]})
    assert "give it `name: demo`" in refused
    _, refused = changes(run_file, folders={"demo": "0" * 64})
    assert "ffffffffffff -> 000000000000" in refused


def test_a_checkpoint_from_before_windows_had_this_order_is_refused_also_under_another_name_of_its_folder(
    run_file: Path,
) -> None:
    now = f"{FOLDERS['demo']} order 2"
    _, refused = changes(run_file, folders={"demo": now})
    assert "reads windows in another order than the one that began" in refused
    _, refused = changes(run_file, "data.0.name=other", folders={"other": now})
    assert "give it `name: demo`" in refused


def test_the_refusal_lists_the_differing_keys_only_and_the_remedy(run_file: Path) -> None:
    state = state_of(decoded(run_file), (4, 2))
    run = decoded(run_file, "seed=2", "optimization.lr=5e-4")
    with pytest.raises(ValueError, match="seed: 1 -> 2") as caught:
        check_continues(state, run, plain(run), FOLDERS)
    assert "optimization" not in str(caught.value) and "choose a new output" in str(caught.value)
    assert check_continues(state, decoded(run_file, "threads=1"), plain(decoded(run_file, "threads=1")), FOLDERS) == [
        "threads: 0 -> 1"
    ]


def test_another_order_of_folders_removed_stages_and_new_keys_are_told(run_file: Path) -> None:
    run = decoded(run_file)
    state, resolved = state_of(run, (2,)), plain(run)
    two = {**resolved, "data": [resolved["data"][0], {**resolved["data"][0], "name": "two"}]}
    swapped = {**two, "data": two["data"][::-1]}
    allowed = compare(replace(state, config=two), run, swapped, FOLDERS).allowed
    assert any("the order ['demo', 'two'] -> ['two', 'demo']" in line for line in allowed)
    allowed = compare(state, run, {**resolved, "stages": resolved["stages"][:1]}, FOLDERS).allowed
    assert any(line.startswith("stages.1: ") and line.endswith("-> not set") for line in allowed)
    boundary = resolved["tasks"]["span_boundary"]
    named = {**resolved, "tasks": {**resolved["tasks"], "span_boundary": {**boundary, "labels": {"a": 1}}}}
    assert "tasks.span_boundary.labels: not set ->" in "\n".join(compare(state, run, named, FOLDERS).refused)
    joined = {**resolved, "tasks": {**resolved["tasks"], "more": boundary}}
    found = compare(state, run, joined, FOLDERS)
    assert not found.refused and any(line.startswith("tasks.more: not set") for line in found.allowed)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.1.name=one", "the names one, one must differ"),
        ("stages.0.tasks.sentence_reordering=0", "gives sentence_reordering no rows; leave it out"),
        ("threads=-1", "threads: -1 must not be negative"),
        ("data_workers=-1", "data_workers: -1 must not be negative"),
        ("engine.timeout_minutes=1e30", "at most 100,000"),
        ("engine.timeout_minutes=.inf", "expected a finite number"),
        ("optimization.clip=.nan", "expected a finite number"),
        ("optimization.eps=0", "eps: 0.0 must be positive"),
        ("stages.0.tasks.knowledge_masking=.nan", "expected a finite number"),
        ("data.0.weight=.inf", "expected a finite number"),
        ("model.intermediate=-1", "intermediate: -1"),
        ("model.layer_norm_eps=-1", "layer_norm_eps: -1"),
    ],
)
def test_nonsense_is_refused_at_its_key(run_file: Path, override: str, message: str) -> None:
    with pytest.raises(ValueError, match="command line") as caught:
        decoded(run_file, override)
    assert message in str(caught.value)


def test_an_activation_that_transformers_does_not_know_is_refused(run_file: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.activation: 'zzz' is not one of .*gelu"):
        decoded(run_file, "model.activation=zzz").model.config(100, 1, 0)


def test_the_order_of_learned_tasks_is_fixed(run_file: Path) -> None:
    run = decoded(run_file)
    state = state_of(run, (4, 2), ("knowledge_masking", "span_boundary", "sentence_reordering"))
    resolved = plain(run)
    tasks = resolved["tasks"]
    swapped = {
        **resolved,
        "tasks": {name: tasks[name] for name in ("knowledge_masking", "sentence_reordering", "span_boundary")},
    }
    assert "new tasks join at the end" in "\n".join(compare(state, run, swapped, FOLDERS).refused)


def test_shares_that_change_within_a_stage_are_counted_anew_and_only_then(run_file: Path) -> None:
    stage = decoded(run_file).stages[1]
    cursors = {"demo/knowledge_masking": Cursor(0, 0, 9, 9), "demo/sentence_reordering": Cursor(0, 0, 3, 3)}
    shares = {"demo/knowledge_masking": 3.0, "demo/sentence_reordering": 1.0}
    done: list[dict[str, Any]] = [{"name": "one", "steps": 4, "tasks": {}}, {"name": "two", "steps": 2, "tasks": {}}]
    for now, anew in (
        (shares, False),
        ({**shares, "demo/sentence_reordering": 2.0}, True),
        ({**shares, "more/knowledge_masking": 1.0}, True),
    ):
        progress = Progress(cursors=dict(cursors), shares=shares, done=[dict(item) for item in done])
        assert progress.enter(1, stage, now, []) is anew
        assert [cursor.served for cursor in progress.cursors.values()] == ([0, 0] if anew else [9, 3])
        assert [cursor.row for cursor in progress.cursors.values()] == [9, 3]
    progress = Progress(cursors=dict(cursors), shares=shares, done=done[:1])
    assert progress.enter(1, stage, shares, []) is False and [
        cursor.served for cursor in progress.cursors.values()
    ] == [0, 0]
