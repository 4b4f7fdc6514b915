"""Which architecture a ``model_type`` is.

architecture("roberta")      ->  Roberta()                 architectures/roberta.py
kinds()                      ->  ["bert", "electra", "ernie", ...]
restored(state.encoder)      ->  ErnieConfig(...)           the configuration that a checkpoint wrote down
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from pretrain.network import architectures
from pretrain.network.architectures import Architecture


def kinds() -> list[str]:
    """All that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(architectures.__path__))


def architecture(kind: str) -> Architecture:
    """The architecture of a ``model_type``.

    Raises:
        ValueError: there is none of that name.
    """
    if kind not in kinds():
        raise ValueError(f"model_type {kind!r} is not one of {', '.join(kinds())}")
    module = importlib.import_module(f"{architectures.__name__}.{kind}")
    found: type[Architecture] = next(
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Architecture) and getattr(item, "KIND", "") == kind
    )
    return found()


def restored(encoder: Mapping[str, Any], dropouts: tuple[float, float] | None = None) -> Any:
    """transformers' configuration of an encoder from what a checkpoint wrote down of it (``State.encoder``).

    Args:
        dropouts: of hidden states and of attention weights, in place of those that it had.
    """
    from transformers import AutoConfig

    values = dict(encoder)
    kind = values.pop("model_type", "ernie")
    if dropouts:
        values |= architecture(kind).dropouts(*dropouts)
    return AutoConfig.for_model(kind, **values)


def word_width(config: Any) -> int:
    """Width of the word table: that of the hidden states, but for an ELECTRA that projects its words."""
    return int(getattr(config, "embedding_size", config.hidden_size))
