"""What the user sees while something runs: a live bar on a terminal, one plain line every few seconds in a log.

On a narrow terminal the parts of the text that do not fit are left out, from the last to the first; bar, percent and
time left stay.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from launch.shell.formatting import clock

LINE_SECONDS = 10.0
TAIL = 12
"""Lines of a log that are shown."""
BAR, BESIDE = 24, 24
"""Columns of the bar, and of percent, time left and the spaces between all."""


def rich_console(**settings: Any) -> Any:
    """A rich console that writes no escapes under NO_COLOR (rich alone would leave bold and dim)."""
    from rich.console import Console

    return Console(**{"color_system": None, **settings}) if os.environ.get("NO_COLOR") else Console(**settings)


def fitting(parts: Sequence[str], room: int) -> str:
    """The first of ``parts`` that fit into so many columns, a space between them."""
    from rich.cells import cell_len

    widths = accumulate(cell_len(part) + 1 for part in parts)
    return " ".join(part for part, width in zip(parts, widths, strict=True) if width - 1 <= room)


def last_lines(log: Path) -> str:
    """The end of a log file, with its name above."""
    tail = log.read_text(errors="replace").splitlines()[-TAIL:]
    return "\n".join([f"last lines of {log}:", *(f"  {line}" for line in tail)])


class Bar:
    """A progress bar with time left, or plain lines."""

    def __init__(self, title: str, unit: str) -> None:
        self.title, self.unit = title, unit
        self.terminal = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        self.begun = 0.0
        self.printed = 0.0
        self.first: float | None = None
        self._bar: Any = None

    def update(self, done: float, total: float, *parts: str) -> None:
        """Show how far it is; of ``parts``, the first come first."""
        if self.first is None:  # what came before (an earlier stage, loading this one's data) tells nothing about speed
            self.first, self.begun = done, time.monotonic()
        if self.terminal:
            self._live(done, total, parts)
            return
        now = time.monotonic()
        if now - self.printed >= LINE_SECONDS or done >= total:
            self.printed = now
            share = f"{done / total:4.0%}" if total else ""
            left = self.left(done, total)
            self.say(" ".join(part for part in (self.title, share, left and f"{left} left", *parts) if part))

    def left(self, done: float, total: float) -> str:
        """Estimated time to the end."""
        passed = done - (self.first or 0.0)
        if passed <= 0 or not total:
            return ""
        return clock((time.monotonic() - self.begun) / passed * (total - done))

    def _live(self, done: float, total: float, parts: Sequence[str]) -> None:
        if self._bar is None:
            from rich import progress

            console = rich_console(stderr=True)
            bar = progress.BarColumn(self._bar_width(console.width))
            title, text = (
                progress.TextColumn("{task.description}", markup=False),
                progress.TextColumn("{task.fields[text]}", markup=False),
            )
            left = progress.TextColumn("{task.fields[left]}", markup=False)
            self._bar = progress.Progress(
                title, bar, progress.TaskProgressColumn(), left, text, console=console, transient=False
            )
            self._bar.start()
            self._bar.add_task(self.title, total=total, completed=done, text="", left="")
        width = self._bar.console.width
        room = width - len(self.title) - self._bar_width(width) - BESIDE
        self._bar.update(0, completed=done, total=total, text=fitting(parts, room), left=self.left(done, total))

    def _bar_width(self, width: int) -> int:
        return max(4, min(BAR, width - len(self.title) - BESIDE))

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            sys.stderr.write(f"{text}\n")  # in one piece: other processes may write to the same pipe
            sys.stderr.flush()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class Stages:
    """A bar for each stage of a command, the one after the other."""

    def __init__(self) -> None:
        self.bar = Bar("", "")

    def update(self, stage: str, done: float, total: float, *parts: str) -> None:
        """Show how far a stage is. In a log, one that takes less than a few seconds leaves no line."""
        if stage != self.bar.title:
            self.bar.close()
            self.bar = Bar(stage, "")
            self.bar.printed = time.monotonic()
        if self.bar.terminal or done < total:
            self.bar.update(done, total, *parts)
