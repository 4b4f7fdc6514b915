"""The switch between hosts: a bridge in a network namespace of its own, with one port a host."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path

from machine import SEARCHED, tool


class Switch:
    """Ports are named as their hosts."""

    def __init__(self) -> None:
        argv = [tool("setpriv"), "--pdeathsig", "KILL", tool("unshare"), "--net", "sleep", "infinity"]
        self.holder = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, cwd="/")
        try:
            self.wait()
            self.run("ip link set lo up; ip link add name switch type bridge; ip link set switch up")
        except BaseException:
            self.close()
            raise

    def wait(self) -> None:
        """Until its namespace stands."""
        deadline = time.monotonic() + 30
        while Path(f"/proc/{self.holder.pid}/comm").read_text() != "sleep\n":
            if self.holder.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the switch was not made (code {self.holder.poll()})")
            time.sleep(0.005)

    def run(self, script: str) -> None:
        """A script of `ip` and `tc` in its namespace."""
        argv = [tool("nsenter"), "--target", str(self.holder.pid), "--net", "sh", "-ec", script]
        done = subprocess.run(argv, env={"PATH": SEARCHED}, capture_output=True, text=True)
        assert done.returncode == 0, f"switch: {script!r} -> {done.returncode}\n{done.stdout}{done.stderr}"

    def plug(self, host: str, init: int, hardware: str) -> None:
        """Connect the host whose first process is ``init`` by an eth0 with that hardware address."""
        port = shlex.quote(host)
        self.run(
            f"ip link add name {port} type veth peer name eth0 address {hardware} netns {init};"
            f"ip link set dev {port} master switch; ip link set dev {port} up"
        )

    def unplug(self, host: str) -> None:
        """Take a port away."""
        port = shlex.quote(host)  # the end of a host may have removed it
        self.run(f"ip link delete dev {port} 2> /dev/null || ! ip link show dev {port} > /dev/null 2>&1")

    def cut(self, host: str) -> None:
        """Let nothing through a port; connections stay open and silent."""
        self.run(f"ip link set dev {shlex.quote(host)} down")

    def mend(self, host: str) -> None:
        """Undo `cut`."""
        self.run(f"ip link set dev {shlex.quote(host)} up")

    def shape(self, host: str, rate: str | None) -> None:
        """Limit what goes to a host."""
        self.run(shape(host, rate))

    def close(self) -> None:
        """Switch it off."""
        self.holder.kill()
        self.holder.wait(timeout=30)


def shape(interface: str, rate: str | None) -> str:
    """A script that limits what leaves an interface (tc's `10mbit`), or takes the limit away."""
    name = shlex.quote(interface)
    if rate is None:
        return f"! tc qdisc show dev {name} | grep -q tbf || tc qdisc delete dev {name} root"
    return f"tc qdisc replace dev {name} root tbf rate {shlex.quote(rate)} burst 128kb latency 200ms"
