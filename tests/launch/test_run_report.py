"""`kmask report`: what it reads of metrics.jsonl, what it makes of it, and that it can be read wherever it is shown."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from in_process import Result, command
from saved_run import TASKS, save_run

from launch.reports.run.curves import BUCKETS, Curves
from launch.reports.run.facts import RunFacts, read_run
from launch.reports.run.history import read_history
from launch.reports.run.page import comparison_page, run_page
from launch.reports.run.retention import matrix
from launch.reports.run.run_folders import labels
from launch.reports.run.terminal import comparison_lines, run_lines
from launch.views.curve_plots import Frame, Series, curve_plot, ticks
from launch.views.grid import Column, cell_len, cut, grid, wrapped
from launch.views.sparklines import Axis, sparkline
from launch.views.words import Word
from pretrain.processes.lock import held
from pretrain.tracking import Tracker, Tracking

Kmask = Callable[..., Result]
Record = dict[str, Any]

STAGES: dict[str, Sequence[str]] = {"one": ["words"], "two": ["words", "order"], "three": ["order", "pairs"]}
"""Stages of the toy run and their tasks; each takes 100 steps."""
HELD: dict[str, dict[str, float]] = {
    "start": {"words": 0.0},
    "one": {"words": 0.40},
    "two": {"words": 0.50, "order": 0.60},
    "three": {"words": 0.30, "order": 0.55, "pairs": 0.20},
}
"""Held-out accuracy at the end of each stage."""
MAJORITY = {"order": 0.5, "pairs": 0.25}


def train_line(step: int, stage: str, **more: Any) -> Record:
    values = {f"loss/{task}": 5.0 - step / 100 for task in STAGES[stage]}
    machine = {"tokens_per_second": 1000.0 + step, "loader_wait": 0.01, "lr": 1e-4, "grad_norm": 1.0}
    totals = {"tokens": 100.0 * step, "seconds": 1.0 * step}
    return {
        "event": "train",
        "step": step,
        "time": 1000.0 + step,
        "stage": stage,
        **values,
        **machine,
        **totals,
        **more,
    }


def evaluation_line(step: int, stage: str, accuracies: Mapping[str, float]) -> Record:
    values: dict[str, float] = {}
    for task, accuracy in accuracies.items():
        values |= {f"loss/{task}": 5 - 5 * accuracy, f"accuracy/{task}": accuracy, f"targets/{task}": 100.0}
        values |= {f"majority/{task}": MAJORITY[task]} if task in MAJORITY else {}
    return {"event": "evaluation", "step": step, "time": 1000.0 + step, "stage": stage, **values}


def toy_lines() -> list[Record]:
    """A whole run of three stages, a line every ten steps; new tasks are measured untrained at the begin of a stage."""
    lines = [evaluation_line(0, "one", HELD["start"])]
    for number, stage in enumerate(STAGES):
        if number:
            before = list(HELD)[number]
            lines.append(evaluation_line(100 * number, stage, {**HELD[before], STAGES[stage][-1]: 0.01}))
        lines += [train_line(100 * number + step, stage) for step in range(10, 101, 10)]
        lines.append(evaluation_line(100 * number + 100, stage, HELD[stage]))
    return lines


def write_lines(folder: Path, lines: Iterable[Record | str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines]
    (folder / "metrics.jsonl").write_text("".join(texts), encoding="utf-8")
    return folder


def write_state(folder: Path, step: int = 300, steps: int = 100, **more: Any) -> Path:
    stages = [{"name": name, "steps": steps, "tasks": dict.fromkeys(tasks, 1.0)} for name, tasks in STAGES.items()]
    checkpoint = folder / f"checkpoints/step-{step:08d}"
    checkpoint.mkdir(parents=True)
    state = {"step": step, "learned": ["words", "order", "pairs"], "config": {"stages": stages}, **more}
    (checkpoint / "state.json").write_text(json.dumps(state), encoding="utf-8")
    return folder


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The folder of the toy run, ended."""
    return write_state(write_lines(tmp_path / "toy", toy_lines()))


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kmask:
    """Run `kmask <arguments>` in this process."""
    return command(monkeypatch, capsys)


