"""Random kills in a row: launch, strike at a moment, launch again, until a last launch is left alone and compared.

    launch_and_strike(bench, mode, run, event)    one launch, one kill, how it ended
    play(bench, mode, events)                     one Row per event; a new folder when a run is finished or broken

A history that continued wrongly is found at the first line of metrics that differs, and laid to the last kill before.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compare import done, lines_differ, metrics, newest_differ
from moments import Event, strike
from plan import MODES, TOTAL, Bench
from processes import OUT_OF_TIME, Launch, Outcome
from table import Row

TRIES = 3
"""How often an event is tried whose moment did not come."""
LAST_STEPS = TOTAL - 3
"""A signal that is sent after this step may come too late to be heard: the run may end as if it had not been sent."""


def steps_of(run: Path, launch: Launch) -> tuple[int, int] | None:
    """First and last step that a launch trained, None when it did not come to any."""
    ended = launch.ended or time.time()
    lines = [line for line in metrics(run) if line.get("event") == "train"]
    steps = [line["step"] for line in lines if launch.started <= line.get("time", 0) <= ended]
    return (min(steps), max(steps)) if steps else None


def judge(event: Event, outcome: Outcome, step: int, trained: bool, ranks: bool) -> tuple[bool | None, str]:
    """Did the launch, hit when ``step`` was its newest, end as it has to? And if not, why not."""
    kill = event.kill
    if outcome.survivors:
        return False, f"{outcome.survivors} process(es) outlived the launcher"
    if outcome.code == 0:
        return (
            (None, "went on to the end") if kill.quiet or step >= LAST_STEPS else (False, f"exit 0, hit at step {step}")
        )
    allowed = kill.codes if ranks else (*kill.codes, -kill.number)
    if outcome.code == OUT_OF_TIME:
        return False, f"did not end within {kill.seconds:.0f} s; last words: {outcome.last_words}"
    if outcome.code not in allowed:
        return False, f"exit {outcome.code}, expected {' or '.join(map(str, allowed))}: {outcome.last_words}"
    if kill.says and trained and not re.search(kill.says, outcome.text):
        return False, f"exit {outcome.code}, but nothing says {kill.says!r}: {outcome.last_words}"
    if "Traceback" in outcome.text:
        return False, f"a traceback: {outcome.last_words}"
    return True, ""


@dataclass(kw_only=True)
class Struck:
    """A row whose recovery is not known yet."""

    row: Row
    event: Event
    reached: int | None
    """Last step that its launch trained."""


def play(bench: Bench, mode: str, events: Sequence[Event], overrides: Sequence[str] = ()) -> Iterator[Row]:
    """Strike at every event, in as many folders as it takes."""
    waiting = deque((event, TRIES) for event in events)
    while waiting:
        yield from one_folder(bench, mode, waiting, overrides)


@dataclass(frozen=True, kw_only=True)
class Blow:
    """A launch, the event that met it, and how it ended."""

    hit: bool
    outcome: Outcome
    trained: tuple[int, int] | None
    """First and last step."""
    detected: bool | None
    remark: str


def launch_and_strike(bench: Bench, mode: str, run: Path, event: Event | None, overrides: Sequence[str] = ()) -> Blow:
    """Start training, strike (or leave it alone), and wait for its end."""
    startup = bench.reference(mode).startup
    launch = bench.launch(run, [*MODES[mode], *overrides, *(event.kill.overrides if event else ())])
    step = strike(bench, run, launch, event, startup) if event else None
    if event is None or step is None:
        outcome = launch.finish(bench.limit)
        return Blow(hit=False, outcome=outcome, trained=steps_of(run, launch), detected=None, remark="")
    ranks = bool(launch.find("rank"))
    outcome = launch.finish(event.kill.seconds * bench.patience)
    trained = steps_of(run, launch)
    detected, remark = judge(event, outcome, step, trained is not None, ranks)
    return Blow(hit=True, outcome=outcome, trained=trained, detected=detected, remark=remark)


def one_folder(bench: Bench, mode: str, waiting: deque[tuple[Event, int]], overrides: Sequence[str]) -> list[Row]:
    """Events in a row in one folder, until it is finished or broken."""
    reference, run = bench.reference(mode).run, bench.fresh(mode)
    rows: list[Row] = []
    open_: list[Struck] = []
    while True:
        event, tries = waiting.popleft() if waiting else (None, 0)
        blow = launch_and_strike(bench, mode, run, event, overrides)
        outcome = blow.outcome
        if blow.trained or outcome.code == 0:
            settle(run, reference, rows, open_, blow.trained[0] - 1 if blow.trained else TOTAL)
        if event and blow.hit:
            row = Row(fault=event.kill.name, mode=mode, injected=str(event.moment))
            row.detected, row.remark = blow.detected, blow.remark
            rows.append(row)
            if outcome.code != 0:
                reached = blow.trained[1] if blow.trained else None
                open_.append(Struck(row=row, event=event, reached=reached))
                continue
            row.recovered = True
        elif event:
            refused = bool(outcome.code and event.kill.overrides)  # its own settings may be what was refused
            if tries == 1 or refused:
                remark = f"{event.moment} did not come; exit {outcome.code}: {outcome.last_words}"
                rows.append(Row(fault=event.kill.name, mode=mode, injected="", remark=remark))
            else:
                waiting.append((event, tries - 1))
            if refused:
                continue
        finish(run, reference, rows, open_, outcome)
        return rows


def settle(run: Path, reference: Path, rows: list[Row], open_: list[Struck], resumed: int) -> None:
    """The run goes on: what was struck has recovered, and its lines of metrics can be compared."""
    for struck in open_:
        struck.row.recovered = True
        struck.row.repeated = 0 if struck.reached is None else max(0, struck.reached - resumed)
        if struck.event.kill.saves and struck.row.repeated:
            struck.row.recovered = False
            struck.row.remark += f" stopped at step {struck.reached}, but continued at {resumed}"
    if open_ and not any(row.difference for row in rows):
        difference = lines_differ(run, reference, upto=done(run))
        if " lines, expected " not in difference:  # an evaluation may just not have been done yet
            open_[-1].row.difference = difference
    open_.clear()


def finish(run: Path, reference: Path, rows: list[Row], open_: list[Struck], outcome: Outcome) -> None:
    """The last launch of a folder has ended: compare, or tell how it broke."""
    for struck in open_:
        struck.row.recovered = False
        struck.row.remark += f" the next launch ended with {outcome.code}: {outcome.last_words}"
    if outcome.code != 0:
        return
    lines, tensors = lines_differ(run, reference), newest_differ(run, reference)
    blamed = [row for row in rows if row.difference] or rows
    for row in rows:
        row.difference = row.difference or ""
    for row in blamed:
        row.difference = "; ".join(filter(None, (row.difference or lines, tensors)))
