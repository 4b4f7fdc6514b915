"""The pages of docs/ that the code writes, by name: `kmask config reference NAME`."""

from __future__ import annotations

from launch.manual.masking import masking_reference
from launch.manual.objectives import objectives_reference
from launch.manual.reference import TITLES, reference
from launch.settings.config_classes import config_class
from launch.settings.yaml_files import ConfigError

WRITTEN = {"masking": masking_reference, "objectives": objectives_reference}
"""Pages that are more than a list of keys."""


def manual_page(name: str) -> str:
    """The page of `data`, `pretrain`, `cluster`, `masking` or `objectives`.

    Raises:
        ConfigError: there is no such page.
    """
    if name in WRITTEN:
        return WRITTEN[name]()
    if name not in TITLES:
        raise ConfigError(f"{name!r} is not one of {', '.join([*TITLES, *WRITTEN])}")
    return reference(name, config_class(name))
