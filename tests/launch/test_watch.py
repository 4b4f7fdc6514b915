"""Who has been silent for too long, by one clock; what processes say of themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launch.cluster.end_ranks import end_ranks
from launch.cluster.ranks import Rank, code_of, diagnosis, first_failure, read_ranks
from launch.cluster.status import status, status_lines
from launch.cluster.watch import LAST_WORDS_SECONDS, Watch
from pretrain.processes import heartbeat, stopping

BASE: dict[str, Any] = {
    **{"rank": 0, "host": "a", "process": 1, "started": 1, "attempt": "0001-x", "pulse": 9, "doing": "step"},
    **{"step": 7, "seconds": 0.5, "longest": 2.0, "long": False, "code": None, "text": "", "lost": False, "world": 2},
    **{"total": 10, "spent": {}, "forward": 0.0, "changed": 0},
}


def rank(**values: Any) -> Rank:
    return Rank._make({**BASE, **values}[name] for name in Rank._fields)


def write(folder: Path, **values: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    value = {**BASE, **values}
    (folder / f"rank-{value['rank']}.json").write_text(json.dumps(value))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def watched(folder: Path, **changes: Any) -> tuple[Watch, Clock]:
    clock = Clock()
    given = {"expected": 2, "quiet": 60.0, "patience": 600.0, **changes}
    return Watch(folder, clock=clock, **given), clock


def later(watch: Watch, clock: Clock, seconds: float) -> str | None:
    """What the looks of so many seconds say first."""
    said = None
    for _ in range(int(seconds)):
        clock.now += 1
        said = said or watch.look()
    return said


def test_a_process_whose_file_stops_changing_is_named_after_the_stated_time(tmp_path: Path) -> None:
    watch, clock = watched(tmp_path)
    for pulse in range(2, 100):
        write(tmp_path, rank=0, pulse=pulse)
        if pulse <= 20:
            write(tmp_path, rank=1, host="b", pulse=pulse, doing="batches", step=12)
        clock.now += 1
        told = watch.look()
        if told:
            break
    assert told == "rank 1 on b has not been heard of for 61 s; it was waiting for batches after step 12"
    assert pulse == 20 + 61


def test_its_first_word_may_be_followed_by_slow_imports(tmp_path: Path) -> None:
    watch, clock = watched(tmp_path)
    write(tmp_path, rank=0, pulse=1, doing="starting", long=True)
    write(tmp_path, rank=1, pulse=1, doing="starting", long=True)
    for _ in range(599):
        assert watch.look() is None
        clock.now += 1
    clock.now += 2
    assert "rank 0 on a has not been heard of" in str(watch.look())


def test_all_waiting_for_longer_than_a_step_may_take_is_a_hang_and_one_that_works_is_none(tmp_path: Path) -> None:
    watch, _clock = watched(tmp_path)
    waiting = {"doing": "sum over processes", "seconds": 62.5, "longest": 2.0}
    write(tmp_path, rank=0, doing="checkpoint", long=True, seconds=500.0)
    write(tmp_path, rank=1, **waiting)
    assert watch.look() is None  # rank 0 saves
    write(tmp_path, rank=0, **waiting)
    write(tmp_path, rank=1, **{**waiting, "seconds": 61.0})
    assert watch.look() is None  # 60 s above the longest step
    write(tmp_path, rank=1, **{**waiting, "seconds": 90.0, "step": 6})
    told = str(watch.look())
    assert (
        told.startswith("rank 1 on a has been waiting for the others at the end of step 6 for 90 s")
        and "network" in told
    )


def test_what_is_long_by_nature_may_take_the_patience_of_the_run(tmp_path: Path) -> None:
    watch, _clock = watched(tmp_path)
    for number in (0, 1):
        write(tmp_path, rank=number, doing="evaluation", long=True, seconds=599.0)
    assert watch.look() is None
    for number in (0, 1):
        write(tmp_path, rank=number, doing="evaluation", long=True, seconds=601.0)
    assert "measuring after step 7" in str(watch.look())


def test_one_that_has_failed_is_told_when_the_others_do_not_notice(tmp_path: Path) -> None:
    watch, clock = watched(tmp_path)
    write(tmp_path, rank=0)
    write(tmp_path, rank=1, code=1, text="out of memory")
    assert watch.look() is None
    assert "out of memory" in str(later(watch, clock, LAST_WORDS_SECONDS + 1))
    write(tmp_path, rank=0, code=1, lost=True)
    assert watch.look() is None  # it noticed: the start ends by itself


def test_processes_that_never_begin_are_missed(tmp_path: Path) -> None:
    watch, clock = watched(tmp_path)
    write(tmp_path, rank=0)
    assert watch.look() is None
    told = None
    for pulse in range(10, 700):
        write(tmp_path, rank=0, pulse=pulse)
        told = told or later(watch, clock, 1)
    assert told == "some of 2 processes have not begun within 10 minutes (begun: rank 0 on a)"


def test_half_written_files_and_ranks_of_a_larger_world_before_are_left_out(tmp_path: Path) -> None:
    """torchrun starts again with fewer processes; files of the others stay as they were."""
    write(tmp_path, rank=2, world=4, code=1)
    os.utime(tmp_path / "rank-2.json", (1, 1))
    write(tmp_path, rank=0)
    write(tmp_path, rank=1)
    (tmp_path / "rank-3.json").write_text('{"rank": 3, "ho')
    assert [found.rank for found in read_ranks(tmp_path)] == [0, 1]


def test_another_start_in_the_same_run_disturbs_none_that_goes_on(tmp_path: Path) -> None:
    """It writes its own folder, and is refused by the lock; the first is older than its patience by then."""
    watch, clock = watched(tmp_path / "one")
    for pulse in range(2, 700):
        write(tmp_path / "one", rank=0, pulse=pulse)
        if pulse < 600:
            write(tmp_path / "one", rank=1, pulse=pulse)
        write(tmp_path / "two", rank=0, pulse=pulse, attempt="two", code=2)
        clock.now += 1
        told = watch.look()
        if told:
            break
    assert told is not None and "rank 1 on a has not been heard of for 61 s" in told


def test_a_full_disk_is_no_silence_while_files_can_be_touched(tmp_path: Path) -> None:
    watch, clock = watched(tmp_path)
    for second in range(200):
        for number in (0, 1):
            if not second:
                write(tmp_path, rank=number)
            os.utime(tmp_path / f"rank-{number}.json", (second + 10, second + 10))
        clock.now += 1
        assert watch.look() is None


def test_who_was_stopped_itself_takes_nobody_for_silent(tmp_path: Path) -> None:
    """A laptop that was closed, a launcher in the background: the time that has passed is nobody's."""
    watch, clock = watched(tmp_path)
    write(tmp_path, rank=0)
    write(tmp_path, rank=1)
    assert watch.look() is None
    clock.now += 5000
    assert watch.look() is None
    for _ in range(60):
        clock.now += 1
        assert watch.look() is None
    clock.now += 2
    assert "has not been heard of" in str(watch.look())


