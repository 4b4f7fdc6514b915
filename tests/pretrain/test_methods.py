"""Methods write stages: the paper's three over the same tasks, sums that are exact, refusals with their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import ROOT

from launch.settings.components import Source, decode, load, plain
from launch.settings.kinds import kinds
from launch.settings.resolved import resolved_lines
from pretrain.config import Run
from pretrain.continuing import compare
from pretrain.methods import Method
from pretrain.methods.continual_multi_task import ContinualMultiTask
from pretrain.methods.joint import Joint
from pretrain.methods.sequential import Sequential
from pretrain.state.checkpoint import State

ORDER = [["masking"], ["order"], ["distance"]]
FIFTY = {"masking": 50, "order": 50, "distance": 50}


def run_of(file: Path, schedule: str, *overrides: str) -> Run:
    """The tiny run with a schedule in place of its stages."""
    return decode(Run, load(file, ["stages=[]", f"schedule={schedule}", *overrides]))


def tasks_of(run: Run) -> dict[str, dict[str, Any]]:
    """By stage: iterations of each task; 0 where it rides."""
    return {
        stage.name: {task: getattr(amount, "iterations", amount) for task, amount in stage.tasks.items()}
        for stage in run.stages
    }


SHORT = "order: [[knowledge_masking, span_boundary], [sentence_reordering]]"
COUNTS = "iterations: {knowledge_masking: 5, sentence_reordering: 4}"


def test_the_three_methods_over_the_same_tasks(tiny_run: Path) -> None:
    body = f"{SHORT}, {COUNTS}"
    first, second = "knowledge_masking+span_boundary", "sentence_reordering"
    rides = {"span_boundary": 0.0}
    assert tasks_of(run_of(tiny_run, f"{{kind: continual_multi_task, {body}}}")) == {
        first: {"knowledge_masking": 3, **rides},
        second: {"knowledge_masking": 2, **rides, "sentence_reordering": 4},
    }
    assert tasks_of(run_of(tiny_run, f"{{kind: sequential, {body}}}")) == {
        first: {"knowledge_masking": 5, **rides},
        second: {"sentence_reordering": 4},
    }
    assert tasks_of(run_of(tiny_run, f"{{kind: sequential, {body}, replay: 0.2}}")) == {
        first: {"knowledge_masking": 5, **rides},
        second: {"knowledge_masking": 1, **rides, "sentence_reordering": 4},
    }
    joint = run_of(tiny_run, f"{{kind: joint, {body}, names: [all]}}")
    assert tasks_of(joint) == {"all": {"knowledge_masking": 5, **rides, "sentence_reordering": 4}}
    assert joint.stages[0].steps == 9 and joint.rows_of(joint.stages[0]) == {
        "knowledge_masking": 20,
        "sentence_reordering": 16,
    }
    assert kinds(Method) == ["continual_multi_task", "joint", "sequential"]


def test_the_table_of_the_paper_as_written() -> None:
    spread = {"masking": [20, 10, 20], "order": [30, 20]}
    assert ContinualMultiTask(order=ORDER, iterations=FIFTY, spread=spread).counts() == [
        {"masking": 20},
        {"masking": 10, "order": 30},
        {"masking": 20, "order": 20, "distance": 50},
    ]
    paused = ContinualMultiTask(order=ORDER, iterations=FIFTY, spread={"masking": [25, 0, 25]})
    assert paused.counts()[1] == {"order": 25}
    assert Sequential(order=ORDER, iterations=FIFTY).counts() == [{"masking": 50}, {"order": 50}, {"distance": 50}]
    assert Joint(order=ORDER, iterations=FIFTY).counts() == [FIFTY]


@given(st.lists(st.lists(st.integers(10, 10**7), min_size=1, max_size=3), min_size=1, max_size=8))
def test_iterations_are_spread_evenly_and_sum_exactly(groups: list[list[int]]) -> None:
    order = [[f"{stage}-{index}" for index in range(len(group))] for stage, group in enumerate(groups)]
    iterations = {f"{stage}-{index}": n for stage, group in enumerate(groups) for index, n in enumerate(group)}
    for method in (ContinualMultiTask, Sequential, Joint):
        found = method(order=order, iterations=iterations).counts()
        assert {task: sum(stage.get(task, 0) for stage in found) for task in iterations} == iterations
    found = ContinualMultiTask(order=order, iterations=iterations).counts()
    for first, group in enumerate(order):
        for task in group:
            counts = [stage.get(task, 0) for stage in found]
            assert not any(counts[:first]) and max(counts[first:]) - min(counts[first:]) <= 1


@given(st.floats(0.01, 0.9), st.lists(st.integers(100, 10**6), min_size=2, max_size=5))
def test_replay_is_the_share_of_the_rows_that_was_asked_for(replay: float, counts: list[int]) -> None:
    order, iterations = [[str(index)] for index in range(len(counts))], {str(i): n for i, n in enumerate(counts)}
    try:
        found = Sequential(order=order, iterations=iterations, replay=replay).counts()
    except ValueError as error:
        assert "none of them for" in str(error)
        return
    for index, stage in enumerate(found[1:], 1):
        old = sum(count for task, count in stage.items() if task != str(index))
        assert stage[str(index)] == counts[index] and abs(old - replay * sum(stage.values())) <= 1


def test_what_a_schedule_makes_is_recorded_shown_and_decodes_to_the_same(tiny_run: Path) -> None:
    run = run_of(tiny_run, f"{{kind: continual_multi_task, {SHORT}, {COUNTS}}}")
    again = decode(Run, Source(plain(run), {}))
    assert again == run and plain(again)["stages"][1]["steps"] == 6
    explicit = decode(Run, Source({**plain(run), "schedule": None}, {}))
    assert explicit.stages == run.stages
    overrides = ["stages=[]", f"schedule={{kind: joint, {SHORT}, {COUNTS}}}"]
    lines = list(resolved_lines(tiny_run, overrides))
    assert any("name: joint" in line and line.endswith("# schedule") for line in lines)


BODY = f"kind: continual_multi_task, {COUNTS}, "


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            f"{{kind: continual_multi_tusk, {SHORT}, {COUNTS}}}",
            "schedule.kind: unknown kind 'continual_multi_tusk'; did you mean `continual_multi_task`?; one of "
            "continual_multi_task, joint, sequential",
        ),
        (
            f"{{{BODY} order: [[knowledge_masking, knowledge_masking], [sentence_reordering]]}}",
            "schedule.order: knowledge_masking is named 2 times (stages 1, 1); a task joins once",
        ),
        (
            f"{{{BODY} order: [[knowledge_masking], [sentence_reordering, knowledge_masking]]}}",
            "schedule.order: knowledge_masking is named 2 times (stages 1, 2)",
        ),
        (f"{{{BODY} order: [[knowledge_masking], [], [sentence_reordering]]}}", "schedule.order: stage 2 is empty"),
        (f"{{{BODY} order: []}}", "schedule.order: name the tasks of at least one stage"),
        (
            f"{{{BODY} order: [[knowledge_masking], [sentence_reordering], [sentence_distance]]}}",
            "schedule: order names 'sentence_distance', which is not in tasks (knowledge_masking, span_boundary, "
            "sentence_reordering)",
        ),
        (
            f"{{{BODY} order: [[knowledge_masking]]}}",
            "schedule.iterations: 'sentence_reordering' is in no stage of order (knowledge_masking)",
        ),
        (
            f"{{kind: joint, {SHORT}, iterations: {{knowledge_masking: 5}}}}",
            "schedule: iterations lacks sentence_reordering, which builds rows; give it a number",
        ),
        (
            f"{{kind: joint, {SHORT}, iterations: {{knowledge_masking: 5, sentence_reordering: 5, span_boundary: 2}}}}",
            "schedule: iterations gives span_boundary 2, but it builds no rows: it rides on those of others",
        ),
        (
            f"{{kind: joint, {SHORT}, iterations: {{knowledge_masking: 5, sentence_reordering: 0}}}}",
            "stages: joint gives sentence_reordering no rows; leave it out",
        ),
        (
            f"{{kind: sequential, order: [[knowledge_masking], [span_boundary], [sentence_reordering]], {COUNTS}}}",
            "schedule: stage 2 has no rows: span_boundary only rides on those of others",
        ),
        (
            f"{{{BODY}{SHORT}, spread: {{knowledge_masking: [3, 3]}}}}",
            "schedule.spread: knowledge_masking: 3 + 3 = 6, but iterations gives it 5",
        ),
        (
            f"{{{BODY}{SHORT}, spread: {{knowledge_masking: [2, 2, 1]}}}}",
            "schedule.spread: knowledge_masking has 3 numbers, but from stage 1 on, where it joins, there are 2 stages",
        ),
        (
            f"{{{BODY}{SHORT}, spread: {{sentence_reordering: [2, 2]}}}}",
            "sentence_reordering has 2 numbers, but from stage 2 on, where it joins, there are 1 stages",
        ),
        (f"{{{BODY}{SHORT}, spread: {{knowledge_masking: [0, 5]}}}}", "and the first must be at least 1"),
        (f"{{{BODY}{SHORT}, spread: {{knowledge_masking: [6, -1]}}}}", "must not be negative"),
        (f"{{{BODY}{SHORT}, spread: {{elsewhere: [5]}}}}", "schedule.spread: 'elsewhere' is in no stage of order"),
        (f"{{{BODY}{SHORT}, spread: {{span_boundary: [1, 1]}}}}", "span_boundary has no iterations to be spread"),
        (
            f"{{kind: continual_multi_task, {SHORT}, iterations: {{knowledge_masking: 1, sentence_reordering: 4}}}}",
            "schedule: iterations: knowledge_masking has 1 for 2 stages; give it one for each, or a spread",
        ),
        (f"{{{BODY}{SHORT}, names: [one]}}", "schedule: names has 1 entries, there are 2 stages"),
        (f"{{{BODY}{SHORT}, names: [one, one]}}", "stages: the names one, one must differ"),
        (f"{{kind: sequential, {SHORT}, {COUNTS}, replay: 1}}", "replay: 1 must be at least 0 and below 1"),
        (
            f"{{kind: sequential, {SHORT}, {COUNTS}, replay: 0.05}}",
            "replay: 0.05 of stage 2 is 0 iterations, none of them for knowledge_masking; raise it",
        ),
        (
            f"{{kind: joint, {SHORT}, iterations: {{knowledge_masking: 5, knowledge_masking: 6}}}}",
            'found duplicate key "knowledge_masking"',
        ),
        (f"{{kind: joint, {SHORT}, {COUNTS}, spread: {{}}}}", "schedule.spread: unknown key"),
    ],
)
def test_schedules_that_cannot_be_are_refused_before_anything_is_read(
    tiny_run: Path, schedule: str, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        run_of(tiny_run, schedule)
    assert message in str(caught.value)


def test_a_task_named_twice_in_a_stage_of_a_file_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("stages:\n  - name: a\n    tasks:\n      knowledge_masking: 1\n      knowledge_masking: 2\n")
    with pytest.raises(ValueError, match=r'run\.yaml:5: found duplicate key "knowledge_masking"'):
        load(file, [])


def test_stages_beside_a_schedule_are_refused_unless_they_are_what_it_makes(tiny_run: Path) -> None:
    with pytest.raises(ValueError, match="schedule: it makes the stages; leave `stages` out"):
        decode(Run, load(tiny_run, [f"schedule={{kind: joint, {SHORT}, {COUNTS}}}"]))
    with pytest.raises(ValueError, match="give at least one of each"):
        decode(Run, load(tiny_run, ["stages=[]"]))


def state_of(run: Run, *steps: int) -> State:
    done = [{"name": stage.name, "steps": count, "tasks": {}} for stage, count in zip(run.stages, steps, strict=False)]
    learned = list(dict.fromkeys(task for stage in run.stages[: len(steps)] for task in stage.tasks))
    return State(
        step=sum(steps),
        stage=len(steps) - 1,
        cursors={},
        shares={},
        done=done,
        learned=learned,
        fingerprints={},
        config=plain(run),
        encoder={},
        seen={"tokens": 0.0, "seconds": 0.0, "skipped": 0.0, "pooled": 0.0},
    )


def test_stages_not_begun_may_change_through_the_schedule_and_others_may_not(tiny_run: Path) -> None:
    before = run_of(tiny_run, f"{{kind: continual_multi_task, {SHORT}, {COUNTS}}}")
    state = state_of(before, 2)
    counts = "iterations: {knowledge_masking: 5, sentence_reordering: 40}"
    later = run_of(tiny_run, f"{{kind: continual_multi_task, {SHORT}, {counts}}}")
    found = compare(state, later, plain(later), {})
    assert not found.refused and found.allowed == [
        "stages.1.steps: 6 -> 42",
        "stages.1.tasks.sentence_reordering.iterations: 4 -> 40",
    ]
    by_hand = decode(Run, Source({**plain(before), "schedule": None}, {}))
    assert not any(compare(state, by_hand, plain(by_hand), {}))
    ended = state_of(before, 3, 1)
    moved = run_of(
        tiny_run, f"{{kind: continual_multi_task, {SHORT}, {COUNTS}, spread: {{knowledge_masking: [1, 4]}}}}"
    )
    assert "stages.0.steps: 3 -> 1 (this stage has ended)" in compare(ended, moved, plain(moved), {}).refused
    kept = run_of(tiny_run, f"{{kind: continual_multi_task, {SHORT}, {counts}, spread: {{knowledge_masking: [3, 2]}}}}")
    assert not compare(ended, kept, plain(kept), {}).refused


def test_a_task_table_that_disagrees_with_the_checkpoint_is_refused_with_both_tables(tiny_run: Path) -> None:
    run = decode(Run, load(tiny_run, []))
    state, now = state_of(run, 4, 2), plain(run)
    boundary = now["tasks"].pop("span_boundary")
    now["tasks"] = {**now["tasks"], "spans": boundary, "more": {"kind": "token_order"}}
    told = "\n".join(compare(state, run, now, {}).refused)
    lines = [" ".join(line.split()) for line in told.splitlines()]
    table = lines[lines.index("checkpoint configuration") :]
    assert table[1:5] == [
        "1 knowledge_masking = knowledge_masking",
        "2 span_boundary ≠ sentence_reordering",
        "3 sentence_reordering ≠ spans (span_boundary)",
        "4 - + more (token_order)",
    ]
    assert table[5].startswith("knowledge_masking, span_boundary, sentence_reordering were learned")


@pytest.mark.parametrize("method", ["continual_multi_task", "sequential", "joint"])
def test_the_shipped_methods_train_the_same_iterations_of_the_same_tasks(method: str) -> None:
    run = decode(Run, load(ROOT / f"configs/pretrain/{method}.yaml", []))
    rows: dict[str, float] = {}
    for stage in run.stages:
        for task, count in run.rows_of(stage).items():
            rows[task] = rows.get(task, 0) + count / run.batch.rows_per_step
    assert rows == {"knowledge_masking": 50_000, "sentence_reordering": 50_000}
    assert sum(stage.steps for stage in run.stages) == 100_000
