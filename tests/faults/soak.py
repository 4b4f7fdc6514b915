"""Train for a long time, be killed every few minutes, go on at once; does memory grow, and is the result that of calm?

    python tests/faults/soak.py OUT --data PREPARED --minutes 90 --kill-every 5-10 [--nice]   then stop with SIGTERM
    python tests/faults/soak.py OUT --data PREPARED --steps 4000 --kill-every 5-10            exactly so many steps
    python tests/faults/soak.py CALM --data PREPARED --steps 4000 --undisturbed               the same without kills
    python tests/faults/soak.py --compare OUT CALM                                            at their common steps
    python tests/faults/soak.py OUT --report                                                  memory and launches again

The same command continues where it was. OUT/ holds run/, words/, launches.jsonl, memory.csv (every 10 s) and
milestones/ (hard links to every thousandth step). The rate follows noam, which does not ask how long a run is to be:
runs of different lengths are equal as far as both go, and two can be compared while they are still running.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import memory
from compare import done
from kills import steps_of
from plan import ROOT
from processes import Launch, Outcome
from soak_folder import MARK, compare, keep_milestones, kill_left_overs, newest_line, summary, tell

FOREVER = 1_000_000
SAMPLE_SECONDS = 10.0
END_SECONDS = 300.0
"""A launch that was struck or stopped must end within this."""
VICTIMS = (
    ("launcher", signal.SIGKILL),
    ("rank-0", signal.SIGKILL),
    ("rank-1", signal.SIGKILL),
    ("worker", signal.SIGKILL),
    ("group", signal.SIGTERM),
)
FRUITLESS = 3
"""Launches in a row that train nothing, after which it gives up."""


def configuration(data: Path, steps: int) -> dict[str, Any]:
    """A small model with all kinds of tasks."""
    tasks = {"knowledge_masking": 3, "span_boundary": 0, "sentence_reordering": 1}
    return {
        "output": "unused",
        "data": [{"path": str(data), "name": "corpus"}],
        "model": {"layers": 2, "hidden": 128, "heads": 4, "max_positions": 128, "dropout": 0.1},
        "masking": {"strategy": {"kind": "whole_unit"}},
        "tasks": {
            "knowledge_masking": {"kind": "knowledge_masking"},
            "span_boundary": {"kind": "span_boundary", "position_size": 32},
            "sentence_reordering": {"kind": "sentence_reordering", "segments": 3},
        },
        "stages": [{"name": "soak", "steps": steps, "tasks": tasks}],
        "batch": {"max_sample_tokens": 128, "row_tokens": 1024, "rows_per_step": 4, "rows_per_process": 1},
        "optimization": {"lr": 5e-4, "schedule": "noam", "warmup": 200},
        "engine": {"zero_stage": 1, "precision": "fp32"},
        "evaluation": {"every": 250, "rows": 4},
        "checkpoints": {"every": 50, "keep": 5},
        "tracking": {"every": 5, "sinks": []},
        "data_workers": 1,
        "threads": 1,
    }


@dataclass(kw_only=True)
class Soak:
    """One folder, over as many launches (and calls of this script) as it takes."""

    folder: Path
    code: Path
    seconds: float
    """When to stop, in seconds of training over all calls; 0: at the last step."""
    between: tuple[float, float] | None
    """Seconds between kills; None: undisturbed."""
    seed: int
    nice: int
    overrides: list[str]
    stopping: bool = False
    sampled: float = 0.0
    records: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file = self.folder / "launches.jsonl"
        if self.file.is_file():
            self.records = [json.loads(line) for line in self.file.read_text().splitlines()]

    @property
    def run(self) -> Path:
        """What is trained."""
        return self.folder / "run"

    def go(self) -> bool:
        """Launch until the end. False when it gave up."""
        kill_left_overs(self.folder)
        while not self.stopping:
            if self.seconds and sum(record["seconds"] for record in self.records) >= self.seconds:
                break
            record = self.one_launch()
            self.records.append(record)
            with self.file.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(tell(record), flush=True)
            if record["code"] == 0:
                break
            if len(self.records) >= FRUITLESS and not any(late["last"] for late in self.records[-FRUITLESS:]):
                print("it trains nothing any more: giving up", flush=True)
                return False
        return True

    def one_launch(self) -> dict[str, Any]:
        """Train until the kill, the end of the time, or the end of the run."""
        number = len(self.records)
        draw = random.Random(f"{self.seed}/{number}")
        before, spent = done(self.run), sum(record["seconds"] for record in self.records)
        name, code = draw.choice(VICTIMS)
        life = draw.uniform(*self.between) if self.between else float("inf")
        rest = self.seconds - spent if self.seconds else float("inf")
        arguments = ["train", str(self.folder / "run.yaml"), f"output={self.run}", *self.overrides, "--processes", "2"]
        environment = {"PYTHONPATH": str(self.code), MARK: str(self.folder)}
        log = self.folder / "words" / f"{number:04d}.log"
        launch = Launch(arguments, self.code, log, environment, nice=self.nice)
        hit = ""
        if self.watch(launch, number, min(life, rest)):
            hit = name if life < rest and not self.stopping else "stop"
        if hit == "stop":
            launch.send("launcher", signal.SIGTERM)
        elif hit and not launch.send(name, code):
            hit = ""
        outcome = launch.finish(END_SECONDS if hit else float("inf"))
        steps = steps_of(self.run, launch)
        return {
            "launch": number,
            "begun": launch.started,
            "seconds": launch.ended - launch.started,
            "hit": hit,
            "code": outcome.code,
            "as_expected": expected(hit, outcome),
            "survivors": outcome.survivors,
            "before": before,
            "first": steps[0] if steps else 0,
            "last": steps[1] if steps else 0,
            "words": outcome.last_words,
        }

    def watch(self, launch: Launch, number: int, seconds: float) -> bool:
        """Sample memory and keep milestones until the time has come; False when the launch ended before."""
        end = launch.started + seconds
        while launch.running and time.time() < end and not self.stopping:
            if time.time() - self.sampled >= SAMPLE_SECONDS:
                self.sampled = time.time()
                memory.sample(launch, number, self.sampled, newest_line(self.run), self.folder / "memory.csv")
                keep_milestones(self.folder)
            time.sleep(0.5)
        keep_milestones(self.folder)
        return launch.running


def expected(hit: str, outcome: Outcome) -> bool:
    """Did it end as it has to?"""
    if outcome.survivors:
        return False
    if hit in ("stop", "group"):
        return outcome.code == 5
    return outcome.code in {"": (0,), "launcher": (-signal.SIGKILL,)}.get(hit, (0, 1, 2) if hit == "worker" else (1, 2))


def main() -> int:
    """Soak, compare or report."""
    arguments = parse()
    if arguments.compare:
        differences = list(compare(*arguments.compare))
        print("\n".join(differences[:20]) or "EQUAL")
        return 1 if differences else 0
    folder: Path = arguments.folder.resolve()
    if not arguments.report:
        folder.mkdir(parents=True, exist_ok=True)
        value = configuration(arguments.data.resolve(), arguments.steps or FOREVER)
        (folder / "run.yaml").write_text(json.dumps(value, indent=1))
        low, _, high = arguments.kill_every.partition("-")
        soak = Soak(
            folder=folder,
            code=arguments.code.resolve(),
            seconds=0.0 if arguments.steps else arguments.minutes * 60,
            between=None if arguments.undisturbed else (float(low) * 60, float(high or low) * 60),
            seed=arguments.seed,
            nice=10 if arguments.nice else 0,
            overrides=arguments.set,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(soak, "stopping", True))
        soak.go()
    print(summary(folder))
    records = [json.loads(line) for line in (folder / "launches.jsonl").read_text().splitlines()]
    return 0 if records[-1]["code"] in (0, 5) and all(record["as_expected"] for record in records) else 1


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="where everything goes")
    parser.add_argument("--data", type=Path, help="folder made by `kmask prepare`")
    parser.add_argument("--minutes", type=float, default=90.0, help="training time over all calls")
    parser.add_argument("--steps", type=int, default=0, help="train exactly so many steps instead")
    parser.add_argument("--kill-every", default="5-10", help="minutes between kills, as a range")
    parser.add_argument("--undisturbed", action="store_true", help="no kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nice", action="store_true", help="let everything else on the machine go first")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="overrides of the configuration")
    parser.add_argument("--code", type=Path, default=ROOT, help="source tree to try")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("A", "B"), help="compare two folders")
    parser.add_argument("--report", action="store_true", help="launches and memory of a folder, once more")
    arguments = parser.parse_args()
    if not arguments.compare and (not arguments.folder or not (arguments.report or arguments.data)):
        parser.error("give a folder and --data, or --compare A B")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
