"""YAML 1.2 files as plain values that remember where each of them was written.

    load("run.yaml", ["train.steps=20"])  ->  Source(value={...}, marks={("train", "steps"): "command line", ...})

``extends: other.yaml`` (one level, relative to the file) is merged below the file; a mapping that changes ``kind``
discards the keys of the old kind. Duplicate keys are refused. Overrides are ``dotted.key=value`` with the value read as
YAML.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys of mappings and numbers of list items, from the top."""
COMMAND_LINE = "command line"
"""The place of values that no file holds."""


class ConfigError(ValueError):
    """Something in a configuration that its author can put right."""


@dataclass(frozen=True)
class Source:
    """A configuration as plain dicts, lists and scalars, and the place (`file:line`) of every key."""

    value: dict[str, Any]
    marks: dict[KeyPath, str]

    def mark(self, path: KeyPath) -> str:
        """Where ``path``, or the nearest mapping around it, was written."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, "")


def load(file: Path, overrides: list[str]) -> Source:
    """Read ``file``, what it extends, and the overrides.

    Raises:
        ConfigError: unreadable file, broken YAML, a duplicate key, or an override that is not ``key=value``.
    """
    source = _read(file)
    parent = source.value.pop("extends", None)
    if parent is not None:
        base = _read(file.parent / str(parent))
        if "extends" in base.value:
            raise ConfigError(
                f"{base.mark(('extends',))}: `extends` reaches one level only; put both files' keys into one"
            )
        source = _merge(base, source)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"override {override!r}: write it as dotted.key=value, for example output=runs/two")
        source = _merge(source, _override(key.strip(), text))
    return source


def from_arguments(items: Sequence[str]) -> Source:
    """`key=value` arguments as a configuration of their own.

    Raises:
        ConfigError: a key stands twice.
    """
    values: dict[str, Any] = {}
    for item in items:
        key, _, text = item.partition("=")
        if key in values:
            raise ConfigError(f"{COMMAND_LINE}: {key} stands twice")
        values[key] = parse(text, f"{COMMAND_LINE} {key}")
    return Source(values, {(key,): COMMAND_LINE for key in values})


def parse(text: str, name: str) -> Any:
    """YAML text with line marks (ruamel's commented types)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML().load(io.StringIO(text))
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"{name}:{line}: {str(error.problem).splitlines()[0]}. Each key may stand once.") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(f"{name}:{mark.line + 1 if mark else '?'}: not valid YAML: {error.problem}") from None
    except YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from None


def _read(file: Path) -> Source:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"configuration {file}: no such file (looked from {Path.cwd()})") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"configuration {file}: not UTF-8 (byte {error.start})") from None
    except IsADirectoryError:
        raise ConfigError(f"configuration {file} is a folder; give the YAML file") from None
    node = parse(text, str(file))
    if not isinstance(node, dict):
        raise ConfigError(
            f"configuration {file}: expected `key: value` lines, "
            f"found {'nothing' if node is None else type(node).__name__}"
        )
    marks: dict[KeyPath, str] = {}
    return Source(_plain(node, str(file), (), marks), marks)


def _plain(node: Any, name: str, path: KeyPath, marks: dict[KeyPath, str]) -> Any:
    """ruamel's types as plain ones, noting the line of every key and list item."""
    if isinstance(node, dict):
        for key in node:
            marks[(*path, key)] = f"{name}:{_line(node, key)}" if hasattr(node, "lc") else name
        return {key: _plain(value, name, (*path, key), marks) for key, value in node.items()}
    if isinstance(node, list):
        for index in range(len(node)):
            marks[(*path, index)] = f"{name}:{node.lc.item(index)[0] + 1}" if hasattr(node, "lc") else name
        return [_plain(value, name, (*path, index), marks) for index, value in enumerate(node)]
    if isinstance(node, bool):
        return bool(node)
    return (
        float(node)
        if isinstance(node, float)
        else int(node)
        if isinstance(node, int)
        else str(node)
        if isinstance(node, str)
        else node
    )


def _line(node: Any, key: Any) -> int:
    """Line of a key; of its mapping when the key came in through a merge (``<<``)."""
    return int(node.lc.data[key][0] if key in node.lc.data else node.lc.line) + 1


def _override(key: str, text: str) -> Source:
    node = parse(text, f"{COMMAND_LINE} {key}") if text.strip() else ""
    steps: list[str | int] = [int(part) if part.isdigit() else part for part in key.split(".")]
    marks: dict[KeyPath, str] = {}
    value = _plain(node, COMMAND_LINE, tuple(steps), marks)
    for length in range(1, len(steps) + 1):
        marks[tuple(steps[:length])] = COMMAND_LINE
    for step in reversed(steps):
        value = {step: value}
    return Source(value, marks)


def _merge(base: Source, top: Source) -> Source:
    return Source(_merged(base.value, top.value), {**base.marks, **top.marks})


def _merged(base: Any, top: Any) -> Any:
    """``top`` over ``base``: mappings key by key, everything else replaced; integers address list items."""
    if isinstance(base, list) and isinstance(top, dict) and top and all(isinstance(key, int) for key in top):
        items = list(base)
        for index, value in top.items():
            if not 0 <= index < len(items):
                raise ConfigError(f"{COMMAND_LINE}: item {index} does not exist, the list has {len(items)} item(s)")
            items[index] = _merged(items[index], value)
        return items
    if not (isinstance(base, dict) and isinstance(top, dict)):
        return top
    if "kind" in top and top["kind"] != base.get("kind"):
        return top
    return {**base, **{key: _merged(base[key], value) if key in base else value for key, value in top.items()}}
