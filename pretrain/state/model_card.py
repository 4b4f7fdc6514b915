"""The README.md of an exported folder, for the Hugging Face hub: what the run knows, as front matter (YAML) and text
(Markdown).

    model_card(Card(name=..., state=..., languages=["zh"], ...), Made(verified=..., ...))  ->  str

card_facts.py looks up what goes into a Card, card_sections.py writes its tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.state.card_sections import Folder, Made, cell, citation, contents, data, measured, settings, verified
from pretrain.state.checkpoint import State
from pretrain.state.export_parts import BOUNDS
from pretrain.state.heads import AUXILIARY

POOLER = {
    "trained": "The pooler was trained by {pooled:,} targets of sentence-level tasks.",
    "source": "The pooler was not trained: it holds the weights of the start checkpoint.",
    "initial": (
        "**The pooler was not trained**: it holds initial weights. Fine-tune it, or pool the hidden states yourself."
    ),
}
CARD = """\
# {name}

{what}{began}

```python
{usage}
```

{layers} layers, width {hidden}, {heads} heads, vocabulary {vocabulary:,}, samples up to {length} tokens.
Task embedding 0, the default of `ErnieModel`, is {plain}: leave `task_type_ids` out.
{pooler} {auxiliary}{contents}

## Data

{data}

## Training

| stage | steps | tasks (share of rows, or their number; 0: on rows of others) |
|---|---|---|
{stages}

Trained for {step:,} steps on {tokens:,} tokens.{skipped}

{settings}

## Held-out documents

{measured}

## Licence and origin

{licence}

`training_manifest.json` holds the configuration, the fingerprints of the data and the versions. \
The export was reloaded with the Auto classes and
its {compared} compared with the training model (largest difference allowed: {tolerance}).{verified}

## Citation

{citation}
"""
FILL_MASK = """\
from transformers import pipeline

fill = pipeline("fill-mask", model={name})
print(fill({example}))"""
ENCODE = """\
from transformers import AutoModel, AutoTokenizer

tokenizer, model = AutoTokenizer.from_pretrained({name}), AutoModel.from_pretrained({name})
print(model(**tokenizer({example}, return_tensors="pt")).last_hidden_state)"""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a card says beside what the checkpoint's state says."""

    name: str
    state: State
    languages: Sequence[str]
    """Codes, the most frequent first; empty when they are not known."""
    example: str
    """A sentence with one hidden token."""
    pooler: str
    """`trained`, `source` (as in the start checkpoint) or `initial`."""
    base: str
    """The start checkpoint's name on the Hugging Face hub; empty when it has none that is known."""
    licence: Mapping[str, Any]
    """`license`, and for `other` its `license_name` and `license_link`; empty when none was stated."""
    stated: bool
    """Was the licence stated at export (or is it that of the start checkpoint)?"""
    heldout: Mapping[str, float]
    """Figures of exactly this step; empty when there are none."""
    folders: Sequence[Folder] = ()
    """What was trained on."""


def model_card(card: Card, made: Made = Made()) -> str:  # noqa: B008  (frozen)
    """A Hugging Face model card."""
    state, encoder = card.state, card.state.encoder
    beside = contents(made)
    skipped = int(state.seen["skipped"])
    masking = "knowledge_masking" in state.learned
    hidden = "pretrained with knowledge masking by kmask: whole words, phrases and entities were hidden"
    others = (
        f"pretrained by kmask with {', '.join(f'`{cell(task)}`' for task in state.learned)}; it has no masked-LM head"
    )
    return front_matter(card) + CARD.format(
        name=card.name,
        what=f"An ERNIE-style encoder {hidden if masking else others}.",
        usage=(FILL_MASK if masking else ENCODE).format(name=quoted(card.name), example=quoted(card.example)),
        plain="knowledge masking" if masking else "that of plain text",
        compared="logits" if masking else "hidden states",
        began=_began(card),
        layers=encoder["num_hidden_layers"],
        hidden=encoder["hidden_size"],
        heads=encoder["num_attention_heads"],
        vocabulary=encoder["vocab_size"],
        length=max(_batch(state, index)["max_sample_tokens"] for index in range(max(len(state.done), 1))),
        pooler=POOLER[card.pooler].format(pooled=int(state.seen["pooled"])),
        auxiliary=_auxiliary(state),
        stages="\n".join(
            f"| {cell(stage['name'])} | {stage['steps']:,} | {_shares(stage['tasks'])} |" for stage in state.done
        ),
        step=state.step,
        tokens=int(state.seen["tokens"]),
        skipped=f" {skipped:,} of these steps changed nothing: their numbers were not finite." if skipped else "",
        measured=measured(state, card.heldout),
        licence=_licence(card),
        tolerance=BOUNDS[made.dtype] if made.dtype == "fp32" else f"{BOUNDS[made.dtype]:.0%} of the largest number",
        contents=f"\n{beside}" if beside else "",
        data=data(card.folders),
        settings=settings(state),
        verified=verified(made),
        citation=citation(state),
    )


