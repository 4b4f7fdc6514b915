"""The names of our packages are generic (ROS 2 has a `launch`) and pip overwrites silently: make sure they are ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGES = ("data_prep", "masking", "pretrain", "launch")


def check_packages() -> None:
    """Raise ValueError naming the foreign package when one of ours is shadowed or overwritten."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        place = Path(found.origin).resolve().parent if found and found.origin else None
        if place is None or place.parent != home:
            where = f"at {place}" if place else "(not found)"
            raise ValueError(
                f"package `{name}` {where} is not kmask's ({home / name}). Install kmask in an environment of its own."
            )
