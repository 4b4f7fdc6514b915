"""The choices of a plugin folder: ``kind: jsonl`` is the one concrete class in ``data_prep/corpora/jsonl.py``.

    kinds(Corpus)  ->  ["annotated_jsonl", "conll", ...]        find_kind(Corpus, "jsonl")  ->  Jsonl

A dotted kind is a module of the user's.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

from launch.settings.yaml_files import ConfigError


def kinds(base: type) -> list[str]:
    """Names of the choices of a plugin package: its files."""
    package = importlib.import_module(base.__module__)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))


def find_kind(base: type, name: str) -> type | None:
    """The component behind ``kind: name``, or None when there is no such file.

    Raises:
        ConfigError: the module does not define exactly one component of this kind.
    """
    if ("." not in name and name not in kinds(base)) or not all(name.split(".")):
        return None
    if "." in name and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # a module of the user's beside the configuration
    try:
        module = importlib.import_module(name if "." in name else f"{base.__module__}.{name}")
    except ModuleNotFoundError as error:
        if "." in name and error.name is not None and name.startswith(error.name):
            return None
        raise ConfigError(f"kind {name!r} needs the package {error.name!r}, which is not installed") from None
    found = [
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, base) and item.__module__ == module.__name__
    ]
    concrete = [item for item in found if not inspect.isabstract(item)]
    if len(concrete) != 1:
        raise ConfigError(
            f"kind {name!r}: {module.__name__} must define exactly one concrete {base.__name__}, "
            f"it defines {len(concrete)}"
        )
    return concrete[0]


def plugin_base(cls: type) -> type | None:
    """The abstract class of a plugin package that ``cls`` is a choice of; None for other classes."""
    return next(
        (
            base
            for base in cls.__mro__[1:]
            if inspect.isabstract(base) and hasattr(importlib.import_module(base.__module__), "__path__")
        ),
        None,
    )


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean ...?` where a known name is much like ``name``, else nothing."""
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return f"; did you mean `{close[0]}`?" if close else ""
