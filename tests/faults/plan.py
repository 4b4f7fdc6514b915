"""What is trained, where, and in which modes: the run that every fault is put into, and its undisturbed reference.

    Bench(work, ...)                  one working folder, with the example corpus prepared in it
    bench.reference("zero1")          an undisturbed run of the mode, every checkpoint kept
    bench.cut("zero1", 12, target)    the same run as it lay on the disk when step 12 had been saved and nothing more
    bench.launch(output, ...)         a process that trains

The run is the one of tests/tiny.py in three stages, the third without a head that the second trained.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for place in (ROOT, ROOT / "tests"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from processes import SURVIVAL_SECONDS, Launch, Outcome  # noqa: E402
from tiny import TINY_RUN  # noqa: E402

STAGES = (
    {"name": "one", "steps": 9, "tasks": {"knowledge_masking": 1, "span_boundary": 0}},
    {"name": "two", "steps": 7, "tasks": {"knowledge_masking": 1, "span_boundary": 0, "sentence_reordering": 1}},
    {"name": "three", "steps": 8, "tasks": {"knowledge_masking": 2, "sentence_reordering": 1}},
)
STAGE_ENDS = (9, 16, 24)
TOTAL = 24
SAVED_EVERY = 3
EVALUATED_EVERY = 5
KEPT = 3
LAUNCH_SECONDS = 240.0
"""Longest time of a launch that is left alone; multiplied by the bench's patience."""

MODES = {
    **{f"zero{stage}": (f"engine.zero_stage={stage}", "engine.precision=fp32") for stage in range(4)},
    "zero1-bf16": ("engine.zero_stage=1", "engine.precision=bf16"),
    "zero1-bf16_parameters": ("engine.zero_stage=1", "engine.precision=bf16_parameters"),
}
STEP_NAME = re.compile(r"step-(\d{8})")


def configuration(output: Path, data: Path) -> str:
    """The tiny run in three stages, as YAML (which JSON is)."""
    from ruamel.yaml import YAML

    value: dict[str, Any] = YAML(typ="safe").load(TINY_RUN.format(output=output, data=data))
    value["stages"] = list(STAGES)
    value["checkpoints"] = {"every": SAVED_EVERY, "keep": KEPT}
    value["evaluation"] = {"every": EVALUATED_EVERY, "rows": 2}
    return json.dumps(value, indent=1)


