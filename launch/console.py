"""What the user sees while something runs: a live bar on a terminal, one plain line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

LINE_SECONDS = 10.0


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 3725 -> 1:02:05."""
    whole = int(seconds)
    return f"{whole // 3600:d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class Bar:
    """A progress bar with time left, or plain lines."""

    def __init__(self, title: str, unit: str) -> None:
        self.title, self.unit = title, unit
        self.terminal = sys.stderr.isatty()
        self.begun = time.monotonic()
        self.printed = 0.0
        self.first: float | None = None
        self._bar: Any = None

    def update(self, done: float, total: float, text: str) -> None:
        """Show how far it is."""
        if self.first is None:
            self.first = done
        if self.terminal:
            self._live(done, total, text)
            return
        now = time.monotonic()
        if now - self.printed >= LINE_SECONDS or done >= total:
            self.printed = now
            share = f"{done / total:4.0%}" if total else ""
            print(f"{self.title} {share} {self.left(done, total)} {text}", file=sys.stderr, flush=True)

    def left(self, done: float, total: float) -> str:
        """Estimated time to the end."""
        passed = done - (self.first or 0.0)
        if passed <= 0 or not total:
            return ""
        return f"{clock((time.monotonic() - self.begun) / passed * (total - done))} left"

    def _live(self, done: float, total: float, text: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(24), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.fields[text]}"))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=False)
            self._bar.start()
            self._bar.add_task(self.title, total=total, completed=done, text=text)
        self._bar.update(0, completed=done, total=total, text=text)

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class TrainConsole:
    """Renders the trainer's reports."""

    def __init__(self) -> None:
        self.bar = Bar("train", "steps")
        self.total = 0

    def __call__(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        if event == "begin":
            self.total = values["total"]
            how = f"continuing at step {step}" if values["resumed"] else "starting"
            self.bar.say(f"{how} of {self.total} steps, {values['world']} process(es)")
        elif event == "stage":
            self.bar.say(f"stage {values['index'] + 1} `{values['name']}`: {values['steps']} steps of {', '.join(values['tasks'])}")
        elif event == "train":
            self.bar.update(step, self.total, self.line(values))
        elif event == "evaluation":
            self.bar.say(f"held-out at step {step}: {self.line(values)} | accuracy " + kinds(values))
        elif event == "note":
            self.bar.say(f"note: {values['text']}")

    def line(self, values: Mapping[str, Any]) -> str:
        """Losses, and speed where it is known."""
        from masking.spans import KINDS

        parts = [f"{name.removeprefix('loss/')} {value:.3f}" for name, value in values.items() if name.startswith("loss/") and name[5:] not in KINDS]
        speed = [f"{values['tokens_per_second']:,.0f} tokens/s"] if "tokens_per_second" in values else []
        return " ".join([*parts, *speed])

    def close(self) -> None:
        """End the bar."""
        self.bar.close()


def kinds(values: Mapping[str, Any]) -> str:
    """Accuracy by kind of unit."""
    from masking.spans import KINDS

    return " ".join(f"{kind} {values[f'accuracy/{kind}']:.3f}" for kind in KINDS if f"accuracy/{kind}" in values)
