"""Hosts for the tests here. Without root or a program they need, tests skip themselves and say why; without
`tests/cluster` on the command line only those marked `short` run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults_told import HEAD, ROWS
from hosts import Hosts
from launched import Launched
from machine import why_no_hosts, why_no_slurm
from slurm import Slurm

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the long tests of this folder unless it, or a file of it, was asked for."""
    places = [Path(config.invocation_params.dir, argument.partition("::")[0]).resolve() for argument in config.args]
    if any(place.is_relative_to(HERE) for place in places):
        return
    later = pytest.mark.skip(reason="several hosts: run `make test-cluster`")
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("short") is None:
            item.add_marker(later)


@pytest.fixture(scope="session")
def hosts_possible() -> None:
    """Skip where hosts cannot be made."""
    if why := why_no_hosts():
        pytest.skip(why)


@pytest.fixture(scope="session")
def slurm_possible() -> None:
    """Skip where Slurm cannot run in hosts."""
    if why := why_no_slurm():
        pytest.skip(why)


@pytest.fixture(scope="module")
def hosts(hosts_possible: None) -> Iterator[Hosts]:
    """Two hosts, `a` and `b`, for all tests of a file: leave them as they were."""
    with Hosts(2) as made:
        yield made


@pytest.fixture(scope="module")
def slurm(slurm_possible: None, hosts: Hosts) -> Iterator[Slurm]:
    """Slurm on the two hosts."""
    with Slurm(hosts) as made:
        yield made


@pytest.fixture
def nothing_left(hosts: Hosts) -> Iterator[None]:
    """What a failed test left running ends."""
    yield
    for host in hosts:
        for process in host.processes(r"launch\.cli|deepspeed\.launcher") if host.init else ():
            host.signal(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def undisturbed(hosts: Hosts, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, float]]:
    """The losses of a run that nobody disturbs, on the two hosts."""
    launched = Launched(hosts, tmp_path_factory.mktemp("undisturbed"), "whole", prepared, restarts=0)
    launched.start()
    code, text = launched.wait()
    assert code == 0, text
    yield launched.losses()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of faults that were injected."""
    if ROWS:
        terminalreporter.write_line("\n".join(["", HEAD, *ROWS]))