def text_of(lines: Iterable[Sequence[Word]]) -> list[str]:
    return ["".join(word.text for word in line) for line in lines]


def cells_of(facts: RunFacts, figure: str = "accuracy") -> dict[str, list[float | None]]:
    return {row.name: list(row.cells) for row in facts.matrices[figure].rows}


def test_the_matrix_holds_every_task_at_every_stage_end_and_is_empty_before_it_was_learned(toy: Path) -> None:
    facts = read_run(toy)
    found = facts.matrices["accuracy"]
    assert [column.title for column in found.columns] == ["start", "one", "two", "three"]
    assert [column.step for column in found.columns] == [0, 100, 200, 300]
    assert cells_of(facts) == {
        "words": [0.0, 0.4, 0.5, 0.3],
        "order": [None, None, 0.6, 0.55],
        "pairs": [None, None, None, 0.2],
    }
    assert cells_of(facts, "loss")["words"] == pytest.approx([5.0, 3.0, 2.5, 3.5])
    assert [row.majority for row in found.rows] == [None, 0.5, 0.25]


def test_forgotten_is_the_best_stage_end_less_the_last_and_its_mean_leaves_out_what_was_just_learned(toy: Path) -> None:
    found = read_run(toy).matrices
    assert [row.forgotten for row in found["accuracy"].rows] == [pytest.approx(0.2), pytest.approx(0.05), None]
    assert found["accuracy"].mean_forgotten == pytest.approx(0.125)
    assert [row.best for row in found["accuracy"].rows] == [0.5, 0.6, 0.2]
    assert found["loss"].rows[0].forgotten == pytest.approx(1.0) and found["loss"].rows[0].best == pytest.approx(2.5)


def test_a_start_that_was_better_than_any_stage_end_counts_only_for_tasks_learned_before_the_run(
    tmp_path: Path,
) -> None:
    lines = [evaluation_line(0, "one", {"words": 0.9, "old": 0.8}), train_line(100, "one")]
    lines.append(evaluation_line(100, "one", {"words": 0.4, "old": 0.7}))
    fresh = read_run(write_state(write_lines(tmp_path / "fresh", lines)))
    rows = {row.name: row for row in fresh.matrices["accuracy"].rows}
    assert rows["words"].forgotten is None and rows["old"].forgotten == pytest.approx(0.1)
    source = {"kind": "run", "learned": ["words"]}
    continued = read_run(write_state(write_lines(tmp_path / "continued", lines), source=source))
    assert continued.matrices["accuracy"].rows[0].forgotten == pytest.approx(0.5)


def test_a_stage_that_has_not_ended_shows_its_newest_evaluation_as_such(tmp_path: Path) -> None:
    lines = [*toy_lines()[:18], evaluation_line(150, "two", {"words": 0.45, "order": 0.3}), train_line(160, "two")]
    facts = read_run(write_state(write_lines(tmp_path / "run", lines), step=100))
    assert [column.title for column in facts.matrices["accuracy"].columns][-1] == "two (now)"
    assert not facts.finished and facts.ending().startswith("stopped at step 160 of 300")


def test_a_task_whose_accuracy_says_nothing_is_shown_by_its_loss(tmp_path: Path) -> None:
    lines = [evaluation_line(step, "one", {"words": 0.0}) for step in (0, 100)]
    facts = read_run(write_lines(tmp_path / "run", [lines[0], train_line(100, "one"), lines[1]]))
    assert not facts.matrices["accuracy"].rows and [row.name for row in facts.matrices["loss"].rows] == ["words"]


def test_figures_under_own_masks_and_of_kinds_of_units_have_rows_of_their_own(tmp_path: Path) -> None:
    more = {"loss/words/own_masks": 2.0, "loss/words/entity": 3.0, "loss/words/entity/own_masks": 4.0}
    more |= {"loss/control/words": 5.0, "loss/control/words/entity": 6.0}
    lines = [train_line(10, "one"), {**evaluation_line(10, "one", {"words": 0.1}), **more}]
    facts = read_run(write_lines(tmp_path / "run", lines))
    assert list(cells_of(facts, "loss")) == ["words", "words/own_masks", "control/words"]
    assert facts.history.groups["words"] == ["entity"] and facts.history.tasks == ["words"]
    assert matrix(facts.history, facts.plan, "loss", ["words/entity"]).rows[0].last == 3.0
    assert "entity" in "".join(text_of(run_lines(facts, 100)))


