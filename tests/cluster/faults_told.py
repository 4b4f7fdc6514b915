"""The table of faults: rows of what was seen, printed at the end of the tests (conftest.py)."""

from __future__ import annotations

ROWS: list[str] = []
HEAD = "| injected | what is said | from the fault to the end, s | steps repeated | losses differ by |\n|---|---|---|---|---|"


def told(injected: str, said: str, seconds: float, repeated: int, difference: str) -> None:
    """Add a row."""
    ROWS.append(f"| {injected} | {said} | {seconds:.0f} | {repeated} | {difference} |")