def test_all_that_have_ended_are_over_whatever_started_them_says(tmp_path: Path) -> None:
    watch, clock = watched(tmp_path)
    write(tmp_path, rank=0, code=0)
    write(tmp_path, rank=1)
    assert watch.look() is None and not watch.over()
    write(tmp_path, rank=1, code=0)
    assert watch.look() is None and not watch.over()
    for _ in range(int(LAST_WORDS_SECONDS) + 1):
        clock.now += 1
        assert watch.look() is None
    assert watch.over() and code_of(watch.ranks, 1) == 0


@pytest.mark.parametrize(
    ("codes", "lost", "expected"),
    [
        ((0, 0), (), 0),
        ((5, 5), (), 5),
        ((5, 0), (), 5),
        ((2, 1), (1,), 2),
        ((2, 2), (1,), 2),
        ((1, 1), (0,), 1),
        ((None, 1), (1,), 1),
        ((None, 0), (), 1),
    ],
)
def test_the_code_of_a_run_is_read_from_its_processes(
    codes: tuple[int | None, ...], lost: tuple[int, ...], expected: int
) -> None:
    ranks = [rank(rank=number, code=code, lost=number in lost) for number, code in enumerate(codes)]
    assert code_of(ranks, 1) == expected


def test_the_first_to_name_is_an_error_of_its_own_then_one_that_vanished() -> None:
    lost, own, gone = rank(rank=0, code=1, lost=True), rank(rank=1, code=1, text="bad"), rank(rank=2, host="c")
    assert first_failure([lost, gone, own]) == own
    assert first_failure([lost, gone]) == gone
    assert first_failure([lost]) == lost and first_failure([]) is None
    assert diagnosis(gone) == "rank 2 on c (process 1) vanished in step 7: killed, or its machine is gone"
    assert diagnosis(own) == "rank 1 on a ended with code 1 in step 7: bad"


