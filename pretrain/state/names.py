"""Names of checkpoints: folders ``step-`` and eight digits. Imports nothing heavy: launchers and reports look for them,
too."""

from __future__ import annotations

import re
from pathlib import Path

NAME = re.compile(r"step-\d{8}")


def candidates(folder: Path) -> list[Path]:
    """Folders that are named like checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if NAME.fullmatch(path.name) and path.is_dir())


def step_of(path: Path) -> int:
    """The step that a checkpoint's name tells."""
    return int(path.name[-8:])
