"""`kmask track`: metrics.jsonl of a run, replayed to a sink, once and again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import Result, command

Kmask = Callable[..., Result]


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kmask:
    return command(monkeypatch, capsys)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with the lines of a run of three steps, cut in the fourth."""
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [json.dumps({"event": "train", "step": step, "time": 1.0, "loss/a": step / 2}) for step in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + '\n{"event": "train", "st')
    return folder


def test_a_table_is_written_anew_each_time(kmask: Kmask, run: Path) -> None:
    for _ in range(2):
        done = kmask("track", run, "--to", "csv")
        assert done.code == 0 and "3 lines of" in done.out and "ends in half a line" in done.err
        assert (run / "metrics.csv").read_text().splitlines() == [
            "step,event,stage,time,loss/a",
            "1,train,,1.0,0.5",
            "2,train,,1.0,1.0",
            "3,train,,1.0,1.5",
        ]


def test_lines_that_were_done_again_count_once(kmask: Kmask, run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as handle:
        handle.write("\n" + json.dumps({"event": "train", "step": 3, "time": 2.0, "loss/a": 9.0}) + "\n")
    done = kmask("track", run, "--to", "csv")
    assert "2 lines whose steps were done again are left out" in done.err  # the half line lies among them
    assert (run / "metrics.csv").read_text().splitlines()[3:] == ["3,train,,2.0,9.0"]


def test_a_damaged_line_is_told_by_number_and_left_out(kmask: Kmask, run: Path) -> None:
    text = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text("no json\n" + text)
    done = kmask("track", run, "--to", "csv")
    assert done.code == 0 and "1 lines of" in done.err and "line 1: is not JSON" in done.err
    assert len((run / "metrics.csv").read_text().splitlines()) == 4


def test_a_replay_to_wandb_goes_on_behind_what_it_sent_before(
    kmask: Kmask, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    begun: list[tuple[str, str]] = []
    rows: list[int] = []
    original = wandb.init

    def init(**settings: object) -> object:
        begun.append((str(settings["id"]), str(settings["project"])))
        made = original(**settings)
        log = made.log

        def spy(values: dict[str, float], step: int) -> None:
            rows.append(step)
            log(values, step=step)

        monkeypatch.setattr(made, "log", spy)
        return made

    monkeypatch.setattr(wandb, "init", init)
    assert "3 lines of" in kmask("track", run, "--to", "wandb").out
    assert "nothing new" in kmask("track", run, "--to", "wandb").out
    text = (run / "metrics.jsonl").read_text().rpartition("\n")[0] + "\n"
    (run / "metrics.jsonl").write_text(text + json.dumps({"event": "train", "step": 4, "time": 1.0, "lr": 1}) + "\n")
    done = kmask("track", run, "--to", "wandb")
    assert "1 lines of" in done.out and "behind 3 of an earlier replay" in done.out
    assert rows == [1, 2, 3, 4] and begun[0] == begun[1]
    assert len(list((run / "wandb").glob(f"offline-run-*-{begun[0][0]}"))) == 2
    (run / "metrics.jsonl").write_text(text.replace("0.5", "0.6"))  # a run that went back
    assert "has changed since" in kmask("track", run, "--to", "wandb").err and begun[2][0] != begun[0][0]
    kmask("track", run, "--to", "wandb", "--project", "other")
    assert begun[3][1] == "other" and begun[3][0] not in {begun[0][0], begun[2][0]}


def test_what_cannot_be_replayed_is_refused(kmask: Kmask, run: Path, tmp_path: Path) -> None:
    for arguments, part in (
        (["--to", "excel"], "unknown kind 'excel'; one of csv, swanlab, tensorboard, wandb"),
        (["--to", "csv", "--project", "x"], "csv has no projects"),
        (["--to", "wandb", "colour=red"], "colour: unknown key; known keys: mode, project"),
        (["--to", "wandb", "online"], "key=value"),
    ):
        done = kmask("track", run, *arguments)
        assert done.code == 2 and part in done.err, done.err
    (tmp_path / "empty").mkdir()
    done = kmask("track", tmp_path / "empty", "--to", "csv")
    assert done.code == 2 and "is no run folder" in done.err
    assert kmask("track", tmp_path / "nowhere", "--to", "csv").code == 2
    (run / "metrics.jsonl").write_text("")
    done = kmask("track", run, "--to", "csv")
    assert done.code == 2 and "holds no line of metrics" in done.err


def test_a_file_that_a_training_writes_is_left_to_it(kmask: Kmask, run: Path) -> None:
    from pretrain.processes.lock import held

    with held(run, 0, print):
        done = kmask("track", run, "--to", "csv")
    assert done.code == 2 and "trains there now" in done.err and not (run / "metrics.csv").exists()


def test_a_configuration_from_before_sinks_is_still_read() -> None:
    from launch.outcomes.saved_runs import as_now

    old = {"seed": 1, "tracking": {"every": 5, "wandb": "online", "project": "mine"}}
    now = {"every": 5, "sinks": [{"kind": "wandb", "mode": "online", "project": "mine"}]}
    assert as_now(old) == {"seed": 1, "tracking": now} and as_now({"tracking": now}) == {"tracking": now}
    assert as_now({"tracking": {"every": 5, "wandb": "disabled", "project": "x"}})["tracking"]["sinks"] == []