@pytest.fixture
def beating(tmp_path: Path) -> Iterator[Path]:
    stopping.forget()
    yield tmp_path
    heartbeat.end(0)
    stopping.forget()


def until(what: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_tells_what_it_does_and_hears_a_stop_meant_for_its_start(beating: Path) -> None:
    folder = beating / heartbeat.FOLDER / "0002-y"
    heartbeat.begin(beating, 3, "0002-y", world=4)
    heartbeat.doing("step", 41, long=False)
    until(lambda: read_ranks(folder)[0].step == 41)
    told = read_ranks(folder)[0]
    assert (told.rank, told.process, told.attempt, told.world) == (3, os.getpid(), "0002-y", 4)
    assert told.started == heartbeat.start_of(os.getpid()) > 0
    (beating / heartbeat.FOLDER / "0001-other").mkdir()
    (beating / heartbeat.FOLDER / "0001-other" / heartbeat.STOP).touch()
    until(lambda: read_ranks(folder)[0].pulse > told.pulse + 1)
    assert not stopping.asked()
    (folder / heartbeat.STOP).touch()
    until(stopping.asked)
    heartbeat.end(5, "asked")
    assert (read_ranks(folder)[0].code, read_ranks(folder)[0].text) == (5, "asked")


def test_a_process_whose_launcher_is_gone_stops(beating: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "LAUNCHER_SECONDS", 2.5)
    heartbeat.begin(beating, 0, "0001-x")
    file = beating / heartbeat.FOLDER / "0001-x" / heartbeat.LAUNCHER
    for pulse in range(8):  # longer than that, while it is there
        file.write_text(str(pulse))
        time.sleep(0.4)
    assert not stopping.asked()
    until(stopping.asked)


def test_a_disk_that_takes_nothing_ends_no_process_and_its_file_is_touched(
    beating: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat.begin(beating, 0, "0001-x")
    folder = beating / heartbeat.FOLDER / "0001-x"
    before = read_ranks(folder)[0]

    def full(self: Path, *given: object, **more: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    heartbeat.doing("step", 1)
    until(lambda: read_ranks(folder)[0].changed > before.changed)
    assert read_ranks(folder)[0].pulse <= before.pulse + 1


def test_the_longest_step_counts_and_long_work_does_not() -> None:
    beat = heartbeat.Heartbeat(Path("nowhere"), 0, "", 1)
    for what, long, seconds in (("checkpoint", True, 50.0), ("step", False, 3.0), ("batches", False, 1.0)):
        beat.doing(what, long=long)
        beat.since -= seconds
    beat.doing("evaluation")
    assert beat.longest == pytest.approx(3.0, abs=0.5)
    assert beat.spent == {"step": pytest.approx(3.0, abs=0.5), "batches": pytest.approx(1.0, abs=0.5)}


def test_a_first_step_that_took_minutes_allows_as_much_to_the_next() -> None:
    beat = heartbeat.Heartbeat(Path("nowhere"), 0, "", 1)
    beat.doing("step", 1, long=True)
    beat.since -= 200.0
    beat.doing("batches", long=True)
    assert beat.longest == pytest.approx(200.0, abs=0.5)


def test_only_the_processes_of_a_start_are_ended_with_their_children_and_no_later_one_of_that_number(
    tmp_path: Path,
) -> None:
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '300']); print('on', flush=True); time.sleep(300)"
    ours, other = (subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2))
    for process in (ours, other):
        assert process.stdout is not None and process.stdout.readline() == b"on\n"
    host = os.uname().nodename
    started = heartbeat.start_of(ours.pid)
    folder, theirs = tmp_path / "ranks/0001-x", heartbeat.start_of(other.pid)
    write(folder, world=3, rank=0, host=host, process=ours.pid, started=started)
    write(folder, world=3, rank=1, host=host, process=other.pid, started=theirs - 1)
    write(folder, world=3, rank=2, host="elsewhere", process=other.pid, started=theirs)
    write(tmp_path / "ranks/0002-y", rank=0, host=host, process=other.pid, started=theirs)
    try:
        assert end_ranks(tmp_path, "0001-x") == []
        assert ours.wait(5) == -9 and other.poll() is None
    finally:
        subprocess.run(["pkill", "-9", "-P", str(other.pid)], check=False)
        other.kill()
        other.wait()


