"""The hosts that launching is proven on are hosts: names, ssh, cables, power, disks and processes of their own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest
from host import Host
from hosts import Hosts
from processes_inside import Command
from slowness import Turns

SHOW_ARGUMENTS = "import json, socket, sys; print(json.dumps([socket.gethostname(), *sys.argv[1:]]))"
LISTEN = """
import socket
server = socket.create_server(("", 7000))
print("listening", flush=True)
peer, _ = server.accept()
while data := peer.recv(1 << 16):
    print(data.decode(), end="", flush=True)
"""
SAY = """
import socket, sys
peer = socket.create_connection((sys.argv[1], 7000))
for line in sys.stdin:
    peer.sendall(line.encode())
"""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2).close()"
BUSY = """
import time
end = time.time() + 2
while time.time() < end:
    pass
print(time.process_time())
"""


def python(host: Host, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -c CODE ...` on a host."""
    return host.run([sys.executable, "-S", "-c", code, *arguments])


def line_of(process: Command) -> str:
    """The next line that a command prints."""
    output: IO[str] = process.stdout  # type: ignore[assignment]
    return output.readline()


def say(process: Command, text: str) -> None:
    """A line to a command's input."""
    source: IO[str] = process.stdin  # type: ignore[assignment]
    source.write(text + "\n")
    source.flush()


@pytest.mark.short
def test_each_host_has_its_own_name_and_reaches_the_other_by_name(hosts: Hosts) -> None:
    for own, other in (("a", "b"), ("b", "a")):
        assert hosts[own].run(["hostname"]).stdout == f"{own}\n"
        assert hosts[own].run(["getent", "hosts", other]).stdout.split() == [hosts[other].address, other]
        assert python(hosts[own], CONNECT, other, "22").returncode == 0
    assert [host.name for host in hosts] == ["a", "b"] and Path("/proc/sys/kernel/hostname").read_text() != "a\n"


@pytest.mark.short
def test_ssh_runs_a_command_with_blanks_and_quotes_both_ways(hosts: Hosts) -> None:
    words = ["two words", "it's", 'a "quote"', "$HOME", "`id`", "semi;colon", "new\nline", "星"]
    command = shlex.join([sys.executable, "-S", "-c", SHOW_ARGUMENTS, *words])
    for own, other in (("a", "b"), ("b", "a")):
        done = hosts[own].run(["ssh", other, command])
        assert (done.returncode, done.stderr) == (0, "") and json.loads(done.stdout) == [other, *words]


@pytest.mark.short
def test_a_remote_exit_code_comes_back_through_pdsh(hosts: Hosts) -> None:
    done = hosts["a"].run(["pdsh", "-S", "-R", "ssh", "-w", "a,b", "hostname; test $(hostname) = a || exit 9"])
    assert done.returncode == 9 and sorted(done.stdout.splitlines()) == ["a: a", "b: b"]


def test_a_variable_of_the_caller_reaches_the_command_but_no_ssh_session(hosts: Hosts) -> None:
    assert hosts["a"].run(["sh", "-c", "echo $SAID"], env={"SAID": "yes"}).stdout == "yes\n"
    assert hosts["a"].run(["ssh", "b", "echo $SAID"], env={"SAID": "yes"}).stdout == "\n"


def test_a_cut_cable_is_silent_and_a_mended_one_delivers_what_was_said(hosts: Hosts) -> None:
    listener = hosts["b"].popen([sys.executable, "-S", "-c", LISTEN])
    assert line_of(listener) == "listening\n"
    speaker = hosts["a"].popen([sys.executable, "-S", "-c", SAY, "b"], stdin=subprocess.PIPE)
    say(speaker, "before")
    assert line_of(listener) == "before\n"
    hosts.cut("b")
    say(speaker, "during")
    assert python(hosts["a"], CONNECT, "b", "22").returncode == 1
    assert (speaker.poll(), listener.poll()) == (None, None)
    hosts.mend("b")
    assert line_of(listener) == "during\n"
    assert speaker.communicate(timeout=30)[1] == ""
    assert listener.wait(timeout=30) == 0


@pytest.mark.parametrize("silent", [True, False])
def test_a_dead_host_says_nothing_or_ends_its_connections_and_starts_again(hosts: Hosts, silent: bool) -> None:
    listener = hosts["a"].popen([sys.executable, "-S", "-c", LISTEN])
    assert line_of(listener) == "listening\n"
    speaker = hosts["b"].popen([sys.executable, "-S", "-c", SAY, "a"], stdin=subprocess.PIPE)
    say(speaker, "here")
    assert line_of(listener) == "here\n"
    hosts["b"].die(silent=silent)
    assert hosts["b"].processes() == []
    assert speaker.wait(timeout=10) == -9
    if silent:
        with pytest.raises(subprocess.TimeoutExpired):
            listener.wait(timeout=1)
        listener.kill()
    assert (listener.wait(timeout=10) == 0) is not silent
    hosts["b"].start()
    assert hosts["a"].run(["ssh", "b", "hostname"]).stdout == "b\n"
    assert [process.command.split()[0] for process in hosts["b"].processes()] == ["sshd:"]


