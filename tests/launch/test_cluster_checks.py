"""What is wrong with the machines of a cluster, told before a run begins on them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import ROOT

from launch.backends.local import free_port
from launch.cluster import checks
from launch.cluster.checks import Asked, Machine, answer, problems, table
from launch.cluster.probe import probe
from launch.cluster.reach import reach, why_not

GOOD: dict[str, Any] = {
    **{"host": "a", "own_addresses": ["10.0.0.1"], "python": "3.11.7", "packages": {"torch": "2.13.0", "numba": "1"}},
    **{"code": "c0de", "files": {"run.yaml": "f11e"}, "data": {"zh": "da7a"}, "cores": 8, "gpus": ["H200"]},
    **{"free": 10**12, "shared": True, "interface": True, "skew": 0.1},
}
ASKED = Asked(Path("/shared/run"), ["run.yaml"], ["zh"], "", "python", "/work", [])


def machines(**changes: Any) -> list[Machine]:
    return [Machine("a", GOOD, ""), Machine("b", {**GOOD, "host": "b", **changes}, ""), Machine("c", GOOD, "")]


def test_equal_machines_have_no_problem() -> None:
    assert list(problems(machines(), ASKED)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"own_addresses": ["127.0.1.1"]}, "its own name b means 127.0.1.1 to it.*/etc/hosts.*interface"),
        ({"own_addresses": []}, "its own name b means nothing"),
        ({"shared": False}, "does not see what is written into /shared/run here"),
        ({"free": 1000}, "1.0 kB are free"),
        ({"skew": 90.0}, "its clock is 90 s away"),
        ({"interface": False}, "no network interface"),
        ({"python": "3.12.1"}, "Python is 3.12.1, elsewhere 3.11.7"),
        ({"code": "0ther"}, "code of kmask is 0ther, elsewhere c0de"),
        ({"packages": {"torch": "2.12.0", "numba": "1"}}, "torch is 2.12.0, elsewhere 2.13.0"),
        ({"packages": {"torch": "missing", "numba": "1"}}, "package torch is missing"),
        ({"files": {"run.yaml": ""}}, "run.yaml is not there"),
        ({"files": {"run.yaml": "0ther"}}, "run.yaml is another one than elsewhere"),
        ({"data": {"zh": ""}}, "zh is not there.*kmask prepare"),
        ({"data": {"zh": "0ther"}}, r"zh is another one than elsewhere \(0ther, not da7a\)"),
    ],
)
def test_each_problem_is_told_once_with_its_machine_and_a_remedy(changes: dict[str, Any], words: str) -> None:
    import re

    (told,) = problems(machines(**changes), ASKED)
    assert told.startswith("b: ") and re.search(words, told), told


def test_an_interface_makes_the_own_name_unimportant() -> None:
    found = machines(own_addresses=["127.0.1.1"])
    assert list(problems(found, ASKED._replace(interface="eth0"))) == []


def test_a_machine_that_does_not_answer_is_told_with_what_ssh_said() -> None:
    silent = subprocess.CompletedProcess([], 255, "", "ssh: connect to host b port 22: Connection refused\n")
    found = answer("b", silent, "t0ken", time.time(), ASKED)
    (told,) = problems([Machine("a", GOOD, ""), found], ASKED)
    assert "not reached over ssh (ssh: connect to host b port 22: Connection refused)" in told
    other = subprocess.CompletedProcess([], 127, "", "sh: python: not found\n")
    assert "python in /work does not run there" in answer("b", other, "t0ken", time.time(), ASKED).trouble
    assert "not reached" in "\n".join(table([found, Machine("a", GOOD, "")]))


def test_a_machine_says_what_it_is_within_the_project_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.token").write_text("t0ken")
    (tmp_path / "run.yaml").write_text("a: 1")
    asked = {
        "output": str(tmp_path / "run"),
        "files": [str(tmp_path / "run.yaml")],
        "data": ["/none"],
        "interface": "lo",
    }
    argv = [sys.executable, "-X", "importtime", "-m", "launch.cluster.probe", json.dumps(asked)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    heavy = ("torch", "deepspeed", "numpy", "transformers")
    assert not [line for line in done.stderr.splitlines() if line.rpartition("|")[2].strip() in heavy]
    result = subprocess.CompletedProcess([], 0, "a motto of the day\n" + done.stdout, "")
    found = answer("me", result, "t0ken", time.time() - 60, ASKED)
    assert found.found["shared"] and found.found["interface"] and found.found["data"] == {"/none": ""}
    assert found.found["skew"] == 0 and found.found["code"] == probe(asked)["code"]
    assert not answer("me", result, "another", time.time(), ASKED).found["shared"]


def test_machines_that_cannot_connect_are_told_in_pairs_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "a": '{"a": "", "b": "timed out", "c": ""}',
        "b": '{"": "port 29500: Address already in use"}',
        "c": "no JSON",
    }

    def on_all(commands: Any, seconds: float) -> Any:
        return {name: subprocess.CompletedProcess(argv, 0, said[name] + "\n", "") for name, argv in commands.items()}

    monkeypatch.setattr(checks, "on_all", on_all)
    told = list(checks.connections([Machine(name, GOOD, "") for name in "abc"], ASKED))
    assert told[0].startswith("a: no connection to b, port 29500 (timed out); is a firewall between them")
    assert told[1] == "b: port 29500: Address already in use; name another `port` in the cluster file"
    assert told[2].startswith("c: it could not try") and len(told) == 3


def test_a_machine_reaches_who_listens_and_says_why_it_does_not() -> None:
    port = free_port()
    assert reach(port, ["127.0.0.1", "localhost"], 10) == {"127.0.0.1": "", "localhost": ""}
    with socket.create_server(("", port)) as taken:
        with pytest.raises(OSError, match="in use"):
            reach(port, [], 1)
        threading.Thread(target=lambda: taken.accept()[0].sendall(b"HTTP/1")).start()
        assert why_not("127.0.0.1", port) == "something else listens there"
    assert why_not("127.0.0.1", port) == "Connection refused"
    assert "known" in why_not("no-such-host.invalid", port) or "resolution" in why_not("no-such-host.invalid", port)
