"""Sections of a model card that are tables or lists: data, lexicons, settings, what lies in the folder, papers to cite.

Text in a table goes through ``cell``; whatever is not known is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pretrain.state.checkpoint import State

PAPERS = {
    "ERNIE 1.0": (
        "sun2019ernie",
        "Sun, Yu and Wang, Shuohuan and Li, Yukun and Feng, Shikun and Chen, Xuyi and Zhang, Han and Tian, Xin and "
        "Zhu, Danxiang and Tian, Hao and Wu, Hua",
        "ERNIE: Enhanced Representation through Knowledge Integration",
        "2019",
        "1904.09223",
    ),
    "ERNIE 2.0": (
        "sun2020ernie2",
        "Sun, Yu and Wang, Shuohuan and Li, Yukun and Feng, Shikun and Tian, Hao and Wu, Hua and Wang, Haifeng",
        "ERNIE 2.0: A Continual Pre-training Framework for Language Understanding",
        "2019",
        "1907.12412",
    ),
    "SpanBERT": (
        "joshi2020spanbert",
        "Joshi, Mandar and Chen, Danqi and Liu, Yinhan and Weld, Daniel S. and Zettlemoyer, Luke and Levy, Omer",
        "SpanBERT: Improving Pre-training by Representing and Predicting Spans",
        "2020",
        "1907.10529",
    ),
}
"""Key, authors, title, year, number at arXiv."""
BIBTEX = "@article{{{},\n  author  = {{{}}},\n  title   = {{{}}},\n  year    = {{{}}},\n  journal = {{arXiv:{}}}\n}}"
MODULES = {
    "sentence_transformers": "`modules.json` and `1_Pooling/` make it a model of sentence-transformers; it has not "
    "learned to compare texts.",
    "onnx": "`onnx/model.onnx` (opset 18, fp32) takes `input_ids`, `attention_mask` and `token_type_ids` of any batch "
    "and length.",
}


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A prepared folder that was trained on."""

    name: str
    fingerprint: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Its manifest.json; empty when the folder is gone or was prepared again."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """How the export was made."""

    formats: Sequence[str] = ("ernie",)
    dtype: str = "fp32"
    pair_task: str = ""
    """Whose head is `cls.seq_relationship`."""
    verified: Mapping[str, float] = field(default_factory=dict)
    """The largest difference by class."""
    versions: Mapping[str, str] = field(default_factory=dict)


def cell(text: Any) -> str:
    """Text inside a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def data(folders: Sequence[Folder]) -> str:
    """What was trained on: documents, tokens, languages, units and lexicons of every folder."""
    lines = ["| prepared folder | documents | tokens | languages | fingerprint |", "|---|---|---|---|---|"]
    for folder in folders:
        shards = [item for item in folder.facts.get("shards", ()) if item["split"] != "heldout"]
        totals = [f"{sum(item[what] for item in shards):,}" if shards else "" for what in ("documents", "tokens")]
        values = [cell(folder.name), *totals, _languages(folder.facts), f"`{folder.fingerprint[:12]}`"]
        lines.append(f"| {' | '.join(values)} |")
    for folder in folders:
        lines += [f"\n{line}" for line in _units(folder)] if folder.facts else []
    return "\n".join(lines)


def _languages(facts: Mapping[str, Any]) -> str:
    characters: dict[str, int] = {}
    for key, count in facts.get("counts", {}).items():
        if key.startswith("characters."):
            code = key.rpartition(".")[2]
            characters[code] = characters.get(code, 0) + count
    whole = sum(characters.values())
    shares = sorted(characters.items(), key=lambda item: -item[1])
    return ", ".join(f"{cell(code)} {count / whole:.0%}" for code, count in shares if count)


def _units(folder: Folder) -> list[str]:
    """Units in `demo`: word 15,264; entity LOC 1,088, PER 721. Lexicons of `demo`: entity from 1 file (sha256 ...)."""
    levels: dict[str, list[str]] = {}
    for key, count in folder.facts.get("counts", {}).items():
        parts = key.split(".")
        if parts[0] == "units" and len(parts) == 4:
            kind = "" if parts[2] in ("-", parts[1]) else f"{parts[2]} "
            levels.setdefault(parts[1], []).append(f"{kind}{count:,}")
    name = cell(folder.name)
    found = [f"{cell(level)} {', '.join(map(cell, kinds))}" for level, kinds in levels.items()]
    settings = folder.facts.get("settings", {})
    lines = [f"Units in `{name}`: {'; '.join(found)}."] if found else []
    words = [f"{item.get('version') or item['kind']} ({code})" for code, item in settings.get("segmenters", {}).items()]
    lines += [f"Words by {cell(', '.join(words))}."] if words else []
    lexicons = [
        f"{item.get('level')} from {len(files)} file{'s' if len(files) > 1 else ''} "
        f"(sha256 {', '.join(digest[:12] for digest in files)})"
        for item in settings.get("annotators", ())
        if item.get("kind") == "lexicon" and (files := item.get("files", ()))
    ]
    return lines + ([f"Lexicons of `{name}`: {cell('; '.join(lexicons))}."] if lexicons else [])


