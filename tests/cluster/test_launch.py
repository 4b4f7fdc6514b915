"""`kmask launch` on several hosts, and what happens when they fail: the table of docs/launch.md.

Every run is the same 60 steps; wherever it was killed, cut or stopped, it ends in the losses of an undisturbed one.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faults_told import told
from hosts import Hosts
from launched import QUIET, STEPS, Launched, kill, left_over

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("nothing_left")]


def remote_rank(hosts: Hosts, launched: Launched) -> None:
    kill(hosts, launched, 1)


def first_rank(hosts: Hosts, launched: Launched) -> None:
    kill(hosts, launched, 0)


def stopped_rank(hosts: Hosts, launched: Launched) -> None:
    kill(hosts, launched, 1, signal.SIGSTOP)


def dead_host(hosts: Hosts, launched: Launched) -> None:
    hosts["b"].die()
    time.sleep(3)
    hosts["b"].start()


def short_cut(hosts: Hosts, launched: Launched) -> None:
    hosts.cut("b")
    time.sleep(6)
    hosts.mend("b")


def long_cut(hosts: Hosts, launched: Launched) -> None:
    hosts.cut("b")
    time.sleep(QUIET + 25)
    hosts.mend("b")


FAULTS: dict[str, tuple[Callable[[Hosts, Launched], None], tuple[int, ...]]] = {
    "kill -9 of a rank on another host": (remote_rank, (2,)),
    "kill -9 of rank 0": (first_rank, (2,)),
    "a rank stopped for ever (SIGSTOP)": (stopped_rank, (2,)),
    "a host without power, back after 3 s": (dead_host, (2,)),
    "the network cut for 6 s": (short_cut, (1,)),
    "the network cut for longer than quiet_seconds": (long_cut, (2, 3)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_that_was_disturbed_goes_on_and_ends_as_an_undisturbed_one(
    fault: str, hosts: Hosts, prepared: Path, tmp_path: Path, undisturbed: dict[int, float]
) -> None:
    disturb, starts = FAULTS[fault]
    launched = Launched(hosts, tmp_path, "run", prepared)
    launched.start()
    launched.until(34)
    begun, before = time.monotonic(), launched.step()
    disturb(hosts, launched)
    try:
        code, text = launched.wait()
    finally:
        hosts.mend("b")
    assert code == 0, text
    assert launched.losses() == undisturbed
    assert launched.starts() in starts, text
    assert left_over(hosts) == []
    repeated = before - before // 10 * 10 if launched.starts() > 1 else 0
    error = next((line for line in text.splitlines() if line.startswith("error: ")), "nothing: it goes on")
    told(fault, error.removeprefix("error: "), time.monotonic() - begun, repeated, "none (bitwise)")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_launcher_that_is_asked_to_stop_ends_all_hosts_with_everything_saved(
    number: signal.Signals, hosts: Hosts, prepared: Path, tmp_path: Path, undisturbed: dict[int, float]
) -> None:
    launched = Launched(hosts, tmp_path, "run", prepared)
    process = launched.start()
    launched.until(14)
    begun = time.monotonic()
    process.interrupt() if number == signal.SIGINT else process.send_signal(number)
    code, text = launched.wait(90)
    seconds = time.monotonic() - begun
    assert code == 5, text
    assert left_over(hosts) == []
    step = launched.step()
    assert (launched.output / f"checkpoints/step-{step:08d}").is_dir()
    launched.start()
    code, text = launched.wait()
    assert code == 0, text
    assert launched.losses() == undisturbed
    told(f"{number.name} to the launcher", "at once; exit code 5", seconds, 0, "none (bitwise)")


def test_a_launcher_that_is_killed_takes_its_run_to_a_saved_end(
    hosts: Hosts, prepared: Path, tmp_path: Path, undisturbed: dict[int, float]
) -> None:
    """The other processes hear nothing more of it for two minutes, save and stop."""
    longer = [change.replace("=30", "=6000") for change in STEPS[:2]]
    launched = Launched(hosts, tmp_path, "run", prepared, *longer)
    process = launched.start()
    launched.until(14)
    begun = time.monotonic()
    process.send_signal(signal.SIGKILL)
    deadline = begun + 240
    while launched.rank(1)["code"] is None and time.monotonic() < deadline:
        time.sleep(0.5)
    assert [launched.rank(number)["code"] for number in (0, 1)] == [5, 5]
    assert left_over(hosts) == []
    told(
        "kill -9 of the launcher", "its ranks stop and save by themselves", time.monotonic() - begun, 0, "not compared"
    )


def test_stopping_one_run_leaves_another_on_the_same_hosts_alone(
    hosts: Hosts, prepared: Path, tmp_path: Path, undisturbed: dict[int, float]
) -> None:
    one = Launched(hosts, tmp_path, "one", prepared)
    two = Launched(hosts, tmp_path, "two", prepared)
    first, _ = one.start(), two.start()
    one.until(5)
    first.send_signal(signal.SIGTERM)
    code, text = one.wait(120)
    assert code == 5, text
    code, text = two.wait()
    assert code == 0, text
    assert two.losses() == undisturbed and two.starts() == 1
    told("one of two runs on the same hosts is stopped", "the other goes on", 0.0, 0, "none (bitwise)")


def test_a_host_that_stays_away_is_left_out_where_that_is_allowed(
    hosts: Hosts, prepared: Path, tmp_path: Path, undisturbed: dict[int, float]
) -> None:
    launched = Launched(hosts, tmp_path, "run", prepared, more="min_hosts: 1\n")
    launched.start()
    launched.until(14)
    begun = time.monotonic()
    hosts["b"].die()
    try:
        code, text = launched.wait()
    finally:
        hosts["b"].start()
    assert code == 0, text
    assert "without b" in text and launched.step() == 60
    found = launched.losses()
    worst = max(abs(found[step] - undisturbed[step]) for step in undisturbed)
    assert worst < 1e-4
    told(
        "a host without power for ever, min_hosts: 1", "goes on without it", time.monotonic() - begun, 4, f"{worst:.0e}"
    )
