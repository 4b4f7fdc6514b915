"""Two hosts in a few seconds, for `make test`: a rank on another host is killed, is named, and the run that is started
again ends in the losses of an undisturbed one.

The ranks are forked (tests/commands.py) and enter the network and the name of their hosts, which saves what real starts
cost; how real ones find their hosts stands in test_same_losses.py and test_launch.py.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import commands
import pytest
from hosts import NETWORK, Hosts
from tiny import TINY_RUN

from launch.backends import Backend, Command, Session, Start
from launch.cluster import starts
from launch.shell.exit_codes import DONE

ENTER = """
import ctypes, os, sys
for space in ("uts", "net"):
    handle = os.open(f"/proc/{sys.argv[1]}/ns/{space}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(handle, 0):
        raise OSError(ctypes.get_errno(), f"setns {space}")
    os.close(handle)
os.chdir(sys.argv[2])
sys.argv[:] = ["kmask", *sys.argv[3:]]
from launch.cli import main
main()
"""
ADDRESS = f"{NETWORK}.1"
HOSTS: dict[str, int] = {}
"""The first processes of the hosts."""


@dataclass(frozen=True, kw_only=True)
class Entered(Backend):
    """A rank on each of two hosts, forked into it."""

    def world(self) -> tuple[int, int]:
        return 2, 0

    def commands(self, start: Start) -> list[Command]:
        place = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": ADDRESS}
        place |= {"MASTER_PORT": "29500", "GLOO_SOCKET_IFNAME": "eth0"}
        own = {"KMASK_ATTEMPT": start.name, "KMASK_RUN": str(start.output)}
        return [
            Command(["-c", ENTER, str(HOSTS[name]), os.getcwd(), *start.arguments], {**place, **own, "RANK": str(rank)})  # noqa: PTH109
            for rank, name in enumerate("ab")
        ]

    def begin(self, start: Start) -> Session:
        return Ranks(self.commands(start), start.output)


class Ranks(Session):
    """The two processes."""

    def __init__(self, started: list[Command], output: Path) -> None:
        self.ranks = []
        for number, command in enumerate(started):
            with (output / f"said-{number}").open("ab") as said:
                argv = [sys.executable, *command.argv]
                environment = {**os.environ, **command.environment}
                self.ranks.append(commands.Forked(argv, env=environment, stdout=said, stderr=said))

    def poll(self) -> int | None:
        codes = [rank.poll() for rank in self.ranks]
        return None if None in codes else next((1 for code in codes if code), DONE)

    def ask(self) -> None:
        """They read it in the run's folder."""

    def end(self) -> None:
        for rank in self.ranks:
            if rank.poll() is None:
                rank.kill()
            rank.wait()


def losses(output: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss/knowledge_masking"] for line in lines if line["event"] == "train"}


def trained(folder: Path, name: str, prepared: Path, restarts: int) -> int:
    file = folder / f"{name}.yaml"
    file.write_text(TINY_RUN.format(output=folder / name, data=prepared) + "threads: 1\n")
    changes = ["evaluation.every=0", "stages.0.steps=8"]
    (folder / name).mkdir()
    return starts.run(Entered(max_restarts=restarts), ["train", str(file), *changes], folder / name, {}, 600.0)


def kill_the_other(output: Path) -> None:
    """Kill the rank on `b` in its first start, once something is saved."""
    while not (output / "checkpoints/step-00000004").is_dir():
        time.sleep(0.01)
    (file,) = (output / "ranks").glob("*/rank-1.json")
    told = json.loads(file.read_text())
    assert told["host"] == "b"
    os.kill(told["process"], signal.SIGKILL)


@pytest.mark.short
def test_a_killed_rank_on_another_host_is_named_and_the_next_start_goes_on_exactly(
    hosts_possible: None, prepared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Hosts(2) as hosts:
        HOSTS.update({host.name: host.init for host in hosts})
        assert trained(tmp_path, "whole", prepared, 0) == 0, (tmp_path / "whole/said-0").read_text()[-2000:]
        killer = threading.Thread(target=kill_the_other, args=(tmp_path / "run",))
        killer.start()
        assert trained(tmp_path, "run", prepared, 1) == 0, (tmp_path / "run/said-0").read_text()[-2000:]
        killer.join()
    told = capfd.readouterr().err
    assert "rank 1 on b (process" in told and "vanished" in told and "starting again (1 of 1" in told
    assert len(list((tmp_path / "run/attempts").iterdir())) == 2
    assert losses(tmp_path / "run") == losses(tmp_path / "whole") and len(losses(tmp_path / "run")) == 12
