"""`kmask doctor --model DIR`: what a checkpoint is, and what a run that begins from it will do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.shell.exit_codes import DONE
from launch.shell.formatting import byte_size

if TYPE_CHECKING:
    from pretrain.state.inspecting import Inspection


def examine_model(folder: Path, as_json: bool) -> int:
    """Print what ``folder`` is.

    Raises:
        ValueError: a run cannot begin from it.
    """
    from pretrain.state.inspecting import inspect

    if not folder.is_dir():
        raise ValueError(f"--model: {folder} is no folder")
    found = inspect(folder)
    if as_json:
        print(
            json.dumps({"folder": str(folder), **found.facts, "will": found.will, "warnings": found.warnings}, indent=1)
        )
    else:
        print("\n".join(lines(folder, found)))
    return DONE


def lines(folder: Path, found: Inspection) -> Iterator[str]:
    """The report for a person."""
    facts = found.facts
    named = f" ({facts['class']})" if facts.get("class") else ""
    yield f"{folder}: {facts['what']}{named}"
    if "tasks" in facts:
        began = f", began from {facts['began_from']}" if facts["began_from"] else ""
        yield row("training", f"step {facts['step']:,}; tasks {', '.join(facts['tasks'])}{began}")
    words = f", words {facts['word_width']}" if facts["word_width"] != facts["hidden"] else ""
    yield row("encoder", f"{facts['computed_by']}, {facts['parameters']:,} parameters")
    yield row(
        "shape",
        f"{facts['layers']} layers of width {facts['hidden']}{words}, {facts['heads']} heads, feed-forward "
        f"{facts['intermediate']}",
    )
    yield row("activation", f"{facts['activation']}, layer norm epsilon {facts['layer_norm_eps']:g}")
    yield row("positions", f"{facts['positions']:,}; {facts['token_types']} token types")
    yield row("vocabulary", f"{facts['vocabulary_rows']:,} rows; {_tokens(facts)}")
    yield row("masked-LM head", facts["masked_lm_head"])
    yield row("pooler", facts["pooler"])
    yield row("task table", f"{facts['task_rows']} rows" if facts["task_rows"] else "none")
    if "files" in facts:
        yield row(
            "weights",
            f"{', '.join(facts['dtype'])}: "
            + ", ".join(f"{name} {byte_size(size)}" for name, size in facts["files"].items()),
        )
    yield from (row("will", text) for text in found.will)
    yield from (row("warning", text) for text in found.warnings)


def _tokens(facts: Mapping[str, Any]) -> str:
    return (
        "no tokenizer"
        if facts["tokenizer_tokens"] is None
        else f"the tokenizer has {facts['tokenizer_tokens']:,} tokens"
    )


def row(label: str, text: str) -> str:
    """A label and what there is to say."""
    return f"  {label:15}{text}"
