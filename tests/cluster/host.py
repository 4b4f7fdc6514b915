"""One host: namespaces for network, names, processes and mounts, with an address, a home, a disk and sshd of its own.

All files of the machine are visible in it under the same paths. Its own are /run, /dev/shm, root's home, /etc/hosts,
/etc/passwd and what `bind`, `own_folder` and `small_disk` put there; its network is its eth0 alone. It ends with the
process that made it: nothing of it has a name that could be left behind.
"""

from __future__ import annotations

import ipaddress
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from machine import tool
from processes_inside import HOLD, Command, Inner, children_of, list_processes
from slowness import slowness
from switch import Switch, shape

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SPACES = ("--net", "--uts", "--ipc", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
SETUP = """
echo {name} > /proc/sys/kernel/hostname
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd /run/lock
mount -t tmpfs tmpfs /dev/shm
for file in hosts passwd shadow; do mount --bind {disk}/$file /etc/$file; done
ip link set lo up
ip address add {address}/24 dev eth0
ip link set eth0 up
{sshd} -f {disk}/sshd_config -E {disk}/sshd.log
"""


class Host:
    """A host of `Hosts`."""

    def __init__(self, name: str, address: str, addresses: Mapping[str, str], disk: Path, switch: Switch) -> None:
        """``addresses`` are those of all hosts; ``disk`` is a folder that only this host uses."""
        self.name = name
        self.address = address
        self.addresses = addresses
        self.disk = disk
        self.home = disk / "home"
        self.switch = switch
        self.holder: subprocess.Popen[bytes] | None = None
        self.init = 0
        self.mounts: dict[str, list[str]] = {}
        self.closed_ports: list[list[str]] = []
        self.slowness = slowness(disk.parent.name, name, self.outer_pids)

    def start(self) -> None:
        """Switch it on: nothing runs in it but sshd; its files, mounts and closed ports are as they were."""
        assert not self.init, f"host {self.name} runs"
        waiting = [tool("unshare"), *SPACES, "env", "--ignore-signal=CHLD", "sleep", "infinity"]
        argv = self.slowness.inside([tool("setpriv"), "--pdeathsig", "KILL", *waiting])
        words = self.disk / "namespaces.log"
        with words.open("w") as log:
            self.holder = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        self.init = first_process(self.holder, words)
        self.write_names(self.address)
        self.switch.plug(self.name, self.init, f"02:6b:6d:00:00:{int(self.address.rpartition('.')[2]):02x}")
        setup = SETUP.format(name=self.name, address=self.address, disk=shlex.quote(str(self.disk)), sshd=tool("sshd"))
        self.run(["sh", "-ec", setup], check=True)
        for arguments in (*self.mounts.values(), *self.closed_ports):
            self.run(arguments, check=True)

    def die(self, silent: bool = True) -> None:
        """End everything in it at once, as a power cut does: peers hear nothing more. With ``silent=False`` as a kill
        of all its processes: the kernel closes their connections."""
        if not self.init:
            return
        if silent:
            self.switch.cut(self.name)
        self.kill()
        self.switch.unplug(self.name)

    def kill(self) -> None:
        """End its first process; that one ends when all others have ended."""
        if self.init:
            with suppress(ProcessLookupError):
                os.kill(self.init, signal.SIGKILL)
        elif self.holder is not None:
            self.holder.kill()
        if self.holder is not None:
            self.holder.wait(timeout=30)
        self.init = 0

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self.slowness.close()

    def popen(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] = "/",
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = subprocess.PIPE,
    ) -> Command:
        """Start a command in the host, in a session of its own; ``env`` comes on top of that of a login."""
        spaces = ["--net", "--uts", "--ipc", "--pid", "--mount", "--no-fork"]
        enter = [tool("nsenter"), "--target", str(self.init), *spaces, sys.executable, "-I", "-S", "-c", HOLD]
        command = self.slowness.inside([*enter, os.fspath(cwd), *map(os.fspath, argv)])
        environment = {**self.environment(), **(env or {})}
        return Command(command, env=environment, cwd="/", stdin=stdin, stdout=stdout, stderr=stderr, text=True)

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] = "/",
        timeout: float = 60,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the host to its end.

        Raises:
            subprocess.TimeoutExpired: with what it has printed as notes; the command and its group are killed.
            AssertionError: with ``check``, for a return code other than 0.
        """
        process = self.popen(argv, env=env, cwd=cwd)
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            process.kill_group()
            with suppress(subprocess.TimeoutExpired):  # a child that left the group may hold the pipes
                error.add_note("\n".join(process.communicate(timeout=5)))
            raise
        done = subprocess.CompletedProcess(list(map(os.fspath, argv)), process.returncode, output, errors)
        assert not check or done.returncode == 0, f"{self.name}: {done.args} -> {done.returncode}\n{output}{errors}"
        return done

    def environment(self) -> dict[str, str]:
        """Variables of a login of root with this interpreter's environment activated."""
        names = {"HOME": str(self.home), "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash", "LANG": "C.UTF-8"}
        return {**names, "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}"}

    def processes(self, pattern: str = "") -> list[Inner]:
        """Its living processes whose command line matches a regular expression, by id; none when it is off."""
        return list_processes(self.init, pattern) if self.init else []

    def outer_pids(self) -> list[int]:
        """Ids of its processes as they are outside."""
        return [process.outer for process in self.processes()]

    def signal(self, pid: int, number: int) -> None:
        """Send a signal inside the host to a process by its id there."""
        self.run(["sh", "-c", 'kill -"$0" "$1"', str(int(number)), str(pid)], check=True)

    def resolve_own_name_as(self, address: str = "127.0.1.1") -> None:
        """Change what its /etc/hosts says of its own name; others see no difference."""
        self.write_names(str(ipaddress.ip_address(address)))

    def write_names(self, own: str) -> None:
        """Its /etc/hosts, written in place: it is mounted by itself."""
        known = {**self.addresses, self.name: own}
        lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
        lines += [f"{address}\t{name}" for name, address in known.items()]
        (self.disk / "hosts").write_text("\n".join(lines) + "\n")

    def limit(self, rate: str | None) -> None:
        """Let at most ``rate`` (tc's `10mbit`, `1gbit`) through its network interface in each direction; None: all."""
        self.run(["sh", "-ec", shape("eth0", rate)], check=True)
        self.switch.shape(self.name, rate)

    def close_port(self, port: int | str, how: str = "DROP") -> None:
        """Let no TCP connection in at a port or range (`1024:65535`): iptables' `DROP` is silent, `REJECT` answers."""
        rule = [tool("iptables"), "-A", "INPUT", "-i", "eth0", "-p", "tcp", "--syn", "--dport", str(port), "-j", how]
        self.run(rule, check=True)
        self.closed_ports.append(rule)

    def open_ports(self) -> None:
        """Undo every `close_port`."""
        self.run([tool("iptables"), "-F", "INPUT"], check=True)
        self.closed_ports.clear()

    def bind(self, source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
        """Let a file or folder be seen at another path, in this host alone: other code, other shards."""
        self.mount(["mount", "--bind", os.fspath(source), os.fspath(target)])

    def own_folder(self, path: str | os.PathLike[str]) -> Path:
        """Let a folder be this host's own and empty, so not shared; returns where its files lie for all to see."""
        own = self.disk / "own" / os.fspath(path).strip("/").replace("/", "_")
        own.mkdir(parents=True, exist_ok=True)
        self.bind(own, path)
        return own

    def small_disk(self, path: str | os.PathLike[str], size: str = "1m") -> None:
        """Let a folder be an empty disk of ``size``, in this host alone."""
        self.mount(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", os.fspath(path)])

    def mount(self, argv: list[str]) -> None:
        """Mount now and at every start."""
        self.run(argv, check=True)
        self.mounts[argv[-1]] = argv

    def unmount(self, path: str | os.PathLike[str]) -> None:
        """Undo a `bind`, `own_folder` or `small_disk`."""
        self.run(["umount", "--lazy", os.fspath(path)], check=True)
        del self.mounts[os.fspath(path)]

    def slow(self, processors: float | None) -> None:
        """Give all its processes together so much of the machine's processors (0.1: one busy thread takes ten times as
        long); None: all. `slowness.how` says by what means."""
        self.slowness.set(processors)


def first_process(holder: subprocess.Popen[bytes], words: Path) -> int:
    """The id, outside, of the first process of a new host, once its namespaces are complete."""
    deadline = time.monotonic() + 30
    while holder.poll() is None and time.monotonic() < deadline:
        for child in children_of(holder.pid):
            with suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text() == "sleep\n":
                    return child
        time.sleep(0.005)
    raise RuntimeError(f"the namespaces of a host were not made (code {holder.poll()}): {words.read_text().strip()}")
