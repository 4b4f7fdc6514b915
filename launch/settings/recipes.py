"""`kmask init`: commented recipes to start from, one pair of files per situation."""

from __future__ import annotations

import re
from pathlib import Path

from launch.settings.schema import schema_text
from launch.settings.yaml_files import ConfigError

DATA = """\
# yaml-language-server: $schema=data.schema.json
# Preparation: kmask prepare data.yaml
output: runs/{name}/data   # filled by `kmask prepare`; running again continues
corpora:
  # One entry per format. JSONL: one object a line. Plain text: {{kind: plain_text, paths: [...], document: \
file|block|line}}.
  - kind: jsonl
    paths: [corpus/*.jsonl]   # .gz, .zst, .bz2 and .xz are read as they are
    text_key: text
segmenters:                   # how words are found; both languages may occur in one text
  zh: {{kind: rjieba}}          # or jieba (exact reference, slower)
  en: {{kind: pretokenizer}}    # or {{kind: spacy, pipeline: en}}
annotators:                   # your knowledge: within a level, earlier entries win
  []
  # - {{kind: lexicon, level: entity, paths: [lexicons/entities.tsv]}}        # surface<TAB>TYPE
  # - {{kind: lexicon, level: phrase, type: term, paths: [lexicons/terms.txt]}}
vocabulary:
{vocabulary}
heldout: 0.01                 # share of documents kept apart for evaluation
"""

PRETRAIN = """\
# yaml-language-server: $schema=pretrain.schema.json
# Training: kmask train pretrain.yaml   (again to continue; with --dry-run: every check, what it would be, nothing \
written)
output: runs/{name}/run
data:
  - {{path: runs/{name}/data, name: {name}}}
{replay}model:
{model}
masking:
  strategy: {{kind: whole_unit, units: [{units}]}}   # add entity, phrase once your lexicons are in data.yaml
  budget: {{rate: 0.15}}
  corruption: {{mask: 0.8, random: 0.1, per: unit}}
tasks:                        # new tasks are added at the end; knowledge_masking is task 0
  knowledge_masking: {{kind: knowledge_masking}}
  span_boundary: {{kind: span_boundary}}
  sentence_reordering: {{kind: sentence_reordering, segments: 3}}
stages:                       # continual multi-task learning: a stage keeps the tasks before it
  - {{name: knowledge, steps: {steps}, tasks: {{knowledge_masking: 1, span_boundary: 0}}}}
  - {{name: order, steps: {steps}, tasks: {{knowledge_masking: 3, span_boundary: 0, sentence_reordering: 1}}}}
batch:
  max_sample_tokens: {length}
  rows_per_step: 64           # rows of 8 x max_sample_tokens; processes x rows_per_process must divide it
  rows_per_process: 4         # what fits into one GPU at once; the rest is accumulated
optimization: {{lr: {lr}, warmup: {warmup}, schedule: linear{decay}}}{why}
engine: {{zero_stage: 1, precision: auto}}   # auto: bf16 where the machine has units for it, else fp32
evaluation: {{every: 1000, rows: 64}}
checkpoints: {{every: 1000, keep: 2}}
{best}tracking: {{every: 50, sinks: [wandb]}}
"""

SCRATCH = {
    "model": "  {layers: 12, hidden: 768, heads: 12, max_positions: 512}",
    "lr": "1.0e-4",
    "steps": 100000,
    "warmup": 4000,
    "length": 512,
    "units": "word",
    "replay": "",
    "best": "",
    "decay": "",
    "why": "",
}
RECIPES: dict[str, dict[str, object]] = {
    "zh": {**SCRATCH, "vocabulary": "  size: 21000\n  lowercase: true "},
    "en": {**SCRATCH, "vocabulary": "  size: 30000\n  lowercase: true "},
    "continue": {
        "vocabulary": "  path: checkpoints/my-bert   # the tokenizer of the checkpoint you continue from",
        "model": "  path: checkpoints/my-bert   # a Hugging Face folder; `kmask doctor --model` tells what it is"
        "\n  warm_up_head: 0               # 500 where the folder has no trained masked-LM head",
        "lr": "2.0e-5",
        "steps": 10000,
        "warmup": 600,
        "decay": ", layer_decay: 1.0",
        "why": "   # docs/continue.md says where these are from",
        "length": 256,
        "units": "word",
        "replay": "  # general text, replayed against forgetting and watched beside (docs/continue.md):\n"
        "  # - {path: runs/general/data, name: general, weight: 0.3}\n",
        "best": "  # and with evaluation.control: [general]\n"
        "  # best: {control: loss/control/knowledge_masking, tolerance: 0.05}   # kmask export --best\n",
    },
}


def name_of(folder: Path) -> str:
    """What the outputs are called: the folder's name, as it can stand in YAML and in paths."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-.") or "my"


def write_recipe(recipe: str, folder: Path, dry_run: bool) -> list[str]:
    """Write data.yaml and pretrain.yaml with the schemas that editors read; never over existing files.

    Returns what to tell the user.
    """
    if recipe not in RECIPES:
        raise ConfigError(f"init {recipe}: one of {', '.join(RECIPES)}")
    values = {**RECIPES[recipe], "name": name_of(folder)}
    files = {folder / "data.yaml": DATA.format(**values), folder / "pretrain.yaml": PRETRAIN.format(**values)}
    for file in files:
        if file.exists():
            raise ConfigError(f"{file} exists already; choose another folder")
    if dry_run:
        return [f"would write {file}:\n{text}" for file, text in files.items()]
    folder.mkdir(parents=True, exist_ok=True)
    files |= {folder / f"{kind}.schema.json": schema_text(kind) for kind in ("data", "pretrain")}
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    return [
        *(f"wrote {file}" for file in files),
        f"edit the paths in {folder / 'data.yaml'}, then:",
        f"  kmask prepare {folder / 'data.yaml'}",
        f"  kmask show batch {folder / 'pretrain.yaml'}",
        f"  kmask train {folder / 'pretrain.yaml'} --dry-run",
        f"  kmask train {folder / 'pretrain.yaml'}",
    ]
