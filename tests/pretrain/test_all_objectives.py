"""Every objective in one run on two processes: killed and continued, it ends in the same bits; with ZeRO 0 and 3."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import commands
import pytest
from pair_folders import folder_of
from test_training import Kmask, assert_same_weights, saved, train, values, wait_for_no_rank

from launch.settings.kinds import find_kind, kinds
from pretrain.objectives import Objective

FOLDERS = {
    "pair_classification": "pairs",
    "discourse_relation": "pairs",
    "search_relevance": "log",
    "dialogue": "dialogues",
    "universal_triples": "triples",
}
"""Objectives that read labelled pairs and the like (pair_folders.py); the others read the example corpus."""
SETTINGS: dict[str, dict[str, Any]] = {"discourse_relation": {"split": "train"}, "span_boundary": {"position_size": 8}}
STEPS = 6


@pytest.fixture(scope="module")
def folders(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Prepared folders by name, all with one tokenizer."""
    base = tmp_path_factory.mktemp("all")
    special = {name: folder_of(name, prepared, base / name, 100) for name in dict.fromkeys(FOLDERS.values())}
    return {"demo": prepared, **special}


@pytest.fixture
def run_of_all(folders: Mapping[str, Path], tmp_path: Path) -> Path:
    """Six steps of all kinds together, as JSON, which is YAML."""
    names = kinds(Objective)
    tasks = {name: {"kind": name, "folders": [FOLDERS.get(name, "demo")], **SETTINGS.get(name, {})} for name in names}
    shares = {name: int(getattr(find_kind(Objective, name), "BUILDS_ROWS", False)) for name in names}
    settings = {
        "output": str(tmp_path / "run"),
        "data": [{"path": str(path), "name": name} for name, path in folders.items()],
        "model": {"layers": 1, "hidden": 32, "heads": 2, "max_positions": 64, "dropout": 0.1},
        "masking": {"strategy": {"kind": "whole_unit"}, "shuffle": {}},
        "tasks": tasks,
        "stages": [{"name": "all", "steps": STEPS, "tasks": shares}],
        "batch": {"max_sample_tokens": 64, "row_tokens": 256, "rows_per_step": 4, "rows_per_process": 2},
        "optimization": {"lr": 1.0e-3, "warmup": 2},
        "engine": {"precision": "fp32"},
        "evaluation": {"every": 0},
        "checkpoints": {"every": 2, "keep": 100},
        "tracking": {"every": 1, "sinks": []},
    }
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(settings), encoding="utf-8")
    return file


@pytest.mark.parametrize("zero_stage", [0, 3])
def test_all_kinds_together_continue_bitwise_after_kill_9(
    kmask: Kmask, run_of_all: Path, tmp_path: Path, zero_stage: int
) -> None:
    settings = [f"engine.zero_stage={zero_stage}"]
    train(kmask, run_of_all, tmp_path / "whole", *settings, processes=2)
    lines = [json.loads(line) for line in (tmp_path / "whole/metrics.jsonl").read_text("utf-8").splitlines()]
    seen = {key for line in lines if line["event"] == "train" for key, value in line.items() if value is not None}
    assert {f"loss/{name}" for name in kinds(Objective)} <= seen
    killed = tmp_path / "killed"
    start = ("train", run_of_all, f"output={killed}", *settings, "--processes", 2)
    commands.killed(*start, when=lambda: saved(killed, 2))
    assert wait_for_no_rank(killed), "a rank survived its launcher"
    done = max(int(folder.name[-8:]) for folder in (killed / "checkpoints").glob("step-*"))
    second = train(kmask, run_of_all, killed, *settings, processes=2)
    assert done == STEPS or f"continuing at step {done}" in second.stderr
    assert len(values(killed)) == STEPS and values(killed) == values(tmp_path / "whole")
    assert_same_weights(tmp_path / "whole", killed)
