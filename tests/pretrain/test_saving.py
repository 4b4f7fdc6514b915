"""Checkpoints that are written while training goes on: nothing changes what is in them, when they count, or what a kill
leaves."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import commands
import pytest
import torch
from test_trainer import Runs, equal, notes
from tiny import ROOT

from pretrain.processes import lock
from pretrain.processes.world import World
from pretrain.run_parts import Checkpoints
from pretrain.state import store as store_module
from pretrain.state.checkpoint import load
from pretrain.state.store import Store
from pretrain.state.writing import Writer

ONE_STAGE = ("stages.0.steps=8", "stages.1.steps=1", "evaluation.every=0", "batch.rows_per_process=4")


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, world: World) -> Runs:
    return Runs(tiny_run, tmp_path, world)


class Held:
    """Makes the checkpoint of one step wait, after its files are written, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
        self.writing, self.free = threading.Event(), threading.Event()
        write = store_module.write_files

        def held(staging: Path, tensors: Mapping[str, Any], state: Mapping[str, Any]) -> None:
            write(staging, tensors, state)
            if state["step"] == step:
                self.writing.set()
                assert self.free.wait(60), "nobody let the writer go"

        monkeypatch.setattr(store_module, "write_files", held)
        self.patch = monkeypatch

    def until_waited_for(self) -> None:
        """Let it go when training begins to wait for it."""
        wait = Writer.wait

        def waits(writer: Writer) -> int:
            if writer.pending:
                self.free.set()
            return wait(writer)

        self.patch.setattr(Writer, "wait", waits)

    def end(self) -> None:
        """Let it go, and see it end."""
        self.free.set()
        for thread in threading.enumerate():
            if thread.name == "checkpoint writer":
                thread.join()


