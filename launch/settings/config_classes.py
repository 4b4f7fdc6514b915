"""The class behind each sort of configuration file: data, pretrain, cluster."""

from __future__ import annotations

from typing import Any

from launch.settings.yaml_files import ConfigError


def config_class(kind: str) -> type:
    """The configuration class behind `data`, `pretrain` or `cluster`."""
    if kind == "data":
        from data_prep.preparing.plan import Preparation

        return Preparation
    if kind == "pretrain":
        from pretrain.config import Run

        return Run
    if kind == "cluster":
        from launch.backends import Backend

        return Backend
    raise ConfigError(f"{kind!r} is not one of data, pretrain, cluster")


def recognise(value: dict[str, Any]) -> str:
    """Which class a file is written for, by its keys."""
    return (
        "data"
        if "corpora" in value
        else "pretrain"
        if "stages" in value or "schedule" in value
        else "cluster"
        if "kind" in value
        else "pretrain"
    )