def test_curves_are_reduced_to_buckets_that_keep_mean_lowest_highest_and_last() -> None:
    count = 50_000
    curves = Curves(count)
    for step in range(1, count + 1):
        value = {30_000: 99.0, 30_001: math.nan}.get(step, float(step % 2))
        curves.add(
            {"step": step, "event": "train", "loss/a": value, "targets/a": 1.0, **({"lr": 1} if step % 3 else {})}
        )
    found = curves.close()
    curve = found["loss/a"]
    assert set(found) == {"loss/a", "lr"} and len(curve.step_B) == BUCKETS
    assert curve.highest == 99.0 and curve.lowest == 0.0 and curve.last == 0.0
    place = int(abs(curve.step_B - 30_000).argmin())
    assert curve.high_B[place] == 99.0 and 0.5 < curve.mean_B[place] < 3
    assert curve.mean_B[10] == pytest.approx(0.5, abs=0.02)
    assert (curve.low_B <= curve.mean_B).all() and (curve.mean_B <= curve.high_B).all()


def test_figures_that_are_no_numbers_are_absent(tmp_path: Path) -> None:
    odd = train_line(20, "one") | {"loss/words": "many", "lr": None, "grad_norm": 10**400, "loader_wait": True}
    text = json.dumps(train_line(30, "one") | {"loss/words": math.nan, "grad_norm": math.inf}) + "\n"
    history = read_history(write_lines(tmp_path, [train_line(10, "one"), odd, text]) / "metrics.jsonl")
    assert history.lines.bad == 0 and history.step == 30
    assert [len(history.train[name].step_B) for name in ("loss/words", "lr", "grad_norm", "loader_wait")] == [
        1,
        2,
        1,
        2,
    ]


def test_lines_that_are_no_events_are_counted_and_named_and_half_a_last_line_is_no_fault(
    kmask: Kmask, tmp_path: Path
) -> None:
    bad = ["rubbish\n", "[1]\n", '{"event": "train", "step": -1}\n', '{"event": "train"}\n', "\n", "\xff\x00\n", "{\n"]
    unknown: list[Record | str] = [{"event": "tea", "step": 15, "loss/x": 1.0}]
    lines = [train_line(10, "one"), *bad, *unknown, train_line(20, "one"), '{"event": "train", "ste']
    folder = write_lines(tmp_path / "run", lines)
    history = read_history(folder / "metrics.jsonl")
    assert history.lines.bad == 6 and history.lines.unfinished and history.step == 20 and history.tasks == ["words"]
    assert history.lines.told[0] == "line 2: is not JSON" and "line 4: its step -1" in history.lines.told[2]
    done = kmask("report", folder)
    assert done.code == 0 and "6 lines of" in done.out and "and 1 more" in " ".join(done.out.split())


def test_steps_that_were_done_again_count_once_and_the_later_lines_win(tmp_path: Path) -> None:
    first = [train_line(step, "one", **{"loss/words": 9.0}) for step in (10, 20, 30, 40)]
    again = [train_line(step, "one", **{"loss/words": 1.0}) for step in (30, 40, 50)]
    stale: Record = {"event": "skipped", "step": 35, "stage": "one", "reason": "stale"}
    lines = [*first[:3], stale, first[3], *again, *[train_line(50, "one", **{"loss/words": 2.0})]]
    history = read_history(write_lines(tmp_path, lines) / "metrics.jsonl")
    assert history.lines.repeated_lines == 4 and not history.counts
    assert history.train["loss/words"].mean_B.tolist() == [9.0, 9.0, 1.0, 1.0, 2.0]
    assert history.train["loss/words"].step_B.tolist() == [10, 20, 30, 40, 50]