def test_a_limited_network_is_slow_in_both_directions_and_only_while_limited(hosts: Hosts, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(2_000_000))
    copies = [["scp", "-q", f"{file}", f"b:{file}.sent"], ["scp", "-q", f"b:{file}", f"{file}.got"]]

    def seconds(argv: list[str]) -> float:
        begun = time.monotonic()
        hosts["a"].run(argv, check=True)
        return time.monotonic() - begun

    free = [seconds(copy) for copy in copies]
    hosts["b"].limit("4mbit")
    limited = [seconds(copy) for copy in copies]
    hosts["b"].limit(None)
    again = [seconds(copy) for copy in copies]
    assert min(limited) > 3.5 > max(free + again), (free, limited, again)


@pytest.mark.parametrize("kind", ["as the machine allows", "in turns"])
def test_a_slow_host_computes_slowly(hosts: Hosts, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = hosts["b"]
    if kind == "in turns":
        monkeypatch.setattr(host, "slowness", Turns(host.outer_pids))
    host.slow(0.1)
    try:
        slow = float(python(host, BUSY).stdout)
    finally:
        host.slow(None)
    assert slow < 0.8 and slow < float(python(host, BUSY).stdout)


def test_a_closed_port_is_silent_or_refuses_and_opens_again(hosts: Hosts) -> None:
    for how, message in (("DROP", "timed out"), ("REJECT", "Connection refused")):
        hosts["b"].close_port(22, how)
        assert message in python(hosts["a"], CONNECT, "b", "22").stderr
        assert python(hosts["b"], CONNECT, "a", "22").returncode == 0
        hosts["b"].open_ports()
        assert python(hosts["a"], CONNECT, "b", "22").returncode == 0


def test_a_host_may_know_itself_by_another_address(hosts: Hosts) -> None:
    hosts["b"].resolve_own_name_as("127.0.1.1")
    found = [host.run(["getent", "ahostsv4", "b"]).stdout.split()[0] for host in hosts]
    hosts["b"].resolve_own_name_as(hosts["b"].address)
    assert found == [hosts["b"].address, "127.0.1.1"]
    assert hosts["b"].run(["getent", "ahostsv4", "b"]).stdout.split()[0] == hosts["b"].address


def test_folders_are_shared_unless_a_host_has_its_own(hosts: Hosts, tmp_path: Path) -> None:
    hosts["a"].run(["sh", "-c", "echo text > file"], cwd=tmp_path, check=True)
    assert hosts["b"].run(["cat", "file"], cwd=tmp_path).stdout == "text\n"
    place = hosts["b"].own_folder(tmp_path)
    hosts["b"].die()
    hosts["b"].start()
    hosts["b"].run(["sh", "-c", "echo other > new"], cwd=tmp_path, check=True)
    seen = [host.run(["ls"], cwd=tmp_path).stdout for host in hosts]
    hosts["b"].unmount(tmp_path)
    assert seen == ["file\n", "new\n"] and (place / "new").read_text() == "other\n"
    assert hosts["b"].run(["ls"], cwd=tmp_path).stdout == "file\n"


def test_a_small_disk_fills_up_in_one_host_alone(hosts: Hosts, tmp_path: Path) -> None:
    hosts["b"].small_disk(tmp_path, "64k")
    done = [host.run(["sh", "-c", "head -c 200000 /dev/zero > file"], cwd=tmp_path) for host in hosts]
    hosts["b"].unmount(tmp_path)
    assert done[0].returncode == 0 and "No space left" in done[1].stderr


def test_a_kill_by_name_stays_inside_and_pids_and_ranks_are_those_inside(hosts: Hosts) -> None:
    sleepers = [host.popen(["sleep", "98765"], env={"RANK": str(rank)}) for rank, host in enumerate(hosts)]
    while not all(host.processes("^sleep 98765$") for host in hosts):
        time.sleep(0.01)
    (found,) = hosts["a"].processes("^sleep 98765$")
    assert found.rank == 0 and found.outer == sleepers[0].outer() != found.pid
    assert hosts["b"].run(["sh", "-c", "pkill -f '^sleep 98765'"]).returncode == 0
    assert sleepers[1].wait(timeout=10) == -15 and sleepers[0].poll() is None
    hosts["a"].signal(found.pid, 10)
    assert sleepers[0].wait(timeout=10) == -10


def test_signals_reach_the_command_and_ctrl_c_its_group(hosts: Hosts) -> None:
    command = hosts["a"].popen(["sh", "-c", "trap 'exit 5' TERM; echo ready; sleep 50 & wait"])
    assert line_of(command) == "ready\n"
    command.terminate()
    assert command.wait(timeout=10) == 5
    group = hosts["a"].popen(["sh", "-c", "trap : INT; echo ready; sh -c 'sleep 51'; echo code $?"])
    assert line_of(group) == "ready\n"
    while not hosts["a"].processes("^sleep 51$"):
        time.sleep(0.01)
    group.interrupt()
    assert line_of(group) == "code 130\n" and group.wait(timeout=10) == 0
    hosts["a"].run(["pkill", "sleep"])
    assert not hosts["a"].processes("sleep")


def test_a_command_that_takes_too_long_is_killed_with_its_words_kept(hosts: Hosts) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        hosts["a"].run(["sh", "-c", "echo so far; sleep 52"], timeout=1)
    assert "so far" in caught.value.__notes__[0]
    assert not hosts["a"].processes("sleep 52")
