"""What is wrong with hosts is told before anything is started on them, with the host's name and a remedy."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hosts import Hosts
from tiny import ROOT, TINY_RUN

pytestmark = pytest.mark.timeout(300)
Fault = Callable[[Hosts, Path], None]


def own_name(hosts: Hosts, folder: Path) -> None:
    hosts["b"].resolve_own_name_as("127.0.1.1")


def silent_port(hosts: Hosts, folder: Path) -> None:
    hosts["b"].close_port("1024:65535", "DROP")


def refusing_port(hosts: Hosts, folder: Path) -> None:
    hosts["a"].close_port("1024:65535", "REJECT")


def not_shared(hosts: Hosts, folder: Path) -> None:
    hosts["b"].own_folder(folder / "shared")


def other_shards(hosts: Hosts, folder: Path) -> None:
    (hosts["b"].own_folder(folder / "data") / "manifest.json").write_text("{}")


def no_shards(hosts: Hosts, folder: Path) -> None:
    hosts["b"].own_folder(folder / "data")


def no_disk(hosts: Hosts, folder: Path) -> None:
    hosts["b"].small_disk(folder / "shared", "1m")


def cut(hosts: Hosts, folder: Path) -> None:
    hosts.cut("b")


FAULTS: dict[str, tuple[Fault, str, str]] = {
    "its own name means 127.0.1.1": (own_name, "", r"b: its own name b means 127\.0\.1\.1 to it.*/etc/hosts"),
    "a wrong interface": (lambda hosts, folder: None, "interface: eth7\n", r"a: it has no network interface eth7"),
    "its ports are closed, silently": (silent_port, "", r"a: no connection to b, port \d+ \(timed out\)"),
    "its ports are closed, and say so": (
        refusing_port,
        "",
        r"b: no connection to a, port \d+ \((Connection refused|timed out)\)",
    ),
    "the run's folder is not shared": (not_shared, "", r"b: it does not see what is written into .*shared/run here"),
    "other shards": (other_shards, "", r"(a|b): \S+/data is another one than elsewhere"),
    "no shards": (no_shards, "", r"b: \S+/data is not there; .*kmask prepare"),
    "no disk": (no_disk, "", r"b: .* are free where"),
    "off, or cut": (cut, "", r"b: not reached over ssh \(.*timed out\)"),
}


@contextmanager
def mended(hosts: Hosts) -> Iterator[None]:
    """Everything is as it was afterwards."""
    try:
        yield
    finally:
        hosts.mend("b")
        for host in hosts:
            host.resolve_own_name_as(host.address)
            host.open_ports()
            for path in list(host.mounts):
                host.unmount(path)


def launch(hosts: Hosts, folder: Path, more: str, *verb: str) -> subprocess.CompletedProcess[str]:
    file, cluster = folder / "run.yaml", folder / "cluster.yaml"
    file.write_text(TINY_RUN.format(output=folder / "shared/run", data=folder / "data") + "threads: 1\n")
    hostfile = hosts.hostfile(folder / "hosts")
    cluster.write_text(f"kind: hostfile\npath: {hostfile}\nlauncher: ssh\nenvironment: {{DS_ACCELERATOR: cpu}}\n{more}")
    argv = [sys.executable, "-m", "launch.cli"]
    arguments = ["doctor", "--cluster", cluster, file] if verb == ("doctor",) else ["launch", cluster, file]
    return hosts["a"].run([*argv, *map(str, arguments)], cwd=ROOT, timeout=120)


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    (tmp_path / "shared").mkdir()
    (tmp_path / "data").mkdir()
    subprocess.run(["cp", "-r", f"{prepared}/.", str(tmp_path / "data")], check=True)
    return tmp_path


@pytest.mark.parametrize("fault", FAULTS)
def test_a_launch_is_refused_with_the_host_and_a_remedy_before_it_begins(
    fault: str, hosts: Hosts, folder: Path
) -> None:
    inject, more, words = FAULTS[fault]
    with mended(hosts):
        inject(hosts, folder)
        done = launch(hosts, folder, more)
    assert done.returncode == 2 and "nothing was started" in done.stderr
    assert re.search(words, done.stderr), done.stderr
    assert not (folder / "shared/run/attempts").exists()


def test_good_hosts_add_up_numbers_and_are_ready(hosts: Hosts, folder: Path) -> None:
    done = launch(hosts, folder, "", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ready" in done.stdout and "all-reduce over 2 processes: right" in done.stdout + done.stderr
    assert re.search(r"^a +10\.77\.0\.1 .* yes$", done.stdout, re.M) and re.search(
        r"^b +10\.77\.0\.2 ", done.stdout, re.M
    )
