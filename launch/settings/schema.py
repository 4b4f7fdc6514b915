"""JSON Schema of the configuration, for editors: every key with its description, every choice with its kinds."""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing
from typing import Any

from launch.settings.components import adapter, field_docs
from launch.settings.config_classes import config_class
from launch.settings.kinds import find_kind, kinds


def schema_text(name: str) -> str:
    """The schema of `data`, `pretrain` or `cluster` as a file, which says how a YAML file names it."""
    value = schema(config_class(name))
    if "properties" in value:
        value["properties"]["extends"] = {
            "type": "string",
            "description": "Another file, relative to this one, whose keys come first.",
        }
    file = f"{name}.schema.json"
    first_line = f"# yaml-language-server: $schema={file}"
    how = f"Written by `kmask config schema {name} > {file}`. Editors use it for files that begin with `{first_line}`."
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"kmask: {name}", "$comment": how}
    return json.dumps({**head, **value}, indent=1, ensure_ascii=False) + "\n"


def schema(kind: Any) -> dict[str, Any]:
    """JSON Schema of a type: every key with its description, every choice with its kinds under ``$defs``."""
    choices: dict[str, Any] = {}
    return {**_schema(kind, choices), "$defs": choices}


def _schema(kind: Any, choices: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], choices)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], choices)}
    if origin in (types.UnionType, typing.Union) and any(dataclasses.is_dataclass(option) for option in arguments):
        return {
            "anyOf": [{"type": "null"} if option is type(None) else _schema(option, choices) for option in arguments]
        }
    if isinstance(kind, type) and inspect.isabstract(kind):
        if kind.__name__ not in choices:
            options: list[dict[str, Any]] = []
            choices[kind.__name__] = {"anyOf": options}  # before its kinds: a kind may hold others of its sort
            for name in kinds(kind):
                cls = find_kind(kind, name)
                if cls is not None:
                    option = _schema(cls, choices)
                    options.append({**option, "properties": {"kind": {"const": name}, **option["properties"]}})
            options.append({"type": "string", "enum": kinds(kind)})
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if dataclasses.is_dataclass(kind):
        cls = typing.cast(type, kind)
        hints, docs = typing.get_type_hints(cls), field_docs(cls)
        properties = {}
        required = []
        for item in dataclasses.fields(cls):
            properties[item.name] = {**_schema(hints[item.name], choices), "description": docs.get(item.name, "")}
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                required.append(item.name)
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": properties,
            "required": required,
            "description": inspect.getdoc(cls) or "",
        }
    result: dict[str, Any] = adapter(kind).json_schema()
    return result
