"""The README.md of an exported folder, written from what the run knows; nothing is asked and nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masking.spans import KINDS

CARD = """\
---
library_name: transformers
pipeline_tag: fill-mask
language: [zh, en]
tags: [ernie, knowledge-masking, kmask]
---

# {name}

An ERNIE-style encoder pretrained with knowledge masking by kmask: whole words, phrases and entities were hidden.

```python
from transformers import pipeline

fill = pipeline("fill-mask", model="{name}")
print(fill("北京是中国的首[MASK]。"))
```

{layers} layers, width {hidden}, {heads} heads, vocabulary {vocabulary:,},
samples up to {length} tokens. Task embedding 0, the default of `ErnieModel`, is knowledge masking: leave `task_type_ids` out.
{pooler} Heads of auxiliary tasks, if any, are in `auxiliary_heads.safetensors`.

| stage | steps | tasks |
|---|---|---|
{stages}

Trained for {step:,} steps on {tokens:,} tokens. {measured}

`training_manifest.json` holds the configuration, the fingerprints of the data and the versions. The export was reloaded with the Auto classes and
its logits compared with the training model (largest difference allowed: {tolerance}).
"""


def model_card(name: str, manifest: Mapping[str, Any]) -> str:
    """A Hugging Face model card."""
    config, encoder = manifest["config"], manifest["encoder"]
    stages = "\n".join(f"| {stage['name']} | {stage['steps']:,} | {', '.join(stage['tasks'])} |" for stage in config["stages"])
    pooler = (
        "The pooler was trained (by the sentence-level tasks above)."
        if manifest["pooler_trained"]
        else "**The pooler was not trained**: it holds initial weights. Fine-tune it, or pool the hidden states yourself."
    )
    heldout = manifest.get("heldout") or {}
    rows = [
        f"| {kind} | {heldout[f'loss/{kind}']:.3f} | {heldout[f'accuracy/{kind}']:.3f} | {int(heldout[f'targets/{kind}']):,} |"
        for kind in KINDS
        if f"loss/{kind}" in heldout
    ]
    measured = (
        "\n".join(["## Held-out documents\n", "15 % hidden by whole units, fixed masks.\n", "| unit | loss | accuracy | targets |", "|---|---|---|---|", *rows])
        if rows
        else "No held-out measurement was made."
    )
    return CARD.format(
        name=name,
        layers=encoder["num_hidden_layers"],
        hidden=encoder["hidden_size"],
        heads=encoder["num_attention_heads"],
        vocabulary=encoder["vocab_size"],
        length=config["batch"]["max_sample_tokens"],
        pooler=pooler,
        stages=stages,
        step=manifest["step"],
        tokens=int(manifest["tokens"]),
        measured=measured,
        tolerance=manifest["tolerance"],
    )