def _batch(state: State, stage: int) -> Mapping[str, Any]:
    """How much text the steps of a stage saw."""
    stages = state.config["stages"][stage : stage + 1]
    return next((item["batch"] for item in stages if item.get("batch")), state.config["batch"])  # type: ignore[no-any-return]


def front_matter(card: Card) -> str:
    """The YAML that the hub reads; every text is quoted, so that none is taken for something else (`no` for false)."""
    masking = "knowledge_masking" in card.state.learned
    values: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask" if masking else "feature-extraction",
    }
    values |= {"language": list(card.languages)} if card.languages else {}
    values |= {"base_model": card.base} if card.base else {}
    values |= {**card.licence, "tags": ["ernie", *(["knowledge-masking"] if masking else []), "kmask"]}
    lines = (
        f"{key}: [{', '.join(map(quoted, value))}]" if isinstance(value, list) else f"{key}: {quoted(value)}"
        for key, value in values.items()
    )
    return "---\n" + "\n".join(lines) + "\n---\n\n"


def quoted(text: Any) -> str:
    """A string as YAML and Python write it: what does not print is escaped."""
    escaped = json.dumps(str(text), ensure_ascii=False)
    return "".join(
        c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in escaped
    )


def _shares(tasks: Mapping[str, Any]) -> str:
    """knowledge_masking 3, sentence_reordering 2,000 iterations"""
    return ", ".join(f"{cell(task)} {_amount(amount)}" for task, amount in tasks.items())


def _amount(amount: Any) -> str:
    if not isinstance(amount, Mapping):
        return f"{amount:g}"
    return ", ".join(f"{number:,} {unit}" for unit, number in amount.items())


def _auxiliary(state: State) -> str:
    others = [task for task in state.learned if task != "knowledge_masking"]
    if not others:
        return "Knowledge masking is the only task it learned; its head is the masked-LM head."
    return (
        f"`{AUXILIARY}` holds the head{'s' if len(others) > 1 else ''} of "
        f"{', '.join(f'`{task}`' for task in others)}; the Auto classes do not read it."
    )


def _began(card: Card) -> str:
    """Training began from step 8 of the run `one` (sha256 0123456789ab), which had learned ..."""
    source = card.state.source
    if "kind" not in source:
        return f" Training began from the checkpoint {_origin(card)}." if source else ""
    path, learned = Path(str(source["path"])), ", ".join(f"`{cell(task)}`" for task in source["learned"])
    stages = ", ".join(f"{cell(stage['name'])} ({stage['steps']:,} steps)" for stage in source["done"])
    base = f" That one goes back to `{card.base}`." if card.base else ""
    return (
        f" Training began from step {source['step']:,} of the {source['kind']} `{path.name or path}` (sha256 "
        f"{source['fingerprint'][:12]}), which had learned {learned} in {stages}.{base}"
    )


def _origin(card: Card) -> str:
    path = str(card.state.source["path"])
    return f"`{card.base}`" if card.base else f"`{Path(path).name or path}`"


def _licence(card: Card) -> str:
    if not card.licence:
        return "No licence was stated when this model was exported."
    stated = card.licence["license"]
    text = ", ".join(stated) if isinstance(stated, list) else str(stated)
    source = "" if card.stated else f", as stated by the checkpoint it began from ({_origin(card)})"
    return f"Licence: {' '.join(text.split())}{source}."
