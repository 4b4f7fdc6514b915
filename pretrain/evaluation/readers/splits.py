"""Examples of a task, divided into what is trained on, what chooses, and what is reported.

A split is a file, or a share of the training file. Shares are drawn by the first text of an example, so that equal
texts (and all pairs with the same first sentence) fall into one split, the same for every model and seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from masking.keyed import hash_key, uniform
from pretrain.evaluation.readers.tags import Span


class Example(NamedTuple):
    """One labelled example, as text."""

    place: str
    """FILE:LINE."""
    texts: tuple[str, ...]
    label: Any
    """What the task predicts, as its file says it."""
    units: tuple[Span, ...] = ()
    """Words that are given, in characters of the first text."""


class Splits(NamedTuple):
    """The examples of a task."""

    train: list[Example]
    dev: list[Example]
    test: list[Example]
    known: list[Example]
    """All examples of the training file, from which classes are named."""

    def seen(self) -> dict[str, int]:
        """How many examples of dev and test have texts that are trained on."""
        trained = {example.texts for example in self.train}
        return {name: sum(example.texts in trained for example in getattr(self, name)) for name in ("dev", "test")}


def divide(
    read: Callable[[Path], Iterable[Example]], train: str, dev: str | float, test: str | float, limit: int, apart: bool
) -> Splits:
    """The splits.

    Args:
        dev: a file, or a share of ``train``; a share of 0 leaves it empty.
        test: a file, or a share of ``train``.
        apart: leave out of training what stands in dev or test.
        limit: number of training examples that are kept, drawn by key; 0: all.

    Raises:
        ValueError: a split is empty.
    """
    known = list(read(Path(train)))
    kept: dict[str, list[Example]] = {"train": [], "dev": [], "test": []}
    shares = {name: share for name, share in (("dev", dev), ("test", test)) if not isinstance(share, str)}
    for example in known:
        number, chosen = uniform(hash_key("split", example.texts[0]), 0), "train"
        for name, share in shares.items():
            if chosen == "train" and number < share:
                chosen = name
            number -= share
        kept[chosen].append(example)
    for name, file in (("dev", dev), ("test", test)):
        if isinstance(file, str):
            kept[name] = list(read(Path(file)))
        if not kept[name] and file != 0:
            where = (
                f"{train}: a share of {file} of its {len(known)} examples, of which equal first texts stay together,"
            )
            raise ValueError(f"{name}: {file if isinstance(file, str) else where} holds no examples")
    if apart:
        held = {example.texts for name in ("dev", "test") for example in kept[name]}
        kept["train"] = [example for example in kept["train"] if example.texts not in held]
    if not kept["train"]:
        raise ValueError(f"train: {train} holds no examples" + (" beside dev and test" if known else ""))
    if limit:
        order = sorted(
            range(len(kept["train"])), key=lambda index: hash_key("limit", *kept["train"][index].texts, index)
        )
        kept["train"] = [kept["train"][index] for index in sorted(order[:limit])]
    return Splits(kept["train"], kept["dev"], kept["test"], known)
