"""The best checkpoint: the lowest domain loss among those that have not forgotten more than is allowed; kept whatever
happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_beginning import Killed, Runs, equal

from launch.outcomes.saved_runs import chosen_step
from launch.reports.run.facts import read_run
from pretrain.best import best_step, judged
from pretrain.processes.world import World
from pretrain.run_parts import Best
from pretrain.state.checkpoint import Snapshot, State, load
from pretrain.state.store import Store

LOSS, CONTROL = "loss/knowledge_masking", "loss/control/knowledge_masking"
BEST = Best(control=CONTROL, tolerance=0.1)
SETTINGS = (
    "stages=[{name: one, steps: 4, tasks: {knowledge_masking: 1}}, {name: two, steps: 3, tasks: {knowledge_masking: 1}}]",
    "tasks={knowledge_masking: {kind: knowledge_masking}}",
    "batch.rows_per_process=4",
    "evaluation={every: 1, rows: 2, control: [news]}",
    "optimization={lr: 0.02, warmup: 1}",
    "engine.zero_stage=0",
)


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, world: World) -> Runs:
    return Runs(tiny_run, tmp_path, world)


def settings(prepared: Path, tolerance: float) -> tuple[str, ...]:
    data = f"data=[{{path: {prepared}, name: law}}, {{path: {prepared}, name: news, weight: 0}}]"
    best = f"checkpoints={{every: 3, keep: 1, best: {{figure: {LOSS}, control: {CONTROL}, tolerance: {tolerance}}}}}"
    return (*SETTINGS, data, best)


def test_the_lowest_loss_counts_whose_control_has_not_risen_too_far() -> None:
    best: dict[str, Any] = {}
    seen = []
    for step, loss, control in ((0, 2.9, 1.7), (1, 2.4, 1.7), (2, 2.2, 1.75), (3, 2.1, 1.8), (4, 2.0, 1.9)):
        best, better = judged(best, BEST, step, {LOSS: loss, CONTROL: control}, candidate=step > 0)
        seen.append(better)
    assert seen == [False, True, True, True, False]
    assert (best["step"], best["value"], best["control_value"], best["begin"]) == (3, 2.1, 1.8, 1.7)
    for values in ({LOSS: float("nan"), CONTROL: 1.0}, {LOSS: 1.0, CONTROL: float("nan")}, {LOSS: 1.0}, {CONTROL: 1.0},
                   {LOSS: 2.1, CONTROL: 1.0}):  # fmt: skip
        assert judged(best, BEST, 9, values) == (best, False)
    other = Best(figure="loss/knowledge_masking/entity")
    assert judged(best, other, 9, {"loss/knowledge_masking/entity": 7.0})[1]  # another question begins anew


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"figure": "accuracy/x"}, r"figure: 'accuracy/x' is not the name of a loss"),
        ({"tolerance": -1}, r"tolerance: -1 must be 0 or more"),
        ({"control": LOSS}, "is the figure itself"),
    ],
)
def test_a_figure_that_is_no_loss_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Best(**changes)


def test_figures_that_nothing_measures_are_refused(runs: Runs) -> None:
    for given, told in (
        ("checkpoints.best={figure: loss/order}", r"checkpoints\.best\.figure: 'order' is not among the tasks"),
        (f"checkpoints.best={{control: {CONTROL}}}", r"checkpoints\.best\.control: .* needs a control set"),
    ):
        with pytest.raises(ValueError, match=told):
            runs.decoded("run", given)
    with pytest.raises(ValueError, match=r"checkpoints\.best: nothing is measured; set evaluation\.every"):
        runs.decoded("run", "checkpoints.best={}", "evaluation.every=0")


def measured(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "evaluation"]


def by_hand(folder: Path, tolerance: float) -> int:
    """The step of the best, from metrics.jsonl alone."""
    lines = measured(folder)
    good = [line for line in lines if line["step"] and line[CONTROL] <= lines[0][CONTROL] + tolerance]
    return int(min(good, key=lambda line: (line[LOSS], line["step"]))["step"])


def test_the_best_is_kept_over_kills_and_taken_by_eval_and_export(
    runs: Runs, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = settings(prepared, 100.0)
    runs.train("whole", *usual)
    folder = runs.folder / "whole"
    best = by_hand(folder, 100.0)
    losses = [line[LOSS] for line in measured(folder)]
    assert 0 < best < 7 and min(losses) < losses[0], losses  # a rate that is too high: the end is not the best
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == [f"step-{best:08d}", "step-00000007"]
    assert best_step(folder, print) == chosen_step(folder, [], None, True) == best
    facts = read_run(folder)
    assert facts.best()[0].startswith(f"best: step {best}, {LOSS} ") and facts.plain()["best"]["step"] == best
    with pytest.raises(ValueError, match="--best and --step 3: give one"):
        chosen_step(folder, [], 3, True)
    wanted = load(folder / f"checkpoints/step-{best:08d}")
    assert wanted.state.best == runs.found("whole").state.best
    for name, at in (("measured", ("evaluation", best)), ("later", ("train", best + 1))):
        with pytest.raises(Killed):
            runs.train(name, *usual, kill=lambda event, step, at=at: (event, step) == at)  # type: ignore[misc]
        runs.train(name, *usual)
        assert best_step(runs.folder / name, print) == best
        kept = load(runs.folder / name / f"checkpoints/step-{best:08d}")
        assert equal(kept.tensors(), wanted.tensors()) and equal(runs.tensors(name), runs.tensors("whole"))
        assert runs.found(name).state.best == runs.found("whole").state.best
    save = Store.save

    def full(store: Store, snapshot: Snapshot) -> Path:
        if snapshot.state.step == best:
            raise OSError(28, "No space left on device")
        return save(store, snapshot)

    monkeypatch.setattr(Store, "save", full)
    runs.train("full", *usual)
    other = best_step(runs.folder / "full", print)
    assert other != best and (runs.folder / f"full/checkpoints/step-{other:08d}").exists()


def test_without_a_checkpoint_that_forgets_little_there_is_no_best(runs: Runs, prepared: Path) -> None:
    usual = settings(prepared, 0.0)
    runs.train("run", *usual, "optimization.lr=3", "optimization.clip=0")
    assert min(line[CONTROL] for line in measured(runs.folder / "run")[1:]) > measured(runs.folder / "run")[0][CONTROL]
    with pytest.raises(ValueError, match=f"no checkpoint is the best yet: .* raised {CONTROL} too far above"):
        best_step(runs.folder / "run", print)
    assert read_run(runs.folder / "run").best() == ["best: no checkpoint that is good enough yet"]


def snapshot(step: int, best: int) -> Snapshot:
    state = State(
        step=step, stage=0, cursors={}, shares={}, done=[], learned=[], fingerprints={}, config={}, encoder={}, seen={},
        best={"figure": LOSS, "step": best, "value": 1.0} if best else {},
    )  # fmt: skip
    return Snapshot(state=state, tensors={"w": torch.zeros(1), "w#step": torch.tensor(1)})


def test_the_best_stays_until_a_better_one_is_written_and_one_that_is_gone_is_looked_for_anew(tmp_path: Path) -> None:
    told: list[str] = []
    store = Store(tmp_path, 1, told.append)
    there = []
    for step, best in ((1, 1), (2, 1), (3, 1), (4, 4), (5, 4)):
        store.save(snapshot(step, best))
        there.append([int(path.name[-8:]) for path in sorted(tmp_path.iterdir())])
    assert there == [[1], [1, 2], [1, 3], [4], [4, 5]]
    for file in (tmp_path / "step-00000004").iterdir():
        file.unlink()
    (tmp_path / "step-00000004").rmdir()
    found = store.latest()
    assert found is not None and found.state.best == {"figure": LOSS}
    assert "that of step 4, is not there any more" in told[0]
