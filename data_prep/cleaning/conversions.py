"""Conversions by optional packages: traditional to simplified Chinese (OpenCC) and mojibake repair (ftfy).

    simplified("軟體", "tw2sp") -> "软件"          repaired("cafÃ©") -> "café"

OpenCC's objects cannot be sent to other processes, so each process makes its own.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib.metadata import version
from typing import Any


def check_package(field: str, package: str) -> None:
    """Raises:
    ValueError: an optional package is not installed; says how to get it.
    """
    if importlib.util.find_spec(package) is None:
        raise ValueError(
            f"{field}: needs the package {package}, which is not installed. Run: pip install 'kmask[{package}]'"
        )


def package_version(package: str) -> str:
    """The installed version, for fingerprints."""
    return version(package)


@cache
def _converter(name: str) -> Any:
    import opencc

    return opencc.OpenCC(name)


def simplified(text: str, name: str) -> str:
    """``text`` converted by OpenCC's configuration ``name``."""
    return text if text.isascii() else str(_converter(name).convert(text))


@cache
def _repair_settings() -> Any:
    import ftfy

    # Its defaults rewrite clean Chinese (， becomes a comma), and composing is ours (see composing.py).
    return ftfy.TextFixerConfig(
        fix_character_width=False, uncurl_quotes=False, fix_latin_ligatures=False, normalization=None, explain=False
    )


def repaired(text: str) -> str:
    """``text`` without mojibake and HTML entities."""
    import ftfy

    return str(ftfy.fix_text(text, _repair_settings()))