def test_a_run_that_was_continued_after_a_pause_is_marked_and_a_long_evaluation_is_not(tmp_path: Path) -> None:
    lines = [train_line(step, "one", time=1000.0 + step) for step in (10, 20)]
    lines.append(evaluation_line(20, "one", {"words": 0.1}) | {"time": 1500.0})
    lines += [train_line(step, "one", time=1500.0 + step - 20) for step in (30, 40)]
    history = read_history(write_lines(tmp_path / "measured", lines) / "metrics.jsonl")
    assert "resume" not in history.marks
    lines += [train_line(step, "one", time=9000.0 + step) for step in (50, 60)]
    history = read_history(write_lines(tmp_path / "paused", lines) / "metrics.jsonl")
    assert [mark.step for mark in history.marks["resume"]] == [40] and "2:0" in history.marks["resume"][0].text


def test_skipped_steps_spikes_and_rollbacks_are_counted_and_marked(toy: Path) -> None:
    more = [{"event": "skipped", "step": 300, "stage": "three", "reason": "nan", "in_a_row": 1} for _ in range(3)]
    more += [{"event": "spike", "step": 300, "stage": "three"}, {"event": "rollback", "step": 300, "from": 310}]
    write_lines(toy, [*toy_lines(), *more])
    facts = read_run(toy)
    assert facts.events() == "3 skipped steps, 1 spike, 1 rollback"
    page, lines = run_page(facts), text_of(run_lines(facts, 80))
    assert "m-skipped" in page and "step 300: skipped step, 3 times near here: nan" in page
    assert any(line.strip().startswith("R rollback") and line.rstrip().endswith("1") for line in lines)


def test_planned_and_realised_rows_stand_side_by_side(toy: Path) -> None:
    counts = {"planned_rows/words": 400, "rows/words": 398, "epochs/zh/words": 1.5, "iterations/words": 99.5}
    write_lines(
        toy, [*toy_lines()[:12], {"event": "stage_end", "step": 100, "stage": "one", **counts}, *toy_lines()[12:]]
    )
    lines = text_of(run_lines(read_run(toy), 100))
    row = next(line for line in lines[lines.index("stages: steps, and rows of every task") :] if "words" in line)
    assert row.split() == ["words", "share", "1", "400", "398", "1.500", "99.5%"]
    end = {"event": "run_end", "step": 300, "planned_rows/words": 400, "rows/words": 400}
    write_lines(toy, [*toy_lines(), end])
    assert [stage.name for stage in read_run(toy).history.stages] == list(STAGES)


@pytest.mark.parametrize("width", [80, 120])
def test_every_line_fits_into_the_terminal(toy: Path, width: int) -> None:
    long = [json.loads(json.dumps(line).replace('words"', '一个名字很长的任务和它的单位" ')) for line in toy_lines()]
    other = read_run(write_state(write_lines(toy.parent / ("very-" * 20 + "long"), long)))
    facts = read_run(toy)
    for lines in (run_lines(facts, width), run_lines(other, width), comparison_lines([facts, other, facts], width)):
        texts = [text for text in text_of(lines) if "kmask " not in text]  # commands are copied as they are
        assert max(map(cell_len, texts)) <= width, max(texts, key=cell_len)
        assert any("forgot" in text for text in texts)


def test_a_report_without_colours_holds_no_escapes_and_marks_what_is_below_the_majority(
    kmask: Kmask, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    done = kmask("report", toy)
    assert done.code == 0 and not done.err and "\x1b" not in done.out
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line.startswith("  ")}
    assert "finished" in done.out and f"kmask export {toy} {toy}-model" in done.out
    assert re.search(r"pairs +0.250 +· +· +· +!0.200 +·", done.out), rows
    assert re.search(r"order +0.500 +· +· +0.600 +0.550 +0.050", done.out)
    assert "words: forgot 0.200 of an accuracy of 0.500" in done.out


def test_json_is_all_of_stdout_and_holds_the_figures(kmask: Kmask, toy: Path, tmp_path: Path) -> None:
    done = kmask("report", toy, toy, "--json", "--html", tmp_path / "page.html")
    assert done.code == 0 and done.err == f"written to {tmp_path / 'page.html'}\n"
    found = json.loads(done.out)["runs"]
    assert len(found) == 2 and found[0]["finished"] and found[0]["tokens"] == 30000.0
    assert found[0]["retention"]["accuracy"]["mean_forgotten"] == pytest.approx(0.125)
    assert found[0]["heldout"]["accuracy/words"] == {"lowest": 0.0, "highest": 0.5, "last": 0.3}


