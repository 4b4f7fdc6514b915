"""What is compared, and at which size: everything that differs between two runs of the comparison stands here.

configuration(scheme, language, size, seed, folder)  ->  the values of a training YAML
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MASKED = {"knowledge_masking": {"kind": "knowledge_masking"}}
SBO = {**MASKED, "span_boundary": {"kind": "span_boundary", "max_length": 15, "position_size": 32}}
UNITS = ["entity", "phrase", "word"]

SCHEMES: dict[str, dict[str, Any]] = {
    "subword": {"strategy": {"kind": "subword"}},
    "whole_word": {"strategy": {"kind": "whole_unit", "units": ["word"]}},
    "phrase_entity": {"strategy": {"kind": "whole_unit", "units": UNITS}},
    "ernie1": {
        "strategy": {
            "kind": "ernie1",
            "stages": [
                {"until": 0.34, "units": []},
                {"until": 0.67, "units": ["phrase", "word"]},
                {"until": 1.0, "units": UNITS},
            ],
        }
    },
    "geometric_span": {"strategy": {"kind": "geometric_span"}},
    "span_boundary": {"strategy": {"kind": "geometric_span"}},
    "macbert": {"strategy": {"kind": "macbert"}},
    "pmi": {"strategy": {"kind": "pmi", "level": "phrase"}},
    "falling_rate": {
        "strategy": {"kind": "whole_unit", "units": UNITS},
        "budget": {"rate": 0.3, "final_rate": 0.15},
    },
}
"""Each as it was published (docs/masking.md); `span_boundary` is SpanBERT's spans with its second objective, `falling_rate`
is `phrase_entity` with 30 % hidden at first and 15 % at the end."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is trained."""

    model: Mapping[str, Any]
    batch: Mapping[str, Any]
    optimization: Mapping[str, Any]
    engine: Mapping[str, Any]
    steps: int
    tuning_rate: float
    """The rate of fine-tuning; small models want a higher one."""


SIZES = {
    "small": Size(  # one core of a laptop: 1.4 million tokens in 3 minutes
        model={"layers": 2, "hidden": 128, "heads": 4, "max_positions": 128, "dropout": 0.0},
        batch={"max_sample_tokens": 128, "rows_per_step": 2, "rows_per_process": 2},
        optimization={"algorithm": "muon", "lr": 6e-3, "warmup": 70, "schedule": "linear", "weight_decay": 0.01},
        engine={"zero_stage": 0, "precision": "fp32"},
        steps=700,
        tuning_rate=1e-3,
    ),
    "base": Size(  # a GPU of the H100's class: about 80 million tokens a run, all strategies of a language in 25 minutes if it gives 500,000 tokens/s
        model={"layers": 12, "hidden": 768, "heads": 12, "max_positions": 512, "dropout": 0.0},
        batch={"max_sample_tokens": 512, "rows_per_step": 32, "rows_per_process": 16},
        optimization={"lr": 4e-4, "betas": [0.9, 0.98], "warmup": 60, "schedule": "linear", "weight_decay": 0.01},
        engine={"zero_stage": 0, "precision": "auto"},
        steps=600,
        tuning_rate=5e-5,
    ),
}


def configuration(scheme: str, language: str, size: str, seed: int, folder: Path) -> dict[str, Any]:
    """A run of the comparison."""
    chosen, masking = SIZES[size], dict(SCHEMES[scheme])
    if scheme == "macbert":
        masking["strategy"] = {**masking["strategy"], "similar_words": str(folder / language / "similar.tsv")}
    tasks = SBO if scheme == "span_boundary" else MASKED
    shares = {name: float(name == "knowledge_masking") for name in tasks}
    return {
        "output": str(run_folder(scheme, language, size, seed, folder)),
        "data": [{"path": str(folder / language / "data"), "name": language}],
        "model": dict(chosen.model),
        "masking": masking,
        "tasks": tasks,
        "stages": [{"name": "all", "steps": chosen.steps, "tasks": shares}],
        "batch": dict(chosen.batch),
        "optimization": dict(chosen.optimization),
        "engine": dict(chosen.engine),
        "evaluation": {"every": chosen.steps, "rows": 64},
        "checkpoints": {"every": max(100, chosen.steps // 4), "keep": 1},
        "tracking": {"every": 50, "sinks": []},
        "seed": seed,
    }


LAW_STEPS = 300
LAW: dict[str, dict[str, Any]] = {
    "law_continued": {"from": True, "law": 1.0, "zh": 0.0},
    "law_replayed": {"from": True, "law": 0.75, "zh": 0.25},
    "law_anew": {"from": False, "law": 1.0, "zh": 0.0},
}
"""The best model of the comparison on the law texts: going on with them alone, with a quarter of the text it knows, and
a new model on them, each for LAW_STEPS steps."""


def continuing(kind: str, scheme: str, seed: int, folder: Path) -> dict[str, Any]:
    """A run on the law texts, from the small Chinese model of a strategy and seed or from scratch."""
    values, told = configuration(scheme, "zh", "small", seed, folder), LAW[kind]
    values["output"] = str(law_folder(kind, seed, folder))
    values["data"] = [
        {"path": str(folder / name / "data"), "name": name, "weight": told[name]}
        for name in ("law", "zh")
        if told[name]
    ]
    if told["from"]:
        values["model"] = {"path": str(run_folder(scheme, "zh", "small", seed, folder))}
        values["optimization"] = {**values["optimization"], "lr": values["optimization"]["lr"] / 3}
    values["optimization"] = {**values["optimization"], "warmup": LAW_STEPS // 10}
    values["stages"] = [{**values["stages"][0], "steps": LAW_STEPS}]
    values["evaluation"] = {**values["evaluation"], "every": LAW_STEPS}
    values["checkpoints"] = {**values["checkpoints"], "every": LAW_STEPS}
    return values


def law_folder(kind: str, seed: int, folder: Path) -> Path:
    """Where a run on the law texts lies."""
    return folder / "law" / "small" / f"{kind}-{seed}"


def run_folder(scheme: str, language: str, size: str, seed: int, folder: Path) -> Path:
    """Where a run of the comparison lies."""
    return folder / language / size / f"{scheme}-{seed}"
