"""A trained model as a folder for others: written, verified, sealed, published under its name, in this order.

    export_run(Source(weights, model, tokenizer), target, card, manifest, formats=[Ernie(), Onnx()])
        the model gives what is expected of the export, and is freed
        formats write config.json, model.safetensors, ...
        tokenizer, auxiliary_heads.safetensors                heads that the Auto classes have no place for
        verify                                                reloaded by the Auto classes, one after the other
        README.md, training_manifest.json                     with what was measured, and the sha256 of every file
        training could go on from it                          in fp32: bit for bit what the checkpoint holds

So no two models are in memory, whatever ran the training: checkpoints hold whole tensors, which are read again when
they are written (state/tensor_files.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_prep.files import staged_folder, write_atomic
from pretrain.formats import Format, Trained
from pretrain.formats._native import Native
from pretrain.objectives.next_sentence import NextSentence
from pretrain.objectives.sentence_order import SentenceOrder
from pretrain.state.card_sections import Made
from pretrain.state.companions import companion_folder, companions_of
from pretrain.state.companions import write as write_companion
from pretrain.state.export_parts import write_tokenizer
from pretrain.state.heads import AUXILIARY
from pretrain.state.importing import MLM_HEAD
from pretrain.state.origins import read_origin
from pretrain.state.same_tokens import LINES, compare, lines_like
from pretrain.state.sealing import seal
from pretrain.state.tensor_files import Weights, write
from pretrain.state.verifying import MASKING, Expected, expected_of, verify

PAIR_KINDS = (NextSentence, SentenceOrder)
"""Tasks of two classes whose class 0 says that the second segment follows the first, as that of `cls.seq_relationship`
does: the first of them that was learned is exported under this name. Heads of more classes do not fit it."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is exported."""

    weights: Mapping[str, torch.Tensor]
    """By our names; read one by one."""
    model: Callable[[], Any]
    """Makes the PretrainingModel that holds them. It is freed before anything is reloaded."""
    tokenizer: Path
    """Folder of the run's tokenizer."""


def pair_task(model: Any) -> str:
    """The task whose head is `cls.seq_relationship`; empty where none was learned, or no masked-LM head beside it."""
    found = (name for kind in PAIR_KINDS for name, task in model.objectives.items() if type(task) is kind)
    return next(found, "") if MASKING in model.objectives else ""


def check_formats(formats: Sequence[Format]) -> None:
    """Raise ValueError for two architectures, for one format twice, and when this machine lacks what one needs."""
    names = [name_of(item) for item in formats]
    if sum(item.BASE for item in formats) > 1 or len({*names}) < len(names):
        raise ValueError(
            f"format: {', '.join(names)}: a folder holds one architecture of transformers, and every format once; "
            "export to several folders"
        )
    for item in formats:
        item.check()


def name_of(item: Format) -> str:
    """The name of a format's file."""
    return type(item).__module__.rpartition(".")[2]


def native(kind: str) -> Native:
    """The format that is the architecture ``kind``."""
    module = importlib.import_module(f"pretrain.formats.{kind}")
    found: type[Native] = next(
        item for item in vars(module).values() if isinstance(item, type) and getattr(item, "KIND", "") == kind
    )
    return found()