def test_pages_fetch_nothing_and_escape_every_name(toy: Path) -> None:
    odd = json.loads(json.dumps(toy_lines()).replace("words", "<b>w").replace('"one"', '"<i>1"'))
    facts = read_run(write_lines(toy.parent / "<odd>", odd))
    for page in (run_page(facts), comparison_page([facts, read_run(toy)]), run_page(read_run(toy))):
        assert not re.search(r"<b>w|<i>1|<odd>", page)
        assert not re.search(r"url\(|@import|<script|http|nan\b|inf\b", page)
        assert page.count("<svg") == page.count("</svg>") > 0
    assert "&lt;b&gt;w" in run_page(facts)


def test_several_runs_stand_side_by_side_under_names_that_tell_them_apart(
    kmask: Kmask, toy: Path, tmp_path: Path
) -> None:
    other = write_lines(tmp_path / "b" / "toy", [line for line in toy_lines() if line["step"] <= 200])
    done = kmask("report", toy, other, "--html", tmp_path / "page.html")
    assert done.code == 0, done.err
    assert done.out.splitlines()[1].split()[1] == "b"
    row = next(line for line in done.out.splitlines() if line.startswith("  accuracy words"))
    assert row.split() == ["accuracy", "words", "0.300", "0.500"]
    assert "accuracy pairs" in done.out and 'class="over"' in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_task_with_classes_is_shown_by_its_accuracy_even_if_it_is_never_right(tmp_path: Path) -> None:
    lines = [train_line(100, "two"), evaluation_line(100, "two", {"words": 0.0, "order": 0.0})]
    facts = read_run(write_lines(tmp_path / "run", lines))
    assert list(cells_of(facts)) == ["order"] and "order: accuracy 0.000 is not above" in facts.warnings()[0]
    better = read_run(write_lines(tmp_path / "better", [lines[0], evaluation_line(100, "two", {"words": 0.5})]))
    texts = text_of(comparison_lines([facts, better], 80))
    row = next(text for text in texts[texts.index("held-out accuracy at the end of each stage") :] if "words" in text)
    assert row.split() == ["words", "·", "0.000", "·", "0.500", "·"]


def test_labels_are_the_parts_of_paths_that_tell_them_apart() -> None:
    assert labels([Path("/a/run"), Path("/b/run")]) == ["a", "b"]
    assert labels([Path("/a/1/run"), Path("/b/1/run"), Path("/b/2/run")]) == ["a/1", "b/1", "b/2"]
    assert labels([Path("/a/x"), Path("/a/y")]) == ["x", "y"]
    assert labels([Path("/a/x"), Path("/a/x")]) == ["/a/x (1)", "/a/x (2)"]


def test_a_run_that_is_trained_now_says_so_and_before_its_first_checkpoint_has_no_plan(
    toy: Path, tmp_path: Path
) -> None:
    with held(toy, 0.0, print):
        assert read_run(toy).ending().startswith("running (process ")
    young = write_lines(tmp_path / "young", toy_lines()[:5])
    (young / "checkpoints/step-00000010").mkdir(parents=True)
    (young / "checkpoints/step-00000010/state.json").write_text("{")
    facts = read_run(young)
    assert facts.total == 0 and "the plan is not known (step-00000010" in facts.ending() and run_page(facts)


def test_a_run_that_ended_without_finite_numbers_says_why(toy: Path) -> None:
    lines = toy_lines()[:20]
    lines.append(
        {"event": "skipped", "step": 195, "stage": "two", "reason": "the loss of order is nan", "in_a_row": 10}
    )
    ending = read_run(write_lines(toy, lines)).ending()
    assert "ended at step 195" in ending and "10 steps in a row" in ending and "the loss of order is nan" in ending


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "no such run folder or YAML"),
        ({}, "is no run folder"),
        ({"manifest.json": "{}"}, "kmask prepare report"),
        ({"training_manifest.json": "{}"}, "is an exported model"),
        ({"lock": ""}, "has written no metrics yet"),
        ({"metrics.jsonl": ""}, "holds no training or evaluation yet; wait"),
        ({"metrics.jsonl": "x\ny\n"}, "(2 lines that are no events: line 1: is not JSON; line 2"),
        ({"metrics.jsonl": '{"event": "skipped", "step": 1}\n'}, "holds no training or evaluation yet"),
    ],
)
def test_what_is_no_run_is_refused_in_one_sentence(
    kmask: Kmask, tmp_path: Path, files: dict[str, str] | None, message: str
) -> None:
    folder = tmp_path / "run"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    done = kmask("report", folder)
    assert done.code == 2 and message in done.err and not done.out and len(done.err.splitlines()) == 1


