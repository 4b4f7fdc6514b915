"""Every published masking scheme as a component that fits a folder: one list for `kmask show masks`, `kmask bench masking` and docs/masking.md.

    fit(levels={word, phrase})              ->  subword, whole_unit with units [phrase, word], ...; not salient: level `entity` is missing
    fit(levels, ["ngram.max_words=2"])      ->  the same with an n-gram of up to 2 words

A scheme is a file of masking/strategies/ whose settings all have defaults (so `mixture`, which needs a configuration, is none). It comes with
budget and corruption as published; of its lists of levels those that the data do not have are left out.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from launch.config import ConfigError, decode, find_kind, kinds, plain
from launch.yaml_files import Path_, Source, parse

if TYPE_CHECKING:
    from data_prep.shards import Prepared
    from masking.budget import Budget
    from masking.corruption import Corruption
    from masking.sequences import SimilarWords
    from pretrain.feed.hiding import Masking, Specials

COMMAND_LINE = "command line"


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

    return [name for name in kinds(Strategy) if all(_has_default(item) for item in dataclasses.fields(typing.cast(Any, _class(name))))]


def divided(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
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
    """`kind` and all settings of a scheme: ``given``, else the defaults without the levels that the data lack (as they are if nothing were left)."""
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
        return f"no table of similar words is given, so random tokens stand in for them; {name}.similar_words=FILE (`kmask lexicon similar`) draws it with one"
    return ""


def budget_words(budget: Budget) -> str:
    """A budget in words."""
    of = "units" if budget.rule in ("units", "bernoulli") else "tokens"
    rate = f"{budget.rate * 100:.3g} %" + (f" at first, {budget.final_rate * 100:.3g} % at the end," if budget.final_rate else "")
    parts = [f"{rate} of the {of}", f"rule {budget.rule}", *(["at least one unit"] if budget.at_least_one else [])]
    return ", ".join(parts + ([f"at most {budget.row_targets} tokens a row"] if budget.row_targets else []))


def corruption_words(corruption: Corruption) -> str:
    """A corruption in words."""
    kept = max(1 - corruption.mask - corruption.random - corruption.similar, 0)
    shares = [("[MASK]", corruption.mask), ("similar words", corruption.similar), ("random", corruption.random), ("kept", kept)]
    shown = ", ".join(f"{share * 100:.3g} % {name}" for name, share in shares if share > 1e-9)
    pool = {"vocabulary": "", "corpus": ", random tokens by corpus frequency", "sample": ", random tokens from the sample"}[corruption.pool]
    return f"{shown}, one draw per {corruption.per}{pool if corruption.random or corruption.similar else ''}"


def specials_for(folders: list[Prepared], schemes: Sequence[Scheme]) -> list[Specials]:
    """What each scheme needs to know of these folders; the corpus is counted once. Without a table of similar words none are known.

    Raises:
        ValueError: a table of similar words that cannot be read.
    """
    from masking.corruption import Corruption
    from masking.strategies.subword import Subword
    from pretrain.corpus import specials
    from pretrain.feed.corpus_counts import rarity
    from pretrain.feed.hiding import Masking

    laws = [scheme.masking.replacement for scheme in schemes]
    pool = "corpus" if any(law.pool == "corpus" for law in laws) else "vocabulary"
    shared = specials(folders, Masking(strategy=Subword(), corruption=Corruption(pool=pool)))
    weighted = dict.fromkeys(level for scheme in schemes for level in scheme.masking.strategy.weighted())
    shared = dataclasses.replace(shared, rarity={level: rarity(folders, level) for level in weighted})
    found = []
    for law in laws:
        similar = None
        if law.similar > 0 and law.similar_words:
            alone = Masking(strategy=Subword(), corruption=dataclasses.replace(law, pool="vocabulary"))
            similar = specials(folders, alone).replacements.similar
        elif law.similar > 0:
            similar = no_similar_words()
        found.append(dataclasses.replace(shared, replacements=dataclasses.replace(shared.replacements, similar=similar)))
    return found


def no_similar_words() -> SimilarWords:
    """A table without entries."""
    import numpy as np

    from masking.sequences import Sequences, SimilarWords

    return SimilarWords(Sequences.build(np.zeros(0, np.int32), np.zeros(1, np.int64)), np.zeros(1, np.int64), np.zeros(0, np.int32))


def _hint(name: str, known: list[str]) -> str:
    from masking.strategies import Strategy

    if name in kinds(Strategy):
        return ": it has no settings of its own to be drawn with. Write it into a pretraining YAML and show that."
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return f"; did you mean `{close[0]}`?" if close else "."


def _class(name: str) -> Any:
    from masking.strategies import Strategy

    return find_kind(Strategy, name)


def _kind(strategy: Any) -> str:
    return str(plain(strategy)["kind"])


def _has_default(item: dataclasses.Field[Any]) -> bool:
    return not item.init or item.default is not dataclasses.MISSING or item.default_factory is not dataclasses.MISSING


def _overridden(overrides: Sequence[str]) -> tuple[dict[str, dict[str, Any]], dict[Path_, str]]:
    """{scheme: {field: value}} and where they were written."""
    values: dict[str, dict[str, Any]] = {}
    marks: dict[Path_, str] = {}
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
