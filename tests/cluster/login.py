"""What makes ssh from every host to every host work: keys, known hosts, a home of its own for root, a server."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from machine import tool

SERVER = """\
Port 22
HostKey {folder}/host_key
PidFile /run/sshd.pid
AuthorizedKeysFile {home}/.ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
PrintLastLog no
Subsystem sftp internal-sftp
"""
CLIENT = """\
Host *
  StrictHostKeyChecking yes
  BatchMode yes
"""


def write_keys(folder: Path, hosts: Mapping[str, tuple[str, Path]]) -> None:
    """Keys of ``hosts`` (name: address and folder), and in the home of each one user key that all of them let in."""
    user = new_key(folder / "user_key")
    known = ""
    for name, (address, disk) in hosts.items():
        disk.mkdir(parents=True)
        known += f"{name},{address} {new_key(disk / 'host_key')}"
    for _, disk in hosts.values():
        home = disk / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        for file, text in (
            ("id_ed25519", (folder / "user_key").read_text()),
            *(("authorized_keys", user), ("known_hosts", known), ("config", CLIENT)),
        ):
            (home / ".ssh" / file).touch(mode=0o600)
            (home / ".ssh" / file).write_text(text)
        (disk / "sshd_config").write_text(SERVER.format(folder=disk, home=home))
        write_accounts(disk, home)


def new_key(file: Path) -> str:
    """Make a key without a passphrase; returns the public half."""
    made = [tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "kmask", "-f", str(file)]
    subprocess.run(made, check=True, stdin=subprocess.DEVNULL)
    return file.with_suffix(".pub").read_text()


def write_accounts(disk: Path, home: Path) -> None:
    """The machine's accounts with another home for root and no password."""
    lines = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines() if line]
    rewritten = [[*line[:5], str(home), line[6]] if line[0] == "root" else line for line in lines]
    (disk / "passwd").write_text("".join(":".join(line) + "\n" for line in rewritten))
    (disk / "shadow").touch(mode=0o600)
    (disk / "shadow").write_text("".join(f"{line[0]}:*:20000:0:99999:7:::\n" for line in lines))