def test_a_file_that_is_no_yaml_and_a_single_checkpoint_are_refused(kmask: Kmask, toy: Path) -> None:
    assert "give the folder of a run" in kmask("report", toy / "metrics.jsonl").err
    assert "give the run folder above it" in kmask("report", toy / "checkpoints/step-00000300").err
    assert kmask("report").code == 2


def test_the_folder_and_the_yaml_of_a_run_with_real_figures_and_checkpoints(kmask: Kmask, tiny_run: Path) -> None:
    folder = save_run(tiny_run, steps=(4, 6))
    values = json.loads(kmask("eval", folder, "--json").out)["values"]
    tracker = Tracker(Tracking(sinks=[]), folder, {}, {}, print)
    tracker.log("evaluation", 0, {"stage": "one", **values})
    tracker.log("train", 4, {"stage": "one", **values, "tokens": 9.0, "seconds": 2.0, "lr": 1e-3})
    tracker.log("evaluation", 4, {"stage": "one", **values})
    tracker.log("train", 6, {"stage": "two", **values, "tokens": 12.0, "seconds": 3.0, "lr": 1e-3})
    by_folder, by_yaml = kmask("report", folder, "--json"), kmask("report", tiny_run, "--json")
    assert by_folder.code == 0 and by_folder.out == by_yaml.out
    found = json.loads(by_folder.out)["runs"][0]
    assert found["tasks"] == TASKS and found["planned_steps"] == 8 and not found["finished"]
    assert [(stage["name"], stage["steps"]) for stage in found["stages"]] == [("one", 4), ("two", 2)]
    shown = kmask("report", folder)
    assert "stopped at step 6 of 8" in shown.out and "knowledge_masking" in shown.out and "entity" in shown.out


def test_a_table_that_is_too_wide_is_broken_into_blocks_and_groups_stay_together() -> None:
    columns = [Column(f"head{number}", [Word("0.123")], "a" if number < 3 else "b") for number in range(6)]
    texts = text_of(grid(["task"], columns, 40))
    assert sum(text.startswith("  task") for text in texts) == 2 and max(map(cell_len, texts)) <= 40
    assert texts[1].split() == ["head0", "head1", "head2"]
    assert wrapped("一二三四五 ab cdefghijklmn", 8, 1) == [
        " 一二三",
        "   四五",
        "   ab",
        "   cdefg",
        "   hijkl",
        "   mn",
    ]
    assert cut("一二三四", 5) == "一二…" and cut("abc", 3) == "abc"


def test_a_line_of_blocks_falls_with_its_values_and_shows_where_a_stage_ends() -> None:
    assert sparkline([0, 1, 2, 3], [3, 2, 1, 0], Axis(0, 4, 4, [2]), 0, 3) == "█▆│▃▁"
    assert sparkline([0, 3], [1, 0], Axis(0, 4, 5), 0, 1) == "███▁ "
    assert sparkline([], [], Axis(0, 4, 3), 0, 1) == "   " and sparkline([1], [2.0], Axis(0, 0, 3), 2, 2).strip() == "▄"


def test_plots_of_one_point_of_equal_values_and_of_negative_ones_can_be_drawn() -> None:
    for values in ([0.0], [5.0, 5.0], [-1.0, -2.0], [1e-30, 2e-30], [1e12, 1.0]):
        steps = [float(step) for step in range(len(values))]
        picture = curve_plot([Series("a", "c0", steps, values, values, values, True)], Frame(0, 0))
        assert "<svg" in picture and "nan" not in picture and "inf" not in picture
    assert curve_plot([], Frame(0, 1)) == "" and ticks(0, 9.3) == [0, 2.5, 5.0, 7.5]