def export_run(
    source: Source,
    target: Path,
    card: Callable[[Made], str],
    manifest: Mapping[str, Any],
    formats: Sequence[Format] = (),
    dtype: str = "fp32",
    companions: bool = False,
) -> dict[str, float]:
    """Export to ``target``, verified before it appears under that name. Returns the largest difference of a number by
    the class that was asked.

    Args:
        card: the README.md, from what was made.
        manifest: what training_manifest.json will hold beside them; its ``source`` says what the start checkpoint's
            config.json was.
        formats: one of them at most an architecture; otherwise that of the encoder is taken.
        dtype: fp32, bf16 or fp16.
        companions: also export second encoders of heads, to folders beside it (companions.py); all folders appear, or
            none.

    Raises:
        ValueError: the target is there already, or the reloaded model is not the trained one.
    """
    check_formats(formats)
    model = source.model()
    base = next((item for item in formats if isinstance(item, Native)), None) or native(model.config.model_type)
    trained = _trained(model, source, manifest, dtype)
    expected = expected_of(model, source.tokenizer, trained.pair_task if base.pairs(trained) else "", dtype)
    found = companions_of(model) if companions else {}
    places = {key: companion_folder(target, *key) for key in found}
    if there := [path for path in (target, *places.values()) if path.exists()]:
        raise ValueError(f"{there[0]} exists already; delete it or choose another folder")
    differences: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        staging = stack.enter_context(staged_folder(target))
        for (task, name), module in found.items():
            folder = stack.enter_context(staged_folder(places[task, name]))
            worst = write_companion(module, task, name, source.tokenizer, target, folder, manifest)
            differences[f"{task}-{name}"] = worst
            del module
        found.clear()
        del model  # before others are loaded
        ordered = [base, *(item for item in formats if item is not base)]
        return differences | _write(trained, expected, ordered, source.tokenizer, staging, card, manifest)


def _trained(model: Any, source: Source, manifest: Mapping[str, Any], dtype: str) -> Trained:
    return Trained(
        shape=model.config.to_dict(),
        source=manifest.get("source", {}).get("config", {}),
        weights=Weights.of(source.weights),
        masked_lm=MASKING in model.heads,
        pair_task=pair_task(model),
        dtype=dtype,
    )


def _write(
    trained: Trained,
    expected: Expected,
    formats: Sequence[Format],
    tokenizer: Path,
    folder: Path,
    card: Callable[[Made], str],
    manifest: Mapping[str, Any],
) -> dict[str, float]:
    for item in formats:
        item.write(trained, folder)
        if item.BASE:
            write_heads(trained, folder)
            write_tokenizer(tokenizer, folder, trained.shape["max_position_embeddings"])
    found = verify(folder, expected)
    for item in formats:
        found |= item.verify(folder, expected)
    cut = compare(tokenizer, folder, lines_like(tokens_of(tokenizer), LINES))
    made = Made(
        formats=[name_of(item) for item in formats],
        dtype=trained.dtype,
        pair_task=trained.pair_task if expected.pair else "",
        verified=found,
        versions=manifest.get("versions", {}),
    )
    write_atomic(folder / "README.md", card(made))
    seal(folder, {**manifest, **dataclasses.asdict(made), "same_tokens": cut})
    if trained.dtype == "fp32":
        check_returns(folder, trained.weights)
    return found


def write_heads(trained: Trained, folder: Path) -> None:
    """Heads that the Auto classes have no place for, as TASK.PARAMETER; that of `cls.seq_relationship` too, since its
    name there does not say its task."""
    names = {
        name.removeprefix("heads."): name
        for name in trained.weights
        if name.startswith("heads.") and not name.startswith(MLM_HEAD)
    }
    if names:
        write(folder / AUXILIARY, trained.weights.renamed(names), trained.dtype)


def tokens_of(tokenizer: Path) -> list[str]:
    """The vocabulary of a tokenizer folder."""
    from data_prep.encoding import Tokenizer

    return Tokenizer(folder=tokenizer).tokens


def check_returns(folder: Path, weights: Weights) -> None:
    """Raise ValueError unless training that begins from the folder would have every weight bit for bit."""
    origin = read_origin(folder, False)
    if origin is None:
        return
    wrong = [name for name in weights if name not in origin.tensors or not same(origin.tensors[name], weights[name])]
    wrong += sorted(set(origin.tensors) - set(weights))
    if wrong:
        raise ValueError(f"export refused: {', '.join(wrong[:3])} would not come back as it was")


def same(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Are all bits equal, those of numbers that are none included?"""
    return one.shape == two.shape and torch.equal(
        one.contiguous().view(torch.int32), two.contiguous().view(torch.int32)
    )