def test_the_slowest_process_shows_by_its_forward_pass_where_all_wait_within_their_steps(tmp_path: Path) -> None:
    """From ZeRO 1 on the others wait for its gradients in the middle of a step: no time of waiting tells them apart."""
    (tmp_path / "metrics.jsonl").write_text("")
    for host, forward, told in (("b", 4.0, True), ("b", 0.7, False), ("a", 0.4, False)):
        write(tmp_path / "ranks/0001-x", rank=0, host="a", world=3, spent={"step": 10.0}, forward=0.4)
        write(tmp_path / "ranks/0001-x", rank=1, host=host, world=3, spent={"step": 10.0}, forward=forward)
        write(tmp_path / "ranks/0001-x", rank=2, host="c", world=3, spent={"step": 0.0}, forward=0.0)
        found = status(tmp_path)
        assert found["slowest"] == ({"rank": 1, "host": "b", "forward": 0.4, "others_forward": 0.04} if told else None)
        line = "rank 1 on b is the slowest: it computes its forward pass 40 % of its time, others 4.0 %"
        assert (line in "\n".join(status_lines(found))) == told


def test_status_says_how_a_run_is_doing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing has begun to train here"):
        status(tmp_path)
    lines = [
        {"event": "train", "step": step, "stage": "one", "seconds": 2.0 * step, "tokens_per_second": 500.0,
         "loader_wait": 0.25, "loss/words": 3.5, "loss/words/entity": 4.0}
        for step in (2, 4)
    ]  # fmt: skip
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"event": "tr')
    (tmp_path / "checkpoints/step-00000003").mkdir(parents=True)
    slow = {"step": 8.0, "batches": 1.0, "sum over processes": 1.0}
    write(tmp_path / "ranks/0001-x", rank=0, step=5, spent={"step": 5.0, "sum over processes": 5.0})
    write(tmp_path / "ranks/0001-x", rank=1, host="b", step=5, spent=slow)
    found = status(tmp_path)
    assert (found["state"], found["step"], found["total"], found["checkpoint"]) == ("training", 5, 10, 3)
    assert found["seconds_left"] == 12.0 and found["losses"] == {"loss/words": 3.5}
    assert found["slowest"] == {"rank": 1, "host": "b", "waits": 0.1, "others_wait": 0.5}
    text = "\n".join(status_lines(found))
    assert "training, step 5 of 10 (50 %), stage `one`" in text and "500 tokens/s" in text and "12" in text
    assert "rank 1 on b is the slowest" in text and "newest checkpoint: step 3" in text
    write(tmp_path / "ranks/0001-x", rank=1, host="b", code=1, text="out of memory")
    assert status(tmp_path)["state"] == "failed" and "out of memory" in status(tmp_path)["why"]
    for number, code in ((0, 0), (1, 0)):
        write(tmp_path / "ranks/0001-x", rank=number, code=code)
    assert status(tmp_path)["state"] == "finished"
    for number in (0, 1):
        write(tmp_path / "ranks/0001-x", rank=number)
        os.utime(tmp_path / f"ranks/0001-x/rank-{number}.json", (1, 1))
    assert status(tmp_path)["state"] == "silent" and "may have been killed" in status(tmp_path)["why"]
