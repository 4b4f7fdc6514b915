"""Sinks read the lines of metrics.jsonl, may fail without harm, and hold after a restart what the file holds."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from launch.settings.components import decode, read_config
from launch.settings.kinds import find_kind, kinds
from launch.settings.yaml_files import ConfigError, Source
from pretrain.config import Run
from pretrain.sinks import Place, Record, Sink, check_sinks, name_of, numbers
from pretrain.sinks.csv import Csv
from pretrain.tracking import Tracker, Tracking


@dataclass(frozen=True, kw_only=True)
class Failing(Sink):
    """Takes one line and then no more."""

    def open(self, place: Place, kept: Sequence[Record]) -> Any:
        return FailingWriter()


class FailingWriter:
    def __init__(self) -> None:
        self.taken = 0

    def write(self, record: Record) -> None:
        self.taken += 1
        if self.taken > 1:
            raise ConnectionError("the service is gone")

    def back_to(self, kept: Sequence[Record]) -> None: ...

    def close(self) -> None:
        raise AssertionError("a sink that is off is not closed")


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def tracker(folder: Path, *sinks: Sink, kept: int = 0, told: list[str] | None = None) -> Tracker:
    return Tracker(
        Tracking(sinks=list(sinks)), folder, {"metrics": kept}, {"seed": 1}, [].append if told is None else told.append
    )


@pytest.mark.parametrize("kind", kinds(Sink))
def test_every_sink_is_chosen_by_its_file_and_told_by_that_name(kind: str) -> None:
    cls = find_kind(Sink, kind)
    assert cls is not None and name_of(cls()) == kind
    run = decode(Tracking, Source({"sinks": [kind]}, {}))
    assert [type(sink) for sink in run.sinks] == [cls]


def test_sinks_are_lists_of_names_or_settings_and_none_may_stand_twice() -> None:
    found = decode(Tracking, Source({"sinks": ["csv", {"kind": "wandb", "mode": "online", "project": "mine"}]}, {}))
    assert [name_of(sink) for sink in found.sinks] == ["csv", "wandb"] and vars(found.sinks[1])["mode"] == "online"
    assert [name_of(sink) for sink in Tracking().sinks] == ["wandb"] and vars(Tracking().sinks[0])["mode"] == "offline"
    with pytest.raises(ConfigError, match="sinks: csv is named twice"):
        decode(Tracking, Source({"sinks": ["csv", {"kind": "csv"}]}, {}))
    with pytest.raises(ConfigError, match="mode: 'disabled' is not one of offline, online"):
        decode(Tracking, Source({"sinks": [{"kind": "wandb", "mode": "disabled"}]}, {}))


def test_figures_are_named_by_event_and_what_is_no_number_is_left_out() -> None:
    record = {"event": "train", "step": 3, "time": 1.5, "stage": "one", "lr": 0.1, "n": 2, "cursors": {"a": [0]}}
    assert numbers({**record, "bad": None, "yes": True}) == {"train/lr": 0.1, "train/n": 2}


def test_the_table_has_a_row_for_each_line_and_columns_that_never_move(tmp_path: Path) -> None:
    made = tracker(tmp_path, Csv())
    made.log("train", 1, {"stage": "one", "loss/a": 2.5})
    made.log("train", 2, {"stage": "one", "loss/a": float("nan")})
    before = (tmp_path / "metrics.csv").read_text().splitlines()
    made.log("evaluation", 2, {"stage": "one", "at": "end", "loss/a": 2.0, "loss/b": 3.0})
    made.close()
    rows = table(tmp_path)
    assert [(row["step"], row["event"], row["loss/a"], row["loss/b"]) for row in rows] == [
        ("1", "train", "2.5", ""),
        ("2", "train", "", ""),
        ("2", "evaluation", "2.0", "3.0"),
    ]
    after = (tmp_path / "metrics.csv").read_text().splitlines()
    assert after[0].startswith(before[0] + ",")
    assert [line.startswith(old) for line, old in zip(after[1:], before[1:], strict=False)] == [True, True]


def test_after_a_kill_the_table_holds_the_kept_lines_and_those_that_come_again(tmp_path: Path) -> None:
    first = tracker(tmp_path, Csv())
    for step in range(1, 5):
        first.log("train", step, {"loss/a": float(step)})
    with (tmp_path / "metrics.csv").open("a") as handle:
        handle.write("5,train")  # half a row
    again = tracker(tmp_path, Csv(), kept=2)
    assert [row["step"] for row in table(tmp_path)] == ["1", "2"]
    again.log("train", 3, {"loss/a": 3.0})
    again.keep({"metrics": 1})
    again.log("rollback", 1, {"from": 3})
    assert [(row["step"], row["event"]) for row in table(tmp_path)] == [("1", "train"), ("1", "rollback")]
    assert [str(line["step"]) for line in lines(tmp_path)] == [row["step"] for row in table(tmp_path)]


def test_a_sink_that_fails_is_left_out_with_one_note_and_the_others_go_on(tmp_path: Path) -> None:
    told: list[str] = []
    made = tracker(tmp_path, Failing(), Csv(), told=told)
    for step in range(1, 5):
        made.log("train", step, {"loss/a": 1.0})
    made.close()
    assert len(told) == 1 and "stopped: ConnectionError: the service is gone" in told[0]
    assert "Training goes on" in told[0] and f"`kmask track {tmp_path} --to" in told[0]
    assert len(lines(tmp_path)) == len(table(tmp_path)) == 4


def test_a_table_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    told: list[str] = []
    made = tracker(tmp_path, Csv(), told=told)
    made.log("train", 1, {"loss/a": 1.0})
    (tmp_path / "metrics.csv").unlink()
    (tmp_path / "metrics.csv").mkdir()
    made.log("train", 2, {"loss/a": 1.0})
    made.log("train", 3, {"loss/a": 1.0})
    assert len(told) == 1 and told[0].startswith("csv stopped: IsADirectoryError") and len(lines(tmp_path)) == 3


@dataclass
class Events:
    """Stands in for TensorBoard's SummaryWriter: what it was told, in order."""

    log_dir: str
    purge_step: int | None = None

    def __post_init__(self) -> None:
        Path(self.log_dir).mkdir(parents=True, exist_ok=True)
        number = len(list(Path(self.log_dir).iterdir()))
        self.file = Path(self.log_dir) / f"events.{number}"
        self._note({"purge": self.purge_step})

    def _note(self, value: Mapping[str, Any]) -> None:
        with self.file.open("a") as handle:
            handle.write(json.dumps(value) + "\n")

    def add_scalar(self, name: str, value: float, step: int, walltime: float | None = None) -> None:
        self._note({"name": name, "value": value, "step": step})

    def flush(self) -> None: ...

    def close(self) -> None:
        self._note({"closed": True})