def settings(state: State) -> str:
    """Masking, optimiser and machine in a line each, as far as the checkpoint says."""
    config, machine = state.config, state.machine
    strategy, budget = config["masking"]["strategy"], config["masking"].get("budget") or {}
    optimizer, engine, batch = config["optimization"], config["engine"], config["batch"]
    rate = f", budget {', '.join(f'{key} {value}' for key, value in budget.items())}" if budget else ", default budget"
    lines = [f"- masking: `{strategy['kind']}`{cell(rate)}"]
    lines.append(
        f"- {optimizer['algorithm']}, learning rate {optimizer['lr']:g}, warm-up {optimizer['warmup']}; "
        f"{batch['rows_per_step']} rows of {batch['row_tokens']} tokens a step; seed {config['seed']}"
    )
    where = [f"ZeRO {engine['zero_stage']}", engine["precision"]]
    where += [f"{machine['processes']} processes"] if "processes" in machine else []
    where += [str(machine["device"])] if "device" in machine else []
    lines.append(f"- {cell(', '.join(where))}")
    versions = [f"{name} {machine[name]}" for name in ("torch", "transformers", "deepspeed") if name in machine]
    return "\n".join(lines + ([f"- trained with {', '.join(versions)}"] if versions else []))


def measured(state: State, heldout: Mapping[str, float]) -> str:
    """A row of figures for each task and group that was measured."""
    names = [task for task in state.learned if f"loss/{task}" in heldout]
    names += [
        name.removeprefix("loss/") for task in state.learned for name in heldout if name.startswith(f"loss/{task}/")
    ]
    if not names:
        return f"No held-out measurement was made at step {state.step:,}."
    majority = any(name.startswith("majority/") for name in heldout)
    wanted = ["loss", "accuracy", *(["majority"] if majority else []), "targets"]
    shown = {"loss": "{:.3f}", "accuracy": "{:.3f}", "majority": "{:.3f}", "targets": "{:,.0f}"}
    lines = [f"Step {state.step:,}; 15 % hidden by whole units, the same masks in every evaluation.", ""]
    lines += ["| task or group | " + " | ".join(wanted) + " |", "|" + "---|" * (1 + len(wanted))]
    for name in names:
        cells = [
            shown[column].format(heldout[f"{column}/{name}"]) if heldout.get(f"{column}/{name}") is not None else ""
            for column in wanted
        ]
        lines.append(f"| {cell(name)} | " + " | ".join(cells) + " |")
    if majority:
        lines += ["", "`majority` is the accuracy of always answering the most frequent class."]
    return "\n".join(lines)


def contents(made: Made) -> str:
    """What lies in the folder beside the model, and how equal it is to the training model."""
    lines = [MODULES[name] for name in made.formats if name in MODULES]
    if made.pair_task:
        lines.append(
            f"`cls.seq_relationship` is the head of `{cell(made.pair_task)}`: class 0 says that the second segment "
            "follows the first. Its rows carried a task id of their own where the model has a task table."
        )
    lines += [f"Weights are stored as {made.dtype}."] if made.dtype != "fp32" else []
    return "\n".join(lines)


def verified(made: Made) -> str:
    """AutoModel 1.2e-07, AutoModelForMaskedLM 1.9e-06"""
    listed = ", ".join(f"{name} {value:.1e}" for name, value in made.verified.items())
    versions = ", ".join(f"{name} {value}" for name, value in made.versions.items())
    text = f"\nLargest differences: {listed}." if listed else ""
    return text + (f"\nExported with {versions}." if versions else "")


def citation(state: State) -> str:
    """ERNIE 1.0; 2.0 where further tasks were learned; SpanBERT where its objective or its spans were."""
    kinds = {task["kind"] for name, task in state.config["tasks"].items() if name in state.learned}
    names = ["ERNIE 1.0"]
    names += ["ERNIE 2.0"] if kinds - {"knowledge_masking", "span_boundary"} else []
    spans = "span_boundary" in kinds or state.config["masking"]["strategy"]["kind"] == "geometric_span"
    names += ["SpanBERT"] if spans else []
    return "```bibtex\n" + "\n".join(BIBTEX.format(*PAPERS[name]) for name in names) + "\n```"