def events(runs: Runs, name: str) -> list[tuple[str, int]]:
    """Lines of training and of checkpoints, as they stand."""
    lines = [json.loads(line) for line in (runs.folder / name / "metrics.jsonl").read_text().splitlines()]
    return [(line["event"], line["step"]) for line in lines if line["event"] in ("train", "checkpoint", "not_saved")]


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_what_was_handed_over_is_not_changed_by_the_steps_that_go_on(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, zero_stage: int
) -> None:
    settings = (*ONE_STAGE, f"engine.zero_stage={zero_stage}", "checkpoints.keep=9", "stability.spike=10")
    runs.train("whole", *settings, stop_after=5)
    taken: dict[int, Any] = {}
    start = Writer.start

    def keep(self: Writer, pending: Any, snapshot: Any) -> None:
        tensors = {name: tensor.clone() for name, tensor in snapshot.tensors.items()}
        taken[pending.step] = replace(snapshot, state=json.dumps(asdict(snapshot.state), default=str), tensors=tensors)
        start(self, pending, snapshot)

    monkeypatch.setattr(Writer, "start", keep)
    write, late = store_module.write_files, threading.Event()

    def later(staging: Path, tensors: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        if state["step"] == 2:
            assert late.wait(60)
        write(staging, tensors, state)

    monkeypatch.setattr(store_module, "write_files", later)
    seen: list[bool] = []

    def hook(event: str, step: int, values: Mapping[str, Any]) -> None:
        if (event, step) == ("train", 4):  # two steps on, and not a byte is written yet
            seen.append((runs.folder / "run/checkpoints/step-00000002").exists())
            late.set()

    runs.train("run", *settings, stop_after=5, hook=hook)
    assert seen == [False]
    for step in (2, 4, 6):
        found, wanted = (load(runs.folder / name / f"checkpoints/step-{step:08d}") for name in ("run", "whole"))
        assert equal(found.tensors(), wanted.tensors()) and equal(found.tensors(), taken[step].tensors)
        assert json.dumps(asdict(found.state), default=str) == json.dumps(json.loads(taken[step].state))
        assert found.state.cursors == wanted.state.cursors and found.state.guard == wanted.state.guard
        times = ("seconds", "waited")
        assert {**found.state.window, **dict.fromkeys(times)} == {**wanted.state.window, **dict.fromkeys(times)}
        assert found.state.guard["losses"]["knowledge_masking"] and len(found.state.guard["losses"]) == 2


def test_the_next_save_waits_for_the_one_before(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, 2)
    held.until_waited_for()
    runs.train("run", *ONE_STAGE)
    expected = ["train 1", "train 2", "train 3", "train 4", "checkpoint 2"]  # 4 is gathered now
    assert [f"{event} {step}" for event, step in events(runs, "run")][:5] == expected
    saved = [step for event, step in events(runs, "run") if event == "checkpoint"]
    assert saved == [2, 4, 6, 8, 9]


def test_a_save_counts_from_the_first_step_whose_message_tells_of_it(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, 2)

    def hook(event: str, step: int, values: Mapping[str, Any]) -> None:
        if (event, step) == ("train", 3):
            held.end()

    runs.train("run", *ONE_STAGE, hook=hook)
    expected = ["train 2", "train 3", "checkpoint 2", "train 4"]
    assert [f"{event} {step}" for event, step in events(runs, "run")][1:5] == expected


def test_lines_of_a_checkpoint_tell_what_it_cost(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, 2)
    wait = Writer.wait

    def waits(writer: Writer) -> int:
        threading.Timer(0.5, held.free.set).start()
        return wait(writer)

    monkeypatch.setattr(Writer, "wait", waits)
    told = runs.train("run", *ONE_STAGE, "checkpoints.keep=9")
    lines = [json.loads(line) for line in (runs.folder / "run/metrics.jsonl").read_text().splitlines()]
    found = {line["step"]: line for line in lines if line["event"] == "checkpoint"}
    for step, line in found.items():
        folder = runs.folder / f"run/checkpoints/step-{step:08d}"
        assert line["bytes"] == sum(file.stat().st_size for file in folder.iterdir())
        assert line["stage"] == ("two" if step == 9 else "one") and line["stall"] > 0 and line["seconds"] > 0
        if step in (8, 9):  # the end of a stage waits for its own checkpoint
            assert line["stall"] >= line["seconds"]
    assert found[4]["stall"] >= 0.4 > found[2]["stall"] and found[2]["seconds"] >= 0.4
    reported = {step: values for event, step, values in told if event == "checkpoint"}
    assert all(reported[step]["stall"] == line["stall"] for step, line in found.items())
    assert reported[2]["path"] == str(runs.folder / "run/checkpoints/step-00000002")


def test_going_back_waits_for_the_checkpoint_that_is_being_written(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only one there is: without it the run could not go back at all."""
    held = Held(monkeypatch, 23)
    held.until_waited_for()
    settings = (
        *("stages.0.steps=28", "stability.spike=10", "stability.on_spike=rollback", "evaluation.every=0"),
        *("batch.rows_per_process=4", "optimization.lr=1e-6", "checkpoints.every=23"),
    )
    told = runs.train("back", *settings, faulty={23: 50.0})
    assert "back from step 24 to step-00000023" in notes(told) and "no checkpoint to go back to" not in notes(told)
    assert [step for event, step in events(runs, "back") if event == "train"] == list(range(1, 33))


def test_a_run_that_gives_up_names_the_checkpoint_that_was_being_written(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    Held(monkeypatch, 2).until_waited_for()
    with pytest.raises(ValueError, match=r"1 steps in a row.*last good checkpoint is .*step-00000002"):
        runs.train("run", *ONE_STAGE, "stability.bad_steps=1", faulty={2: float("nan")})
    from launch.reports.run.facts import read_run

    assert "after 1 steps in a row without finite numbers" in read_run(runs.folder / "run").ending()


def test_a_disk_that_is_full_in_the_background_is_told_when_it_is_known(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.train("whole", *ONE_STAGE)
    write, full = store_module.write_files, {2, 6}

    def sometimes(staging: Path, tensors: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        write(staging, tensors, state)
        if state["step"] in full:
            raise OSError(28, "No space left on device", str(staging))

    monkeypatch.setattr(store_module, "write_files", sometimes)
    told = runs.train("run", *ONE_STAGE)
    assert [item for item in events(runs, "run") if item[0] != "train"] == [
        *(("not_saved", 2), ("checkpoint", 4), ("not_saved", 6), ("checkpoint", 8), ("checkpoint", 9))
    ]
    assert "the checkpoint of step 2 could not be written (No space left" in notes(told)
    assert "the last one: none so far. Training goes on." in notes(told) and "the last one: step 4." in notes(told)
    left = sorted(path.name for path in (runs.folder / "run/checkpoints").iterdir())
    assert left == ["step-00000008", "step-00000009"] and equal(runs.tensors("run"), runs.tensors("whole"))
    full.add(8)
    with pytest.raises(ValueError, match=r"step 7 could not be written \(No space.*last good checkpoint: step 4"):
        full.add(7)
        runs.train("stopped", *ONE_STAGE, stop_after=6)


def test_any_other_error_of_the_writer_ends_the_run(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(store_module, "write_files", broken)
    with pytest.raises(KeyError, match="a bug"):
        runs.train("run", *ONE_STAGE)
    assert lock.holder(runs.folder / "run") is None and not list((runs.folder / "run/checkpoints").iterdir())


def test_an_error_elsewhere_leaves_the_lock_only_when_the_checkpoint_is_written(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, locked = Held(monkeypatch, 2), []
    close = Writer.close

    def closes(writer: Writer) -> None:
        locked.append(lock.holder(runs.folder / "run"))
        held.free.set()
        close(writer)
        locked.append(lock.holder(runs.folder / "run"))

    monkeypatch.setattr(Writer, "close", closes)

    def hook(event: str, step: int, values: Mapping[str, Any]) -> None:
        if (event, step) == ("train", 3):
            raise ArithmeticError("elsewhere")

    with pytest.raises(ArithmeticError, match="elsewhere"):
        runs.train("run", *ONE_STAGE, hook=hook)
    assert all(locked) and len(locked) == 2 and lock.holder(runs.folder / "run") is None
    assert [path.name for path in (runs.folder / "run/checkpoints").iterdir()] == ["step-00000002"]
    monkeypatch.undo()
    runs.train("run", *ONE_STAGE)
    runs.train("whole", *ONE_STAGE)
    assert equal(runs.tensors("run"), runs.tensors("whole")) and runs.lines("run") == runs.lines("whole")


def test_a_damaged_checkpoint_that_is_replaced_is_told_by_the_main_thread(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.train("run", *ONE_STAGE, stop_after=3)
    file = runs.folder / "run/checkpoints/step-00000004/model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    threads: list[str] = []

    def hook(event: str, step: int, values: Mapping[str, Any]) -> None:
        if event == "note" and "was damaged" in values["text"]:
            threads.append(threading.current_thread().name)

    told = runs.train("run", *ONE_STAGE, hook=hook)
    assert "step-00000004 was damaged: it is now step-00000004.damaged" in notes(told)
    assert threads == [threading.main_thread().name]


TWO_RANKS = """
import json, sys
from pathlib import Path
import torch
from pretrain.processes.world import World
from pretrain.state import checkpoint, checkpoint_files, store
from pretrain.state.reading import read_together
from pretrain.state.store import Store

rank, meeting, *folders = sys.argv[1:]
rank = int(rank)
torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
read = {"files": []}
once = checkpoint.read_file
def counted(file, size, digest):
    read["files"].append(file.name)
    return once(file, size, digest)
checkpoint.read_file = counted
hashed = checkpoint.sha256_file
def refused(file):
    raise AssertionError(f"{file} is hashed on its own")
checkpoint.sha256_file = checkpoint_files.sha256_file = refused
for folder in folders:
    theirs = Path(folder if rank == 0 or not folder.endswith("torn") else folder + "-away")
    notes, fault, found = [], None, None
    try:
        found = read_together(Store(theirs, 2, notes.append), World(rank, 2, torch.device("cpu")))
    except ValueError as error:
        fault = str(error)
    tensors = {name: [str(value.dtype), value.tolist()] for name, value in found.tensors.items()} if found else None
    print(json.dumps({"fault": fault, "step": found and found.state.step, "tensors": tensors, "notes": len(notes),
                      "read": read["files"], "cursors": found and found.state.cursors}))
    read["files"] = []
"""


def test_one_rank_reads_the_newest_checkpoint_once_and_all_have_it(tmp_path: Path) -> None:
    """On two ranks: a good one; the newest damaged; all damaged; none; folders of two machines; one that is closed."""
    from test_checkpoint import TENSORS, flip, save

    folders = [tmp_path / name for name in ("good", "one", "bad", "none", "torn", "closed")]
    for folder in folders[:3] + folders[4:]:
        save(folder, 1, 2)
    for name in ("one/step-00000002", "bad/step-00000001", "bad/step-00000002"):
        flip(tmp_path / name / "optimizer.safetensors")
    (tmp_path / "closed/step-00000002/state.json").unlink()
    (tmp_path / "closed/step-00000001/state.json").unlink()
    ranks = [
        commands.Forked(
            [sys.executable, "-c", TWO_RANKS, str(rank), str(tmp_path / "meeting"), *map(str, folders)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    first, second = ([json.loads(line) for line in rank.communicate(timeout=120)[0].splitlines()] for rank in ranks)
    assert len(first) == len(second) == len(folders)
    for one, two in zip(first, second, strict=True):
        assert one["step"] == two["step"] and one["tensors"] == two["tensors"] and one["cursors"] == two["cursors"]
        assert two["read"] == [] and two["notes"] == 0
    assert [one["step"] for one in first] == [2, 1, None, None, None, None]
    assert first[0]["tensors"] == {name: [str(value.dtype), value.tolist()] for name, value in TENSORS.items()}
    assert first[0]["read"] == ["model.safetensors", "optimizer.safetensors"]
    for number, reason in ((2, "no usable checkpoint"), (5, "state.json is missing")):
        assert first[number]["fault"] == second[number]["fault"] and reason in first[number]["fault"]
    for told, step in ((first[4], 2), (second[4], -1)):
        assert "must lie on a disk that all machines share" in told["fault"] and f"sees {step}" in told["fault"]
    assert [one["fault"] for one in first[:2] + first[3:4]] == [None] * 3


def test_a_start_on_one_rank_reads_every_file_once(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_prep import files
    from pretrain.state import checkpoint

    runs.train("run", *ONE_STAGE, stop_after=3)
    opened: list[str] = []
    real = Path.open

    def watched(self: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if self.suffix == ".safetensors" and mode == "rb" and not self.parent.name.startswith(".staging"):
            opened.append(f"{self.parent.name[-1]}/{self.name}")
        return real(self, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", watched)
    assert files.sha256_file is checkpoint.sha256_file
    runs.train("run", *ONE_STAGE, "checkpoints.keep=1")
    names = [name for name in opened if name.startswith("4/")]
    assert names == ["4/model.safetensors", "4/optimizer.safetensors"]


def test_the_moment_a_stage_begins_from_is_let_go(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import weakref

    from pretrain import trainer as trainer_module

    runs.train("run", *ONE_STAGE, stop_after=3)
    held: list[weakref.ref[torch.Tensor]] = []
    begin = trainer_module.begin_stage

    def begins(run: Any, index: int, model: Any, snapshot: Any, *rest: Any) -> Any:
        held.extend(weakref.ref(tensor) for tensor in snapshot.tensors.values() if tensor.dim() == 2)
        return begin(run, index, model, snapshot, *rest)

    monkeypatch.setattr(trainer_module, "begin_stage", begins)
    alive: list[int] = []

    def hook(event: str, step: int, values: Mapping[str, Any]) -> None:
        if (event, step) == ("train", 5):
            gc.collect()
            alive.append(sum(ref() is not None for ref in held))

    runs.train("run", *ONE_STAGE, hook=hook)
    assert held and alive == [0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 4, "keep_every": 6}, r"keep_every: 6 must be 0 or a multiple of every = 4"),
        ({"every": 4, "keep_every": 2}, r"keep_every: 2 must be 0 or a multiple of every = 4"),
        ({"every": 4, "keep_every": -4}, r"keep_every: -4 must be 0 or a multiple of every = 4"),
        ({"every": 0}, r"every: 0 must be at least 1"),
    ],
)
def test_impossible_intervals_are_refused(settings: Mapping[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Checkpoints(**settings)


def test_every_so_manieth_checkpoint_stays_for_ever(runs: Runs) -> None:
    settings = ("stages.0.steps=11", "stages.1.steps=4", "evaluation.every=0", "batch.rows_per_process=4")
    runs.train("run", *settings, "checkpoints.keep=2", "checkpoints.keep_every=4")
    found = sorted(int(path.name[-8:]) for path in (runs.folder / "run/checkpoints").iterdir())
    assert found == [4, 8, 12, 14, 15]
    assert Checkpoints(every=2, keep=2, keep_every=4).most([11, 4]) == 5


def test_how_many_lie_on_the_disk_at_most_is_counted_as_they_come_and_go() -> None:
    for steps in ([10], [7, 9], [20, 1, 4]):
        for every, keep, multiple in ((1, 1, 1), (2, 2, 4), (3, 1, 6), (5, 3, 0), (2, 3, 2)):
            settings = Checkpoints(every=every, keep=keep, keep_every=multiple)
            ends = [sum(steps[: number + 1]) for number in range(len(steps))]
            there: set[int] = set()
            most = 0
            for step in sorted({*range(every, ends[-1], every), *ends}):
                most = max(most, len(there | {step}))
                there = {
                    old
                    for old in there | {step}
                    if old in sorted(there | {step})[-keep:] or (multiple and old % multiple == 0)
                }
            assert settings.most(steps) == most or (not multiple and settings.most(steps) == keep + 1)


def test_checkpoints_that_stay_are_neither_hashed_nor_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_checkpoint import TENSORS, make_state, names

    from pretrain.state.checkpoint import Snapshot

    first = Store(tmp_path, 1, print, keep_every=2)
    for step in (0, 1, 2, 3, 4, 5):
        first.save(Snapshot(state=make_state(step), tensors=TENSORS))
    assert names(tmp_path) == ["step-00000002", "step-00000004", "step-00000005"]  # step 0 is no multiple
    looked: list[str] = []
    monkeypatch.setattr(store_module, "load", lambda path: looked.append(path.name) or load(path))
    Store(tmp_path, 2, print, keep_every=2).save(Snapshot(state=make_state(6), tensors=TENSORS))
    assert looked == ["step-00000005"] and names(tmp_path)[-2:] == ["step-00000005", "step-00000006"]
    Store(tmp_path, 1, print).save(Snapshot(state=make_state(7), tensors=TENSORS))
    assert names(tmp_path) == ["step-00000007"]  # without the setting nothing stays
