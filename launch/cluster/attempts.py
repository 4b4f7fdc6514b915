"""Starts of a run, each in a folder of its own: what was started, with which settings, by which code.

    RUN/attempts/0002-9f3c/  start.json          what enter.py on every machine needs
                             configuration.json  the run's settings, recipes and overrides included
                             command.txt         the commands, as a shell takes them
                             versions.json       Python, packages, git commit, machine, time

None holds a secret: variables that look like one are refused, and the file that holds them is only named.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import secrets
import shlex
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launch.backends import Backend, Command, Start

FOLDER = "attempts"
PACKAGES = ("kmask", "torch", "deepspeed", "transformers", "tokenizers", "numpy")


def new_start(backend: Backend, arguments: Sequence[str], output: Path, left_out: Sequence[str] = ()) -> Start:
    """A folder for the next start."""
    attempts = output.absolute() / FOLDER
    attempts.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.name[:4]) for path in attempts.iterdir() if path.name[:4].isdigit()), default=0)
    folder = attempts / f"{number:04d}-{secrets.token_hex(3)}"
    folder.mkdir()
    told = list(arguments)
    if backend.timeout_minutes:
        told.append(f"engine.timeout_minutes={backend.timeout_minutes:g}")
    value = {
        "arguments": told,
        "environment": backend.variables(),
        "environment_file": backend.environment_file,
        "python": backend.interpreter(),
        "folder": backend.workplace(),
    }
    (folder / "start.json").write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
    return Start(told, output.absolute(), folder, tuple(left_out))


def record(start: Start, commands: Sequence[Command], settings: Any) -> None:
    """What was started, for whoever asks later."""
    lines = []
    for command in commands:
        variables = [f"{name}={shlex.quote(value)}" for name, value in command.environment.items()]
        lines.append(" ".join([*variables, shlex.join(command.argv)]))
    (start.folder / "command.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = json.dumps(settings, indent=1, ensure_ascii=False)
    (start.folder / "configuration.json").write_text(text, encoding="utf-8")
    (start.folder / "versions.json").write_text(json.dumps(versions(), indent=1), encoding="utf-8")


def versions() -> dict[str, str]:
    """What ran, where and when."""
    found = {"python": platform.python_version(), "host": socket.gethostname()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    found["git"] = commit()
    found["time"] = time.strftime("%Y-%m-%d %H:%M:%S %z")
    return found


def commit() -> str:
    """The commit of this code, marked where files differ from it; empty outside a repository."""
    place = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(
            ["git", "-C", str(place), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