def events_that_count(folder: Path) -> list[tuple[str, int]]:
    """What TensorBoard would show: a file with a purge step hides what older files say of later steps."""
    found: list[tuple[str, int]] = []
    for file in sorted((folder / "tensorboard").iterdir()):
        for line in map(json.loads, file.read_text().splitlines()):
            if line.get("purge") is not None:
                found = [item for item in found if item[1] < line["purge"]]
            if "step" in line:
                found.append((line["name"], line["step"]))
    return found


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Events  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))


def test_tensorboard_shows_no_step_twice_after_a_kill_and_after_going_back(tmp_path: Path, board: None) -> None:
    from pretrain.sinks.tensorboard import Tensorboard

    first = tracker(tmp_path, Tensorboard())
    for step in range(1, 5):
        first.log("train", step, {"loss/a": float(step), "stage": "one"})
    again = tracker(tmp_path, Tensorboard(), kept=2)
    for step in range(3, 6):
        again.log("train", step, {"loss/a": float(step)})
    assert events_that_count(tmp_path) == [("train/loss/a", step) for step in range(1, 6)]
    again.keep({"metrics": 3})
    again.log("train", 4, {"loss/a": 0.0})
    again.close()
    assert events_that_count(tmp_path) == [("train/loss/a", step) for step in range(1, 5)]


def test_a_replay_to_tensorboard_writes_the_folder_anew(tmp_path: Path, board: None) -> None:
    from pretrain.sinks.tensorboard import Tensorboard

    records = [{"event": "train", "step": step, "time": 1.0, "lr": 0.5} for step in (1, 2)]
    for _ in range(2):
        Tensorboard().replay(Place(tmp_path, {}, ""), records)
        assert events_that_count(tmp_path) == [("train/lr", 1), ("train/lr", 2)]
        assert len(list((tmp_path / "tensorboard").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tensorboard"]


def test_swanlab_gets_project_id_and_the_figures_of_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrain.sinks.swanlab import Swanlab

    calls: list[Any] = []
    module = ModuleType("swanlab")
    module.init = lambda **settings: calls.append(settings)  # type: ignore[attr-defined]
    module.log = lambda values, step: calls.append((values, step))  # type: ignore[attr-defined]
    module.finish = lambda: calls.append("finished")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "swanlab", module)
    check_sinks([Swanlab()])
    for kept in (0, 1):
        made = tracker(tmp_path, Swanlab(mode="online", project="mine"), kept=kept)
        made.log("train", kept + 1, {"stage": "one", "lr": 0.5})
        made.close()
    begun = calls[0]
    assert (begun["project"], begun["mode"], begun["config"], begun["resume"]) == (
        "mine",
        "online",
        {"seed": 1},
        "allow",
    )
    assert len(begun["id"]) == 21 and calls[3]["id"] == begun["id"]
    assert calls[1:3] == [({"train/lr": 0.5}, 1), "finished"] and calls[4] == ({"train/lr": 0.5}, 2)


@pytest.mark.parametrize("kind", ["tensorboard", "swanlab"])
def test_a_sink_without_its_package_is_refused_before_training(
    kind: str, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from launch.settings.components import plain
    from pretrain.preflight import Place as Machine
    from pretrain.preflight import preflight
    from pretrain.processes.world import World
    from pretrain.trainer import Trainer

    monkeypatch.delitem(sys.modules, kind, raising=False)
    monkeypatch.setattr("pretrain.sinks._installed", lambda package: package != kind)
    run = read_config(Run, tiny_run, [f"tracking.sinks=[{kind}]"])
    world = World(0, 1, torch.device("cpu"))
    for start in (
        lambda: preflight(run, plain(run), Machine(1, 1)),
        lambda: Trainer(run, plain(run), world, lambda *_: None).train(),
    ):
        with pytest.raises(ValueError, match=f"{kind} needs the package '{kind}'.*pip install {kind}"):
            start()
    assert not (tmp_path / "run").exists()
    preflight(run, plain(run), Machine(1, 0))  # other machines may have it


def test_a_folder_of_the_name_of_a_package_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrain.sinks import _installed

    (tmp_path / "swan_folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not _installed("swan_folder") and _installed("json") and not _installed("no_such_package")
