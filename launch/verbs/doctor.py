"""`kmask doctor`: what this machine has."""

from __future__ import annotations

import typer

from launch.machine.doctor import examine


def doctor() -> None:
    """Look at this machine: versions, GPUs, memory, disk, compilers, and what is missing."""
    raise typer.Exit(examine())
