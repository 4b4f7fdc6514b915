"""Variables of processes: those that may stand in a cluster file, and those that only their owner may read."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET = re.compile(
    r"PASS|SECRET|CREDENTIAL|(^|_)[A-Z]*(TOKEN|PWD)(_|$)|(^|_)PAT(_|$)|(^|_|API|ACCESS)KEY(_|$)", re.IGNORECASE
)
"""Names of variables that look like secrets."""


def read_variables(file: Path) -> dict[str, str]:
    """``NAME=value`` lines of a file that only its owner may read.

    Raises:
        ValueError: it is not there, others can read it, or a line is none.
    """
    if not file.is_file():
        raise ValueError(f"environment_file {file}: no such file on {os.uname().nodename}")
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"environment_file {file}: others than its owner can read it; `chmod 600` it")
    found = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not sign or not name.strip():
            raise ValueError(f"environment_file {file}, line {number}: write NAME=value")
        found[name.strip()] = value.strip()
    return found
