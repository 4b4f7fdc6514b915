"""Does what another run learned fit this configuration? What would not go on as it was is refused, with both values.

check_tokenizer, check_shape, check_algorithm, check_tasks, check_heads      each raises ValueError
task_ids(origin, run)                                                        the rows of its task table
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from pretrain.config import Run
from pretrain.continuing import ABSENT, differences, shown
from pretrain.model import PretrainingModel
from pretrain.network.encoder import Model
from pretrain.network.kinds import restored
from pretrain.state.new_words import NewWords
from pretrain.state.origins import Origin

SHAPE = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
    "activation": "hidden_act",
    "max_positions": "max_position_embeddings",
    "segment_types": "type_vocab_size",
    "layer_norm_eps": "layer_norm_eps",
}
"""Names of the shape here and in transformers."""
FREE = ("weight", "folders")
"""Settings of a task that may differ: neither its head nor its labels hang on them."""


def check_tokenizer(origin: Origin, tokenizer: Tokenizer) -> NewWords:
    """The shards' tokens are the first ones of its vocabulary, or new words besides, and text is cut by the same rules;
    returns the new words."""
    theirs, ours = origin.tokenizer, tokenizer
    words = NewWords.between(theirs.tokens, ours)
    if words is None or theirs.rules_sha256 != ours.rules_sha256:
        raise ValueError(
            f"model.path {origin.path} was trained with another tokenizer than the shards: their "
            f"{'vocabulary' if words is None else 'rules'} differ ({len(theirs.tokens):,} and {len(ours.tokens):,} "
            f"tokens). Prepare the corpus with `vocabulary: {{path: {theirs.folder}}}`, or with what `kmask vocab "
            "extend` made of it."
        )
    return words


def check_shape(origin: Origin, model: Model) -> None:
    """A shape that is written in the configuration must be the one that comes back."""
    written = {item.name: value for item in fields(Model) if (value := getattr(model, item.name)) != item.default}
    wrong = [
        f"model.{name}: {shown(written[name])}, there {shown(origin.encoder.get(theirs))}"
        for name, theirs in SHAPE.items()
        if name in written and written[name] != origin.encoder.get(theirs)
    ]
    if wrong:
        raise ValueError(
            f"model.path {origin.path} has another shape than this configuration:\n  "
            + "\n  ".join(wrong)
            + "\nLeave these keys out: the shape comes from there."
        )


def check_algorithm(origin: Origin, run: Run) -> None:
    """What is kept of an optimiser must be of the one that goes on with it."""
    theirs, ours = origin.config.get("optimization", {}).get("algorithm", "adamw"), run.optimization.algorithm
    if run.model.optimizer == "keep" and theirs != ours:
        raise ValueError(
            f"model.optimizer: keep, but model.path {origin.path} was trained with optimization.algorithm {theirs} and "
            f"this configuration says {ours}, which remembers other things; take optimizer: reset, or {theirs}"
        )


def task_ids(origin: Origin, run: Run) -> Mapping[str, int]:
    """Rows of the origin's task table; counted anew where it did not record them."""
    if origin.task_ids:
        return origin.task_ids
    tasks = list(origin.config["tasks"])
    if unknown := [task for task in tasks if task not in run.tasks]:
        raise ValueError(
            f"model.path {origin.path} was written before kmask recorded the rows of the task table, and they cannot "
            f"be counted without {', '.join(unknown)}; list all of its tasks ({', '.join(tasks)})"
        )
    own = [task for task in tasks if run.tasks[task].HAS_TASK_ID]
    return {task: own.index(task) + 1 if task in own else 0 for task in tasks}


def check_tasks(origin: Origin, before: Mapping[str, int], run: Run, resolved: Mapping[str, Any]) -> None:
    """Old tasks are those of this configuration, with the settings they were learned with."""
    theirs, ours, wrong = origin.config["tasks"], resolved["tasks"], []
    if strange := [task for task in run.model.drop if task not in origin.learned]:
        wrong.append(f"model.drop: {strange[0]} was not learned there")
    for task in origin.learned:
        if task in run.model.drop:
            continue
        if task not in ours:
            wrong.append(
                f"{task} was learned there and is not in tasks: list it (in no stage its head is kept and measured), "
                f"or leave it behind with model.drop: [{task}]"
            )
            continue
        for setting in (key for key in theirs[task] if key not in FREE):
            pair = theirs[task][setting], ours[task].get(setting, ABSENT)
            for key, old, new in differences(*pair, f"tasks.{task}.{setting}", new=True):
                wrong.append(f"{key}: {shown(old)} -> {shown(new)}")
    if wrong:
        raise ValueError(
            f"model.path {origin.path} and this configuration do not agree about tasks:\n  "
            + "\n  ".join(wrong)
            + "\n"
            + _tables(
                {task: (before.get(task), theirs[task].get("kind")) for task in origin.learned},
                {task: (run.task_ids[task], ours[task].get("kind")) for task in run.tasks},
            )
        )


def _tables(before: Mapping[str, tuple[Any, Any]], now: Mapping[str, tuple[Any, Any]]) -> str:
    """Both task tables, row by row."""

    def lines(table: Mapping[str, tuple[Any, Any]]) -> list[str]:
        return [f"    {row}  {task} ({kind})" for task, (row, kind) in table.items()]

    return "\n".join(["  task table there:", *lines(before), "  task table here:", *lines(now)])


def check_heads(origin: Origin, run: Run, learned: Sequence[str]) -> None:
    """Every weight of the encoder and of old heads is there, in the shape that this configuration gives it."""
    objectives = {task: run.tasks[task] for task in learned}
    with torch.device("meta"):
        model = PretrainingModel(restored(origin.encoder), objectives, learned, run.seed)
    wrong = []
    for name, parameter in model.named_parameters():
        found = origin.tensors.get(name)
        if found is None:
            wrong.append(f"{name} is missing")
        elif found.shape != parameter.shape:
            wrong.append(f"{name} has the shape {tuple(found.shape)}, here {tuple(parameter.shape)}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(f"model.path {origin.path}: " + "; ".join(wrong[:5]) + more)
