"""Every published masking scheme as a component that fits a folder, for `kmask show masks` and `kmask bench masking`.

    fit(levels={word, phrase})              ->  subword, whole_unit with units [phrase, word], ...;
                                                not salient: level `entity` is missing
    fit(levels, ["ngram.max_words=2"])      ->  the same with an n-gram of up to 2 words

none). It comes with budget and corruption as published; levels that the data lack are left out of its lists.
none). It comes with budget and corruption as published; levels that the data lack are left out of its lists.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from launch.settings.components import decode, plain
from launch.settings.kinds import find_kind, kinds, nearest
from launch.settings.yaml_files import COMMAND_LINE, ConfigError, KeyPath, Source, parse

if TYPE_CHECKING:
    from pretrain.feed.hiding import Masking


class Scheme(NamedTuple):
    """A masking with a name."""

    name: str
    masking: Masking
    note: str = ""
    """What a reader must know about how it is set up here."""


class Fitted(NamedTuple):
    """The schemes that some data allow."""

    schemes: list[Scheme]
    missing: dict[str, str]
    """Why each other scheme cannot be used, by name."""


def scheme_names() -> list[str]:
    """Every scheme."""
    from masking.strategies import Strategy

    return [
        name
        for name in kinds(Strategy)
        if all(_has_default(item) for item in dataclasses.fields(typing.cast(Any, _class(name))))
    ]


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """(overrides of schemes, all others): `ngram.max_words=2` begins with the name of a scheme."""
    names = scheme_names()
    ours = [text for text in overrides if text.partition("=")[0].partition(".")[0].strip() in names]
    return ours, [text for text in overrides if text not in ours]


def fit(levels: Collection[str], overrides: Sequence[str] = (), wanted: Sequence[str] = ()) -> Fitted:
    """The wanted schemes (all of them when none is named) as the levels of the data allow.

    Args:
        overrides: `scheme.field=value`.

    Raises:
        ConfigError: an unknown scheme or field, or a value that means nothing.
    """
    known = scheme_names()
    for name in wanted:
        if name not in known:
            raise ConfigError(f"unknown scheme {name!r}{_hint(name, known)} Known schemes: {', '.join(known)}")
    given, marks = _overridden(overrides)
    values = {name: fitted_settings(name, levels, given.get(name, {})) for name in known}
    from masking.spans import Part
    from masking.strategies import Strategy
    from pretrain.feed.hiding import Masking

    strategies = decode(dict[str, Strategy], Source(values, marks))
    schemes, missing = [], {}
    for name in dict.fromkeys(wanted or known):
        strategy = strategies[name]
        lacking = [level for level in strategy.levels() if Part.of(level).level not in levels]
        if lacking:
            missing[name] = f"needs units of level {', '.join(lacking)}; the data have {', '.join(levels) or 'none'}"
        else:
            schemes.append(Scheme(name, Masking(strategy=strategy), note_of(strategy)))
    return Fitted(schemes, missing)


def fitted_settings(name: str, levels: Collection[str], given: dict[str, Any]) -> dict[str, Any]:
    """`kind` and all settings of a scheme: ``given``, else the defaults without the levels that the data lack.

    Where a list would lose all it has, all settings stay as they are.
    """
    default = _class(name)()
    missing = {level for level in default.levels() if level not in levels}
    settings = plain(default)
    fitted = _without(settings, missing)
    return {**(settings if fitted is None else fitted), **given}


def note_of(strategy: Any) -> str:
    """What a reader must know about a strategy as it is."""
    corruption = strategy.corruption()
    if corruption.similar > 0 and not corruption.similar_words:
        name = _kind(strategy)
        remedy = f"{name}.similar_words=FILE (`kmask lexicon similar`) draws it with one"
        return f"no table of similar words is given, so random tokens stand in for them; {remedy}"
    return ""


def _hint(name: str, known: list[str]) -> str:
    from masking.strategies import Strategy

    if name in kinds(Strategy):
        return ": it has no settings of its own to be drawn with. Write it into a pretraining YAML and show that."
    return nearest(name, known) or "."


def _class(name: str) -> Any:
    from masking.strategies import Strategy

    return find_kind(Strategy, name)


def _kind(strategy: Any) -> str:
    return str(plain(strategy)["kind"])


def _has_default(item: dataclasses.Field[Any]) -> bool:
    return not item.init or item.default is not dataclasses.MISSING or item.default_factory is not dataclasses.MISSING


def _overridden(overrides: Sequence[str]) -> tuple[dict[str, dict[str, Any]], dict[KeyPath, str]]:
    """{scheme: {field: value}} and where they were written."""
    values: dict[str, dict[str, Any]] = {}
    marks: dict[KeyPath, str] = {}
    for override in overrides:
        key, separator, text = override.partition("=")
        name, dot, field = key.strip().partition(".")
        if not (separator and dot and field):
            raise ConfigError(f"override {override!r}: write it as scheme.field=value, for example ngram.max_words=2")
        values.setdefault(name, {})[field] = parse(text, f"{COMMAND_LINE} {key.strip()}") if text.strip() else ""
        marks[name, field] = COMMAND_LINE
    return values, marks


def _without(value: Any, missing: Collection[str]) -> Any:
    """``value`` without these names in its lists of text; None when a list would lose all it has."""
    if isinstance(value, dict):
        items = {key: _without(item, missing) for key, item in value.items()}
        return None if any(item is None and value[key] is not None for key, item in items.items()) else items
    if isinstance(value, list):
        kept = [_without(item, missing) for item in value if not (isinstance(item, str) and item in missing)]
        return None if (value and not kept) or None in kept else kept
    return value
