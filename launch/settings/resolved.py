"""`kmask config show`: every key with the value that will be used, and where it was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from launch.settings.components import decode, plain
from launch.settings.config_classes import config_class, recognise
from launch.settings.yaml_files import KeyPath, Source, load

ORIGIN_COLUMN = 60


def resolved_lines(file: Path, overrides: list[str]) -> Iterator[str]:
    """The resolved configuration as YAML with the origin of each value."""
    source = load(file, overrides)
    component: Any = decode(config_class(recognise(source.value)), source)
    return value_lines(plain(component), source, (), 0)


def value_lines(value: Any, source: Source, path: KeyPath, indent: int) -> Iterator[str]:
    """The lines of a mapping or list."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        here = (*path, key)
        name = f"{'  ' * indent}{key}:" if isinstance(value, dict) else f"{'  ' * indent}-"
        if isinstance(item, dict | list) and item:
            yield name
            yield from value_lines(item, source, here, indent + 1)
        else:
            made = here[0] == "stages" and source.value.get("schedule")
            origin = "schedule" if made else source.marks.get(here, "default")
            yield f"{name} {scalar(item)}".ljust(ORIGIN_COLUMN) + f"  # {origin}"


def scalar(value: Any) -> str:
    """A value as YAML writes it."""
    if value is None:
        return "null"
    return "''" if value == "" else str(value).lower() if isinstance(value, bool) else str(value)
