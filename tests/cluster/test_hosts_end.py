"""Nothing of the hosts is left: after an end, an error, or `kill -9` of the process that made them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hosts import Hosts
from machine import CPU_GROUPS, remove_leftovers, start_time, tool

pytestmark = pytest.mark.usefixtures("hosts_possible")
HERE = Path(__file__).resolve().parent
MAKE_AND_WAIT = """
import sys, time
from hosts import Hosts
with Hosts(2) as hosts:
    sleeper = hosts["b"].popen(["sleep", "500"])
    hosts["a"].small_disk("/mnt")
    print(hosts.folder, hosts.switch.holder.pid, *(host.init for host in hosts), flush=True)
    time.sleep(500)
"""


def of_the_machine() -> list[str]:
    """Its links, named network namespaces and mounts."""
    listed = [[tool("ip"), "-o", "link"], [tool("ip"), "netns"]]
    printed = [subprocess.run(argv, capture_output=True, text=True, check=True).stdout for argv in listed]
    links = [line.partition("<")[0] for line in printed[0].splitlines()]
    return [*links, *printed[1:], Path("/proc/self/mounts").read_text(), Path("/etc/hosts").read_text()]


def left(folder: Path, pids: list[int]) -> list[object]:
    """What is left of hosts."""
    groups = [group for group in (CPU_GROUPS / folder.name).rglob("*") if group.is_dir()]
    return [*(pid for pid in pids if start_time(pid)), *groups, *([folder] if folder.exists() else [])]


@pytest.mark.short
@pytest.mark.parametrize("ends_by", ["end", "error"])
def test_nothing_is_left_after_the_end_or_an_error(ends_by: str) -> None:
    before = of_the_machine()
    pids = []
    try:
        with Hosts(2) as hosts:
            hosts["a"].small_disk("/mnt")
            hosts["b"].popen(["sleep", "500"])
            hosts["b"].popen(["setsid", "sleep", "500"])
            while len(hosts["b"].processes("^sleep")) < 2:
                time.sleep(0.01)
            pids = [hosts.switch.holder.pid, *(pid for host in hosts for pid in (host.init, *host.outer_pids()))]
            assert all(map(start_time, pids)) and len(pids) == 7
            if ends_by == "error":
                raise KeyError("something")
    except KeyError:
        assert ends_by == "error"
    assert left(hosts.folder, pids) == [] and of_the_machine() == before


def test_a_host_that_cannot_start_takes_the_others_with_it() -> None:
    before = of_the_machine()
    hosts = Hosts(["a", "b"])
    hosts.addresses["b"] = "10.77.999.2"
    with pytest.raises(AssertionError, match="b: "), hosts:
        pass
    assert hosts.hosts["a"].init == 0 and left(hosts.folder, []) == [] and of_the_machine() == before


@pytest.mark.short
def test_a_kill_9_ends_all_hosts_and_the_next_start_removes_their_folder() -> None:
    before = of_the_machine()
    made = subprocess.Popen([sys.executable, "-c", MAKE_AND_WAIT], cwd=HERE, stdout=subprocess.PIPE, text=True)
    assert made.stdout is not None
    first, *rest = made.stdout.readline().split()
    folder, pids = Path(first), [int(pid) for pid in rest]
    remove_leftovers()
    assert set(pids) | {folder} <= set(left(folder, pids)), "those of a living owner are left alone"
    made.kill()
    made.wait()
    made.stdout.close()
    deadline = time.monotonic() + 10
    while any(map(start_time, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    remove_leftovers()
    assert left(folder, pids) == [] and of_the_machine() == before