def prepare_examples(folder: Path) -> None:
    """The example corpus as shards, as tests/conftest.py prepares it."""
    from data_prep.preparing.pipeline import prepare
    from data_prep.preparing.plan import Preparation
    from launch.settings.components import decode, load

    examples = ROOT / "examples"
    overrides = [f"output={folder}", "engine.workers=1", "part_bytes=100000", "vocabulary.size=3000"]
    source = load(ROOT / "configs/data/demo.yaml", overrides)
    source.value["corpora"][0]["paths"] = [str(examples / "corpus" / name) for name in ("zh.jsonl", "en.jsonl")]
    for index, names in enumerate((("entities.zh.tsv", "entities.en.tsv"), ("phrases.zh.txt", "phrases.en.txt"))):
        source.value["annotators"][index]["paths"] = [str(examples / "lexicons" / name) for name in names]
    prepare(decode(Preparation, source), lambda progress: None)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An undisturbed run of a mode."""

    run: Path
    startup: float
    """Seconds from the launch to the first step."""


@dataclass(kw_only=True)
class Bench:
    """A working folder with everything that runs in it."""

    work: Path
    code: Path = ROOT
    """The source tree that is tried."""
    data: Path = Path()
    """Prepared folder; the examples, prepared on first use, when none is given."""
    patience: float = 1.0
    """Factor of all time limits, for a machine that is busy otherwise."""
    popen: type[subprocess.Popen[Any]] = subprocess.Popen
    """What starts a launch."""
    references: dict[str, Reference] = field(default_factory=dict)
    launches: list[Launch] = field(default_factory=list)
    numbers: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        for name in ("references", "recorded", "runs", "words"):  # of an earlier call, perhaps of other code
            shutil.rmtree(self.work / name, ignore_errors=True)
        if self.data == Path():
            self.data = self.work / "data"
            if not (self.data / "manifest.json").is_file():
                prepare_examples(self.data)
        self.file = self.work / "run.yaml"
        self.file.write_text(configuration(self.work / "unused", self.data), encoding="utf-8")

    @property
    def limit(self) -> float:
        """Seconds that a launch may take."""
        return LAUNCH_SECONDS * self.patience

    def fresh(self, name: str) -> Path:
        """A folder for one run, not there yet."""
        return self.work / "runs" / f"{next(self.numbers):03d}-{re.sub('[^A-Za-z0-9_.-]+', '-', name)}" / "run"

    def launch(self, output: Path, overrides: Sequence[str] = (), **environment: str) -> Launch:
        """Start training into ``output``."""
        logs = self.work / "words" / output.parent.name
        log = logs / f"{len(list(logs.glob('*'))):02d}.log" if logs.is_dir() else logs / "00.log"
        path = os.pathsep.join([str(self.code), *filter(None, [environment.pop("PYTHONPATH", "")])])
        arguments = ["train", str(self.file), f"output={output}", *overrides, "--processes", "2"]
        survival = SURVIVAL_SECONDS * self.patience
        variables = {"PYTHONPATH": path, **environment}
        launch = Launch(arguments, self.code, log, variables, survival=survival, popen=self.popen)
        self.launches.append(launch)
        return launch

    def train(self, output: Path, overrides: Sequence[str] = (), **environment: str) -> Outcome:
        """Train until the launch ends by itself."""
        return self.launch(output, overrides, **environment).finish(self.limit)

    def reference(self, mode: str) -> Reference:
        """The undisturbed run of a mode, made on first use.

        Raises:
            RuntimeError: it failed.
        """
        if mode not in self.references:
            output = self.work / "references" / mode / "run"
            launch = self.launch(output, [*MODES[mode], "checkpoints.keep=100"])
            startup = first_step_seconds(output, launch, self.limit)
            outcome = launch.finish(self.limit)
            if outcome.code != 0:
                how = f"({outcome.code}; {launch.log}): {outcome.last_words}"
                raise RuntimeError(f"the undisturbed run of {mode} failed {how}")
            self.references[mode] = Reference(run=output, startup=startup)
        return self.references[mode]

    def cut(self, mode: str, step: int, target: Path) -> None:
        """The undisturbed run of a mode as it lay on the disk right after the checkpoint of ``step``."""
        shutil.copytree(self.reference(mode).run, target)
        for item in (target / "checkpoints").iterdir():
            found = STEP_NAME.search(item.name)
            if found and int(found[1]) > step:
                shutil.rmtree(item) if item.is_dir() else item.unlink()
        stage = next(str(stage["name"]) for stage, end in zip(STAGES, STAGE_ENDS, strict=True) if step <= end)
        metrics = target / "metrics.jsonl"
        kept = [line for line in metrics.read_text().splitlines() if before(json.loads(line), step, stage)]
        metrics.write_text("".join(line + "\n" for line in kept))

    def close(self) -> None:
        """Kill what is left of any launch."""
        for launch in self.launches:
            if launch.running or not launch.ended:
                launch.clear()


def before(line: Mapping[str, Any], step: int, stage: str) -> bool:
    """Was this line written before the checkpoint of ``step``? The next stage is evaluated at the same step."""
    return line.get("step", 0) < step or (line.get("step") == step and line.get("stage", stage) == stage)


def first_step_seconds(output: Path, launch: Launch, limit: float) -> float:
    """Seconds from the launch to its first step."""
    deadline = time.monotonic() + limit
    while launch.running and time.monotonic() < deadline and not (output / "metrics.jsonl").is_file():
        time.sleep(0.02)
    return time.time() - launch.started
