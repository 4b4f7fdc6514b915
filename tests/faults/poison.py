"""Losses that are not a number: samples of a real run are poisoned by a user's plug-in, once or for ever.

recorded run                    which samples step 13 is made of
once: whole run, killed run     the step is skipped on every rank, counted, named; both end in the same finite weights
for ever: run, then mended      exit 2 names the last good checkpoint; without poison it continues from there
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from compare import EVENTS, infinite, lines_differ, metrics, runs_differ, step_folders
from plan import MODES, TOTAL, Bench
from processes import Launch, Outcome
from table import Row

if TYPE_CHECKING:
    from faults import Fault

PLUGIN = Path(__file__).resolve().parent / "plugin"
POISONED_STEP = 13
"""No evaluation lies between the steps before it and it."""
FROM_STEP = 4
KIND = ("tasks.knowledge_masking.kind=faulty.poisoned",)
NAMED = re.compile(r"step-\d{8}")


def train(bench: Bench, run: Path, mode: str, **environment: Any) -> Launch:
    """Start training with the plug-in."""
    variables = {name: str(value) for name, value in environment.items()}
    return bench.launch(run, [*MODES[mode], *KIND, "checkpoints.keep=100"], PYTHONPATH=str(PLUGIN), **variables)


def poison_file(bench: Bench, name: str, first: int, last: int, most: int) -> Path:
    """Keys of samples of these steps, recorded by a run of the first mode (the order is the same in every mode)."""
    run, records = bench.work / "recorded" / "run", bench.work / "recorded" / "keys"
    if not records.is_dir():
        records.mkdir(parents=True)
        outcome = train(bench, run, "zero1", FAULTS_RECORD=records).finish(bench.limit)
        if outcome.code != 0:
            raise RuntimeError(f"the recording run failed ({outcome.code}): {outcome.last_words}")
    file = bench.work / f"poison-{name}.json"
    file.write_text(json.dumps(poisoned_keys(run, records, first, last)[:most]))
    return file


def poisoned_keys(run: Path, records: Path, first: int, last: int) -> list[int]:
    """Keys of the samples first built for steps ``first`` to ``last`` of a recorded run, by the times of both."""
    times = {line["step"]: line["time"] for line in metrics(run) if line["event"] == "train"}
    calls = [json.loads(line) for file in sorted(records.glob("*.jsonl")) for line in file.open()]
    begin, end = times[first - 1], times.get(last, float("inf"))
    earlier = {key for call in calls if call["time"] <= begin for key in call["keys"]}
    return sorted({key for call in calls if begin < call["time"] <= end for key in call["keys"]} - earlier)


def once(fault: Fault, bench: Bench, mode: str, draw: Random) -> Row:
    """One poisoned sample."""
    row = Row(fault=fault.name, mode=mode, injected=f"step {POISONED_STEP}")
    file = poison_file(bench, "once", POISONED_STEP, POISONED_STEP, 1)
    whole = bench.fresh(f"{fault.name} {mode} whole")
    outcome = train(bench, whole, mode, FAULTS_POISON=file).finish(bench.limit)
    row.remark = not_skipped(whole, outcome)
    row.detected = not row.remark
    if outcome.code != 0:
        row.recovered = False
        return row
    killed = bench.fresh(f"{fault.name} {mode} killed")
    launch = train(bench, killed, mode, FAULTS_POISON=file)
    kill_after_skip(killed, launch, draw, bench.limit)
    launch.finish(bench.limit)
    last = train(bench, killed, mode, FAULTS_POISON=file).finish(bench.limit)
    newest = step_folders(whole)[-1]
    bad = infinite(newest) or ("" if newest.name == f"step-{TOTAL:08d}" else f"ended at {newest.name}")
    row.recovered = last.code == 0 and not bad
    row.remark += bad or ("" if last.code == 0 else f" after a kill: exit {last.code}: {last.last_words}")
    row.difference = lines_differ_before(whole, bench.reference(mode).run)
    row.difference = row.difference or runs_differ(killed, whole, events=(*EVENTS, "skipped"))
    return row


def lines_differ_before(run: Path, reference: Path) -> str:
    """Differences up to the step before the poisoned one."""
    found = lines_differ(run, reference, upto=POISONED_STEP - 1)
    return found and f"before the poisoned step: {found}"


def not_skipped(run: Path, outcome: Outcome) -> str:
    """Why a poisoned step does not count as skipped; "" when it was."""
    if outcome.code != 0:
        return f"exit {outcome.code}: {outcome.last_words}"
    lines = [line for line in metrics(run) if line.get("event") == "skipped"]
    if not lines:
        return "no event `skipped` in metrics.jsonl"
    if not any(abs(line["step"] - POISONED_STEP) <= 1 for line in lines):
        return f"skipped at {[line['step'] for line in lines]}, expected {POISONED_STEP}"
    named = run / "skipped.jsonl"
    if not named.is_file() or not [json.loads(line) for line in named.read_text().splitlines()]:
        return "skipped.jsonl names no row"
    return ""


def kill_after_skip(run: Path, launch: Launch, draw: Random, limit: float) -> None:
    """kill -9 of the launcher some time after the poisoned step."""
    deadline = time.monotonic() + limit
    while launch.running and time.monotonic() < deadline:
        if any(line.get("event") == "train" and line["step"] > POISONED_STEP for line in metrics(run)[-3:]):
            time.sleep(draw.uniform(0.0, 0.4))
            launch.send("launcher", signal.SIGKILL)
            return
        time.sleep(0.005)


def forever(fault: Fault, bench: Bench, mode: str, draw: Random) -> Row:
    """Every sample from a step on."""
    row = Row(fault=fault.name, mode=mode, injected=f"from step {FROM_STEP}")
    file = poison_file(bench, "forever", FROM_STEP, TOTAL, 10**9)
    run = bench.fresh(f"{fault.name} {mode}")
    outcome = train(bench, run, mode, FAULTS_POISON=file).finish(bench.limit)
    named = [run / "checkpoints" / name for name in NAMED.findall(outcome.text)]
    there = [folder for folder in step_folders(run) if folder in named]
    row.detected = outcome.code == 2 and bool(there) and "Traceback" not in outcome.text and not outcome.survivors
    if not row.detected:
        row.remark = f"exit {outcome.code}, expected 2 with the name of the last good checkpoint: {outcome.last_words}"
    bad = next(filter(None, map(infinite, step_folders(run))), "")
    last = train(bench, run, mode).finish(bench.limit)
    if not bad and last.code != 0:
        bad = f"without poison: exit {last.code}: {last.last_words}"
    bad = bad or infinite(step_folders(run)[-1])
    row.recovered, row.remark = not bad, f"{row.remark} {bad}".strip()
    return row


os.environ.pop("FAULTS_POISON", None)  # a stray one would poison everything
