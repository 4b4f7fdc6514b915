"""The pages of docs/ that the code writes, by name: `kmask config reference NAME`."""

from __future__ import annotations

from launch.manual.masking import masking_reference
from launch.manual.reference import TITLES, reference
from launch.settings.config_classes import config_class
from launch.settings.yaml_files import ConfigError

MASKING = "masking"


def manual_page(name: str) -> str:
    """The page of `data`, `pretrain`, `cluster` or `masking`.

    Raises:
        ConfigError: there is no such page.
    """
    if name == MASKING:
        return masking_reference()
    if name not in TITLES:
        raise ConfigError(f"{name!r} is not one of {', '.join([*TITLES, MASKING])}")
    return reference(name, config_class(name))
