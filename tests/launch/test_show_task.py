"""`kmask show task`: what a reader sees of a task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import Result, command

from launch.views.task import newest_evaluation, runs


@pytest.fixture
def run_kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    return command(monkeypatch, capsys)


def test_it_draws_classes_leaks_and_what_the_run_reached(
    run_kmask: Callable[..., Result], tiny_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [
        {"event": "evaluation", "step": 4, "accuracy/sentence_reordering": 0.25, "majority/sentence_reordering": 0.2},
        {"event": "evaluation", "step": 8, "accuracy/sentence_reordering": 0.75, "majority/sentence_reordering": 0.5},
        {"event": "train", "step": 9, "accuracy/sentence_reordering": 0.9},
    ]
    metrics = folder / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"event": "evalu', encoding="utf-8")
    code, out, _ = run_kmask("show", "task", "sentence_reordering", tiny_run, "--samples", "200")
    assert code == 0
    assert "9 classes" in out and "task id 1" in out and "trains the pooler" in out
    assert "class 2 2-1" in out and "[SEP]" in out
    assert "without reading" in out and "most frequent class" in out
    assert "step 8: held-out accuracy 75.0%, most frequent class 50.0%" in out


def test_a_task_without_classes_is_drawn_without_baselines(run_kmask: Callable[..., Result], tiny_run: Path) -> None:
    code, out, _ = run_kmask("show", "task", "knowledge_masking", tiny_run, "--samples", "50")
    assert code == 0 and "without reading" not in out and "no evaluation of it yet" in out and "[CLS]" in out


def test_an_unknown_task_is_refused_with_those_that_there_are(run_kmask: Callable[..., Result], tiny_run: Path) -> None:
    code, _, err = run_kmask("show", "task", "reordering", tiny_run)
    assert code == 2 and "knowledge_masking, span_boundary, sentence_reordering" in err


def test_only_whole_lines_that_measured_the_task_count(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    assert newest_evaluation(file, "x") is None
    file.write_text(
        '{"event": "evaluation", "accuracy/x": 0.5, "step": 1}\n{"event": "evaluation", "accuracy/x": null}\n'
    )
    found = newest_evaluation(file, "x")
    assert found is not None and found["step"] == 1


@pytest.mark.parametrize(("values", "told"), [([0, 0, 1], "0 x 2, 1 x 1"), ([], "")])
def test_runs_of_equal_values(values: list[int], told: str) -> None:
    assert runs(values) == told
