"""Configuration files -> components. The only place where ``kind`` becomes a class.

    decode(Preparation, load(Path("data.yaml"), ["output=x"]))  ->  Preparation(corpora=[Jsonl(...)], ...)

The types of the dataclasses decide everything: a field whose type is an abstract class of a plugin package is a choice
(kinds.py finds its class); other values are checked by pydantic. Unknown
keys are errors with the nearest known key. All errors of a file are reported at once.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import math
import types
import typing
from pathlib import Path
from typing import Any

from launch.settings.kinds import find_kind, kinds, nearest, plugin_base
from launch.settings.yaml_files import ConfigError, KeyPath, Source, load

FAILED = object()
T = typing.TypeVar("T")


def read_config(cls: type[T], file: Path, overrides: list[str]) -> T:
    """Load and decode in one go."""
    return decode(cls, load(file, overrides))


def decode(cls: type[T], source: Source) -> T:
    """Build ``cls`` from ``source``.

    Raises:
        ConfigError: every unknown key, missing key and impossible value, one line each, with file and line.
    """
    decoder = _Decoder(source)
    value = decoder.decode(cls, source.value, (), None)
    if decoder.errors:
        raise ConfigError("\n".join(decoder.errors))
    return typing.cast(T, value)


class _Decoder:
    """Walks types and values side by side and collects errors."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.errors: list[str] = []

    def fail(self, path: KeyPath, message: str) -> Any:
        mark = self.source.mark(path)
        dotted = ".".join(map(str, path))
        self.errors.append(f"{mark + ': ' if mark else ''}{dotted + ': ' if dotted else ''}{message}")
        return FAILED

    def decode(self, kind: Any, value: Any, path: KeyPath, default: Any) -> Any:
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin is list:
            if not isinstance(value, list):
                return self.fail(path, f"expected a list, found {_shown(value)}")
            items = [self.decode(arguments[0], item, (*path, index), None) for index, item in enumerate(value)]
            return FAILED if FAILED in items else items
        if origin is dict:
            if not isinstance(value, dict):
                return self.fail(path, f"expected `key: value` lines, found {_shown(value)}")
            entries = {str(key): self.decode(arguments[1], item, (*path, key), None) for key, item in value.items()}
            return FAILED if FAILED in entries.values() else entries
        if origin in (types.UnionType, typing.Union) and any(dataclasses.is_dataclass(option) for option in arguments):
            if value is None and type(None) in arguments:
                return None
            plain_ones = [
                option for option in arguments if not dataclasses.is_dataclass(option) and option is not type(None)
            ]
            if plain_ones and not isinstance(value, dict):
                return self.leaf(plain_ones[0], value, path)
            component = next(option for option in arguments if dataclasses.is_dataclass(option))
            return self.decode(component, value, path, default)
        if isinstance(kind, type) and inspect.isabstract(kind):
            return self.plugin(kind, value, path, default)
        if dataclasses.is_dataclass(kind):
            return self.component(typing.cast(type, kind), value, path)
        return self.leaf(kind, value, path)

    def plugin(self, base: type, value: Any, path: KeyPath, default: Any) -> Any:
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, dict):
            return self.fail(path, f"expected a mapping with `kind`, found {_shown(value)}")
        if "kind" not in value:
            if default is None:
                return self.fail(path, f"`kind` is missing; one of {', '.join(kinds(base))}")
            return self.component(type(default), value, path)
        name = value["kind"]
        cls = find_kind(base, str(name))
        if cls is None:
            return self.fail(
                (*path, "kind"),
                f"unknown kind {name!r}{nearest(str(name), kinds(base))}; one of {', '.join(kinds(base))}",
            )
        return self.component(cls, {key: item for key, item in value.items() if key != "kind"}, path)

    def component(self, cls: type, value: Any, path: KeyPath) -> Any:
        if not isinstance(value, dict):
            return self.fail(path, f"expected `key: value` lines, found {_shown(value)}")
        fields = {item.name: item for item in dataclasses.fields(cls) if item.init}
        hints = typing.get_type_hints(cls)
        arguments: dict[str, Any] = {}
        failed = False
        for key, item in value.items():
            if key not in fields:
                self.fail(
                    (*path, key), f"unknown key{nearest(str(key), list(fields))}; known keys: {', '.join(fields)}"
                )
                failed = True
                continue
            arguments[key] = self.decode(hints[key], item, (*path, key), _default(fields[key]))
            failed = failed or arguments[key] is FAILED
        for name, item in fields.items():
            if (
                name not in value
                and item.default is dataclasses.MISSING
                and item.default_factory is dataclasses.MISSING
            ):
                self.fail(path, f"`{name}` is missing ({field_docs(cls).get(name, 'required')})")
                failed = True
        if failed:
            return FAILED
        try:
            return cls(**arguments)
        except (ValueError, OSError) as error:
            field, separator, rest = str(error).partition(": ")
            return self.fail((*path, field), rest) if separator and field in fields else self.fail(path, str(error))

    def leaf(self, kind: Any, value: Any, path: KeyPath) -> Any:
        import pydantic

        numbers = {int, float} & set(typing.get_args(kind) or (kind,))
        if isinstance(value, bool) and numbers and bool not in (typing.get_args(kind) or (kind,)):
            return self.fail(path, f"expected a number, found {_shown(value)}")
        if isinstance(value, float) and not math.isfinite(value) and numbers:
            return self.fail(path, f"expected a finite number, found {_shown(value)}")
        if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        try:
            return adapter(kind).validate_python(value)
        except pydantic.ValidationError as error:
            message = error.errors()[0]["msg"]
            return self.fail(path, f"{message[0].lower()}{message[1:]} (found {_shown(value)})")


@functools.cache
def adapter(kind: Any) -> Any:
    """pydantic's checker of a plain type."""
    import pydantic

    return pydantic.TypeAdapter(kind)


def _default(item: dataclasses.Field[Any]) -> Any:
    if item.default is not dataclasses.MISSING:
        return item.default
    return item.default_factory() if item.default_factory is not dataclasses.MISSING else None


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def plain(value: Any) -> Any:
    """A component as plain values, with ``kind`` where one was chosen: what is shown and what runs record."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value) if item.init}
        base = plugin_base(type(value))
        if base is None:
            return items
        module = type(value).__module__
        return {"kind": module.removeprefix(base.__module__ + "."), **items}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@functools.cache
def field_docs(cls: type) -> dict[str, str]:
    """The line below each field, for schemas, comments and messages. Base classes included."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        body = next(
            node
            for node in ast.walk(ast.parse(inspect.getsource(typing.cast(type, base))))
            if isinstance(node, ast.ClassDef)
        ).body
        for statement, follower in itertools.pairwise(body):
            if not (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(follower, ast.Expr)
            ):
                continue
            if isinstance(follower.value, ast.Constant) and isinstance(follower.value.value, str):
                docs[statement.target.id] = " ".join(follower.value.value.split())
    return docs
