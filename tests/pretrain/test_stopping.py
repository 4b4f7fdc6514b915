"""Signals, locks, patience and the verdict on bad numbers: what surrounds the steps."""

from __future__ import annotations

import datetime
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import commands
import pytest
import torch
from tiny import ROOT

from pretrain.metrics.lines import Lines, finite
from pretrain.metrics.sums import Sums
from pretrain.processes import lock
from pretrain.stability import Guard, Stability


def python(code: str, **settings: Any) -> subprocess.Popen[str]:
    # a job in the background inherits it as ignored
    usual = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    return subprocess.Popen(
        [sys.executable, "-c", usual + code], cwd=ROOT, stdout=subprocess.PIPE, text=True, **settings
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT])
def test_a_request_to_stop_is_noted_and_ends_nothing(number: signal.Signals) -> None:
    code = "import time; from pretrain.processes import stopping; stopping.listen(); print('ready', flush=True)\n"
    code += "for _ in range(500):\n  time.sleep(.02)\n  if stopping.asked(): print('asked'); break"
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as under nohup, and stays so")
    process = python(code)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "asked\n" and process.returncode == 0


def test_a_second_ctrl_c_ends_at_once() -> None:
    process = python(
        "import time; from pretrain.processes import stopping; stopping.listen(); print('ready', flush=True); time.sleep(60); time.sleep(60)"
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert process.wait(timeout=30) != 0


def test_a_signal_before_the_handlers_stand_is_delivered_when_they_do() -> None:
    """A rank is started with the signals blocked, so that none can end it while it imports."""
    from pretrain.processes.stopping import shielded

    code = "import time; time.sleep(1.0); from pretrain.processes import stopping; stopping.listen(); print(stopping.asked(), flush=True)"
    with shielded():
        process = python(code)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "True\n" and process.returncode == 0


def test_what_is_ignored_stays_ignored() -> None:
    code = "import os, signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); from pretrain.processes import stopping; stopping.listen()\n"
    code += "os.kill(os.getpid(), signal.SIGHUP); print(stopping.asked(), flush=True)"
    assert python(code).communicate(timeout=30)[0] == "False\n"  # as under nohup


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    code = f"import time; from pathlib import Path; from pretrain.processes.lock import held\nwith held(Path({str(tmp_path)!r}), 0, print):\n"
    code += "  print('held', flush=True); time.sleep(60)"
    process = python(code)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    told: list[str] = []
    with pytest.raises(ValueError, match=f"process {process.pid} on"), lock.held(tmp_path, 0.3, told.append):
        pass
    assert f"process {process.pid}" in told[0] and str(lock.holder(tmp_path)).startswith(f"process {process.pid}")
    process.kill()
    process.wait()
    assert lock.holder(tmp_path) is None
    with lock.held(tmp_path, 0, print):
        assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()


@pytest.mark.parametrize(
    ("host", "lives", "waits"),
    [
        ("another-host", False, 1.2),
        ("another-host", True, 0.2),
        (os.uname().nodename, False, 0.2),
    ],
    ids=["lost", "lives", "here"],
)
def test_a_machine_that_says_nothing_is_waited_for_until_its_lock_lapses(
    tmp_path: Path, host: str, lives: bool, waits: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of another descriptor stands for that of another machine; its heartbeat goes on, or does not."""
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.2)
    (tmp_path / "ranks/0001-x").mkdir(parents=True)
    pulse, told, pause = itertools.count(), list[str](), time.sleep

    def look(seconds: float) -> None:  # other threads may sleep, too
        if lives:
            beat()
        pause(0.05)

    def beat() -> None:
        value = {"host": host, "process": 17, "pulse": next(pulse)}
        (tmp_path / "ranks/0001-x/rank-0.json").write_text(json.dumps(value))

    beat()
    with lock.held(tmp_path, 0, print):
        value = {"host": host, "process": 17, "since": "yesterday"}
        (tmp_path / "lock").write_text(json.dumps(value))
        monkeypatch.setattr(time, "sleep", look)
        begun = time.monotonic()
        with pytest.raises(ValueError, match="since yesterday"), lock.held(tmp_path, 0.2, told.append):
            pass
        waited = time.monotonic() - begun
        monkeypatch.setattr(time, "sleep", pause)
    assert waited >= waits and (waited >= 1.2) == (waits > 1)
    assert ("whose machine says nothing; waiting up to 1 s" in told[-1]) == (waits > 1)


def test_a_data_worker_that_is_killed_is_a_failure_that_a_restart_mends(kmask: Any, tiny_run: Path) -> None:
    cluster = tiny_run.parent / "cluster.yaml"
    cluster.write_text("kind: local\nprocesses: 1\nmax_restarts: 1\n")
    output = tiny_run.parent / "run"
    changes = ("data_workers=1", "stages.0.steps=30", "stages.1.steps=1", "evaluation.every=0", "checkpoints.every=8")
    process = commands.start("launch", cluster, tiny_run, *changes, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((output / "checkpoints").glob("step-*")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    (file,) = (output / "ranks").glob("*/rank-0.json")
    rank = json.loads(file.read_text())["process"]
    children = Path(f"/proc/{rank}/task/{rank}/children").read_text().split()
    workers = [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    os.kill(int(workers[0]), signal.SIGKILL)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert "a process that makes batches (data_workers) has ended or hangs" in told and "starting again (1 of 1" in told
    assert len(list((output / "attempts").iterdir())) == 2


def test_every_process_group_gets_the_patience_of_the_run() -> None:
    """DeepSpeed clones the default group; the clone keeps torch's 30 minutes."""
    code = """
import datetime, torch
from pretrain.engine import join, set_timeouts
from pretrain.settings import DeepSpeed
join(DeepSpeed(precision="fp32", timeout_minutes=0.5))
torch.distributed.new_group([0])
set_timeouts(0.5)
from torch.distributed import distributed_c10d
groups = list(distributed_c10d._world.pg_map)
print(len(groups), *{group._get_backend(torch.device("cpu")).options._timeout for group in groups})
"""
    assert commands.script(code).stdout.strip() == f"2 {datetime.timedelta(seconds=30)}"


def test_bad_steps_in_a_row_stop_and_a_good_one_begins_anew() -> None:
    guard = Guard(Stability(bad_steps=2), {})
    nan = {"knowledge_masking": math.nan}
    assert not guard.look(nan, math.nan, False, False).stop
    assert guard.look({"knowledge_masking": 1.0}, 1.0, True, False).applied
    first = guard.look(nan, math.nan, False, False)
    assert not first.stop and "knowledge_masking is nan" in first.reason
    resumed = Guard(Stability(bad_steps=2), json.loads(json.dumps(guard.memory())))
    assert resumed.look({"knowledge_masking": 1.0}, math.inf, False, False).stop
    assert "gradient norm is inf" in guard.look({"knowledge_masking": 1.0}, math.inf, False, False).reason


def test_the_search_for_a_loss_scale_is_no_row_of_bad_steps_but_a_bad_loss_is() -> None:
    guard = Guard(Stability(bad_steps=2), {})
    for _ in range(20):
        verdict = guard.look({"knowledge_masking": 1.0}, math.inf, False, True)
        assert not verdict.stop and not verdict.applied
    assert not guard.look({"knowledge_masking": math.nan}, math.inf, False, True).stop
    assert guard.look({"knowledge_masking": math.nan}, math.inf, False, True).stop


def test_a_spike_is_a_loss_far_above_its_own_median() -> None:
    guard = Guard(Stability(spike=10, window=50), {})
    draw = torch.Generator().manual_seed(0)
    for value in (5 + 0.1 * torch.randn(200, generator=draw)).tolist():
        assert not guard.look({"a": value, "b": 1.0}, 1.0, True, False).spike
    assert guard.look({"a": 6.5, "b": 1.0}, 1.0, True, False).spike
    assert not guard.look({"a": 3.0, "b": 1.0}, 1.0, True, False).spike  # falling is good news
    assert guard.look({"b": 1.2}, 1.0, True, False).spike and len(guard.losses["a"]) == 50
    off = Guard(Stability(), {})
    assert not any(off.look({"a": value}, 1.0, True, False).spike for value in [1.0] * 50 + [1e6]) and off.losses == {}


def test_lines_are_json_and_wait_for_space_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    lines = Lines(tmp_path / "metrics.jsonl", told.append)
    lines.append({"step": 1, "loss": math.nan, "inner": [math.inf, 1.0]})
    opened = Path.open

    def full(self: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if "a" in mode:
            raise OSError(28, "No space left on device")
        return opened(self, mode, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        lines.append({"step": 2})
        lines.append({"step": 3})
    assert len(told) == 1 and "wait in memory" in told[0]
    lines.append({"step": 4})
    assert [item["step"] for item in lines.read()] == [1, 2, 3, 4] and lines.read()[0] == {
        "step": 1,
        "loss": None,
        "inner": [None, 1.0],
    }
    assert finite({"a": -math.inf}) == {"a": None}


def test_a_line_may_hold_any_character(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "skipped.jsonl", print)
    lines.append({"documents": ["a\u2028b", "c\u0085d", "e\u2029\n"]})
    lines.append({"step": 2})
    assert lines.keep(2) == lines.read() == [{"documents": ["a\u2028b", "c\u0085d", "e\u2029\n"]}, {"step": 2}]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (
            "[gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 12000ms for recv operation to complete",
            "has not answered for 10 minutes",
        ),
        (
            "[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4711",
            "another process of this run has ended",
        ),
        ("DataLoader timed out after 600 seconds", "makes batches (data_workers) has ended or hangs"),
        ("DataLoader worker (pid(s) 17) exited unexpectedly", "makes batches (data_workers) has ended or hangs"),
    ],
)
def test_errors_of_torch_that_mean_a_lost_process_become_a_sentence(text: str, meaning: str) -> None:
    from launch.processes.rank import lost_peer_message

    assert meaning in lost_peer_message(RuntimeError(text), 10)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        lost_peer_message(RuntimeError("shape mismatch"), 10)


def test_sums_survive_json_bit_for_bit() -> None:
    sums = Sums({"a": ("x", "y"), "b": ()}, {})
    sums.stats += torch.rand(sums.stats.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 3
    sums.count(real=0.1 + 0.2, seconds=1 / 3)
    kept = json.loads(json.dumps(sums.kept()))
    again = Sums(sums.groups, kept)
    assert torch.equal(again.stats, sums.stats) and again.counts == sums.counts
    more = Sums({"new": ("z",), "a": ("x", "y")}, kept)  # a task joined within the stage
    assert torch.equal(more.stats[2:], sums.stats[:3]) and not more.stats[:2].any() and more.counts == sums.counts
