"""More faults on two hosts: a slow host, and a killed rank under every way of starting but ssh (test_launch.py)."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from faults_told import told
from hosts import Hosts
from launched import Launched, kill, left_over
from tiny import ROOT

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("nothing_left")]
KMASK = [sys.executable, "-m", "launch.cli"]


def repeated(before: int) -> int:
    """Steps since the last checkpoint."""
    return before - before // 10 * 10


def test_a_host_ten_times_slower_is_named_by_status_and_the_run_goes_on(
    hosts: Hosts, prepared: Path, tmp_path: Path, undisturbed: dict[int, float]
) -> None:
    launched = Launched(hosts, tmp_path, "run", prepared, "stages.1.steps=90")
    launched.start()
    launched.until(14)
    begun = time.monotonic()
    hosts["b"].slow(0.1)
    try:
        found, line = {}, ""
        while time.monotonic() - begun < 120 and (found.get("slowest") or {}).get("host") != "b":
            time.sleep(2)
            status = hosts["a"].run([*KMASK, "status", launched.output, "--json"], cwd=ROOT, check=True).stdout
            found = json.loads(status)
        seen = time.monotonic() - begun
        line = hosts["a"].run([*KMASK, "status", launched.output], cwd=ROOT, check=True).stdout
    finally:
        hosts["b"].slow(None)
    code, text = launched.wait()
    assert found["slowest"]["host"] == "b" and found["slowest"]["rank"] == 1 and found["state"] == "training", found
    assert code == 0 and launched.starts() == 1, text
    same = launched.losses()
    assert {step: same[step] for step in range(1, 31)} == {step: undisturbed[step] for step in range(1, 31)}
    said = next(words.strip() for words in line.splitlines() if "is the slowest" in words)
    told(f"a host ten times slower ({hosts['b'].slowness.how})", f"kmask status: {said}", seen, 0, "none (bitwise)")


def test_a_killed_rank_of_a_run_over_pdsh(
    hosts: Hosts, prepared: Path, tmp_path: Path, undisturbed: dict[int, float]
) -> None:
    launched = Launched(hosts, tmp_path, "run", prepared, launcher="pdsh")
    launched.start()
    launched.until(34)
    begun, before = time.monotonic(), launched.step()
    kill(hosts, launched, 1)
    code, text = launched.wait()
    assert code == 0 and launched.starts() == 2, text
    assert launched.losses() == undisturbed and left_over(hosts) == []
    error = next(line for line in text.splitlines() if line.startswith("error: "))
    told(
        "kill -9 of a rank on another host, pdsh",
        error[7:],
        time.monotonic() - begun,
        repeated(before),
        "none (bitwise)",
    )


APART = {
    "launcher: none": "kind: hostfile\npath: {hosts}\nlauncher: none\n",
    "torchrun, numbered": "kind: torchrun\naddress: a:29512\nhosts: '2'\nprocesses_per_host: 1\n",
    "torchrun, whoever comes": (
        "kind: torchrun\naddress: a:29513\nhosts: '2:2'\nrendezvous: c10d\nprocesses_per_host: 1\n"
    ),
}


@pytest.mark.parametrize("way", APART)
def test_a_killed_rank_of_a_run_that_every_host_starts_by_itself(
    way: str, hosts: Hosts, prepared: Path, tmp_path: Path, undisturbed: dict[int, float]
) -> None:
    launched = Launched(hosts, tmp_path, "run", prepared)
    common = launched.cluster.read_text().partition("interface")
    launched.cluster.write_text(APART[way].format(hosts=tmp_path / "run-hosts.txt") + "interface" + common[2])
    launchers = [launched.start({"KMASK_NODE_RANK": str(number)}, name) for number, name in enumerate("ab")]
    launched.process = launchers[0]
    launched.until(34)
    begun, before = time.monotonic(), launched.step()
    kill(hosts, launched, 1)
    words = [process.communicate(timeout=400) for process in launchers]
    texts = [output + errors for output, errors in words]
    assert [process.returncode for process in launchers] == [0, 0], "\n-----\n".join(texts)
    assert launched.losses() == undisturbed and left_over(hosts) == []
    errors = [line for line in texts[1].splitlines() if line.startswith(("error: ", "note: starting"))]
    said = errors[0].removeprefix("error: ") if errors else "torchrun starts all again by itself"
    told(f"kill -9 of a rank, {way}", said, time.monotonic() - begun, repeated(before), "none (bitwise)")
