"""The table that comes out: one row per fault or kill, and whether it is as promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEADER = ("fault", "mode", "injected", "detected", "recovered", "steps repeated", "difference")


@dataclass(kw_only=True)
class Row:
    """What became of one injected fault."""

    fault: str
    mode: str
    injected: str
    """The moment or place; empty when it was never injected."""
    detected: bool | None = None
    """None: there is nothing to detect."""
    recovered: bool | None = None
    """None: recovery is not promised."""
    repeated: int | None = None
    """Steps done again after the restart; None where that has no meaning."""
    difference: str | None = None
    """From the undisturbed run: "" for none, None where nothing is compared."""
    remark: str = ""

    @property
    def good(self) -> bool:
        """Is everything as promised?"""
        return bool(self.injected) and False not in (self.detected, self.recovered) and not self.difference

    def cells(self) -> tuple[str, ...]:
        """What stands in the table."""
        words = {True: "yes", False: "NO", None: "-"}
        difference = "-" if self.difference is None else "DIFFERENT" if self.difference else "none"
        repeated = "-" if self.repeated is None else str(self.repeated)
        told = (words[self.detected], words[self.recovered])
        return self.fault, self.mode, self.injected or "NO", *told, repeated, difference


def render(rows: Sequence[Row]) -> str:
    """All rows as a table, with what there is to say about it below each."""
    cells = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]

    def line(items: Sequence[str]) -> str:
        return " | ".join(item.ljust(width) for item, width in zip(items, widths, strict=True)).rstrip()

    lines = [line(HEADER), "-|-".join("-" * width for width in widths)]
    for row in rows:
        lines.append(line(row.cells()))
        lines += [f"    ^ {text.strip()}" for text in (row.remark, row.difference) if text]
    good = sum(row.good for row in rows)
    return "\n".join([*lines, "", f"{good} of {len(rows)} as promised"])
