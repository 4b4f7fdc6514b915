"""Two to four hosts on one machine, made of Linux namespaces, for tests of what runs on several.

    with Hosts(2) as hosts:
        hosts["a"].run(["ssh", "b", "hostname"]).stdout       # "b\\n"
        hosts.cut("b")                                        # its cable; hosts.mend("b")
        hosts["b"].die()                                      # its power; hosts["b"].start()

Each host has its own name, address on a bridge, process ids, /etc/hosts, home of root and sshd (host.py); files are
the machine's, under the same paths: a folder of the test is the shared folder. All have the machine's clock. There is
no way out of their network. Everything ends with the process that made it, also by `kill -9`: namespaces are held by
processes that the kernel ends then; folders and CPU groups are removed by the next start (machine.py).
"""

from __future__ import annotations

import shutil
import string
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from host import Host
from login import write_keys
from machine import new_folder, remove_leftovers
from switch import Switch

NETWORK = "10.77.0"


class Hosts:
    """Hosts by name; a context that makes and removes them."""

    def __init__(self, names: int | Sequence[str] = 2) -> None:
        """Names of the hosts, or how many: then `a`, `b`, ..."""
        self.names = list(string.ascii_lowercase[:names] if isinstance(names, int) else names)
        self.addresses = {name: f"{NETWORK}.{number}" for number, name in enumerate(self.names, 1)}
        self.hosts: dict[str, Host] = {}

    def __enter__(self) -> Hosts:
        remove_leftovers()
        with ExitStack() as made:
            self.folder = new_folder()
            made.callback(shutil.rmtree, self.folder, ignore_errors=True)
            disks = {name: (address, self.folder / name) for name, address in self.addresses.items()}
            write_keys(self.folder, disks)
            self.switch = Switch()
            made.callback(self.switch.close)
            for name, (address, disk) in disks.items():
                host = self.hosts[name] = Host(name, address, self.addresses, disk, self.switch)
                made.callback(host.close)
                host.start()
            self.made = made.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.made.close()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    def cut(self, name: str) -> None:
        """Pull a host's cable: nothing comes or goes, its connections stay open and silent."""
        self.switch.cut(name)

    def mend(self, name: str) -> None:
        """Plug it in again."""
        self.switch.mend(name)

    def hostfile(self, file: Path, slots: int = 1) -> Path:
        """Write a hostfile of all hosts with ``slots`` processes each; returns ``file``."""
        file.write_text("".join(f"{name} slots={slots}\n" for name in self.names))
        return file
