"""A file of one JSON object a line, written by a run that may be killed and may find the disk full."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from data_prep.files import write_atomic


def finite(value: Any) -> Any:
    """``value`` as JSON can write it: a number that is none becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


class Lines:
    """A file of one JSON object a line. A full disk does not end the run: lines wait in memory and are written with a
    later one."""

    def __init__(self, file: Path, say: Callable[[str], None]) -> None:
        self.file, self.say = file, say
        self.waiting: list[str] = []
        self.count = 0
        """Lines in all, those that wait included."""

    def read(self) -> list[dict[str, Any]]:
        """All lines; a half-written last one is left out."""
        if not self.file.exists():
            return []
        found = []
        for line in self.file.read_text(encoding="utf-8", errors="replace").split("\n"):
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [item for item in found if isinstance(item, dict)]

    def keep(self, count: int) -> list[dict[str, Any]]:
        """Forget all lines but the first so many; returns those."""
        self.waiting.clear()
        kept = self.read()[:count]
        if self.file.exists():
            write_atomic(self.file, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in kept))
        self.count = len(kept)
        return kept

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line, and those that wait."""
        self.count += 1
        self.waiting.append(json.dumps(finite(record), ensure_ascii=False, allow_nan=False) + "\n")
        before = self.file.stat().st_size if self.file.exists() else 0
        try:
            with self.file.open("a", encoding="utf-8") as handle:
                handle.write("".join(self.waiting))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.file, before)
            if len(self.waiting) == 1:
                self.say(f"{self.file} could not be written ({error.strerror}); its lines wait in memory")
            return
        self.waiting.clear()
