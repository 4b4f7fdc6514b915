"""What a component says of itself in fingerprints: its kind, which is the name of its file, and its settings."""

from __future__ import annotations

import dataclasses
from typing import Any


def settings_of(component: Any, drop: tuple[str, ...] = ()) -> dict[str, Any]:
    """A component's kind and settings, for fingerprints."""
    module = type(component).__module__
    settings = {
        item.name: getattr(component, item.name) for item in dataclasses.fields(component) if item.name not in drop
    }
    if settings.get("encoding") == "utf-8":  # folders begun before there was a choice go on
        del settings["encoding"]
    return {"kind": module.rsplit(".", 1)[-1], **settings}
