"""Every key of a configuration as a Markdown page, from the docstrings of the components, so that it cannot go stale.

kmask config reference data > docs/data.md        (a test compares the pages in docs/ with this output)
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from collections.abc import Iterator
from typing import Any

from launch.settings.components import field_docs, plain
from launch.settings.kinds import find_kind, kinds

TITLES = {
    "data": "Keys of a data configuration",
    "pretrain": "Keys of a pretraining configuration",
    "cluster": "Keys of a cluster file",
}


def reference(name: str, root: type) -> str:
    """The page of one configuration class."""
    lines = [
        f"# {TITLES[name]}",
        "",
        f"Written by `kmask config reference {name}`; edit the docstrings, not this page. "
        "Keys without a default must be given. A key whose type is",
        "a choice takes `kind: NAME` and the keys of that kind; `kind: package.module` takes a module of your own.",
        "",
    ]
    seen: dict[type, None] = {}
    waiting = [root]
    while waiting:
        kind = waiting.pop(0)
        if kind in seen:
            continue
        seen[kind] = None
        section, further = (_choice if inspect.isabstract(kind) else component)(kind)
        lines += section
        waiting += further
    return "\n".join(lines).rstrip() + "\n"


def component(cls: type, heading: str = "##", title: str = "") -> tuple[list[str], list[type]]:
    """The section of one dataclass, and the classes that its keys lead to."""
    story = " ".join((inspect.getdoc(cls) or "").split())
    hints = typing.get_type_hints(cls)
    further = [
        found for item in dataclasses.fields(typing.cast(Any, cls)) if item.init for found in _classes(hints[item.name])
    ]
    return [f"{heading} {title or cls.__name__}", "", story, "", *keys(cls)], further


def keys(cls: type) -> list[str]:
    """The keys of a dataclass as a table."""
    hints, docs = typing.get_type_hints(cls), field_docs(cls)
    rows = [
        f"| `{item.name}` | {_type(hints[item.name])} | {_default_cell(item)} | {escaped(docs.get(item.name, ''))} |"
        for item in dataclasses.fields(typing.cast(Any, cls))
        if item.init
    ]
    return ["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""] if rows else ["No keys.", ""]


def escaped(text: str) -> str:
    """The text as a cell of a Markdown table."""
    return text.replace("|", r"\|")


def _choice(base: type) -> tuple[list[str], list[type]]:
    """All kinds of a choice."""
    lines, further = [f"## {base.__name__}", "", " ".join((inspect.getdoc(base) or "").split()), ""], []
    for name in kinds(base):
        cls = find_kind(base, name)
        if cls is not None:
            section, more = component(cls, "###", f"`kind: {name}`")
            lines += section
            further += more
    return lines, further


def _classes(kind: Any) -> Iterator[type]:
    """The components and choices inside a type."""
    if dataclasses.is_dataclass(kind):
        yield typing.cast(type, kind)
    for argument in typing.get_args(kind):
        yield from _classes(argument)


def _type(kind: Any) -> str:
    if dataclasses.is_dataclass(kind):
        name = typing.cast(type, kind).__name__
        return f"[{name}](#{name.lower()})"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping to {_type(arguments[1])}"
    if arguments:
        return " or ".join("null" if argument is type(None) else _type(argument) for argument in arguments)
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(
        kind, getattr(kind, "__name__", str(kind))
    )


def _default_cell(item: dataclasses.Field[Any]) -> str:
    if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
        return ""
    value = plain(item.default if item.default is not dataclasses.MISSING else typing.cast(Any, item.default_factory)())
    if isinstance(value, dict) and len(value) > 1:
        return f"`kind: {value['kind']}`" if "kind" in value else "see there"
    if isinstance(value, dict | list) and len(json.dumps(value, ensure_ascii=False)) > 60:
        return "see there"
    text = "null" if value is None else json.dumps(value, ensure_ascii=False)
    return f"`{text}`"
