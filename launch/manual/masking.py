"""docs/masking.md: every masking scheme with its paper, keys, an example and what it costs, all taken from the code.

    kmask config reference masking > docs/masking.md        (a test compares the page with this output)

Stories come from module docstrings, keys from field docstrings, examples from really masking two small texts under a
fixed key, speeds from the table in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import importlib
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.manual.masking_examples import CHINESE, ENGLISH, LENGTHS, chances
from launch.manual.masking_figures import figures
from launch.manual.masking_texts import EXAMPLES, OPENING, STRUCTURE, UNITS
from launch.manual.reference import component, keys
from launch.settings.components import decode
from launch.settings.kinds import kinds
from launch.settings.yaml_files import Source
from launch.views.masks.scheme_words import budget_words, corruption_words

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "RESULTS.md"
COSTS = "| scheme | million tokens/s, one core | x transformers' whole-word collator |"
"""The header of the table of speeds."""
NOT_MEASURED = "not measured"
OWN = "kmask's default"

NEEDED: Mapping[str, Mapping[str, Any]] = {
    "macbert": {"similar_words": "similar.tsv"},
    "mixture": {
        "strategies": [{"kind": "subword"}, {"kind": "whole_unit"}],
        "schedule": [{"until": 1.0, "weights": [1, 1]}],
    },
}
"""Settings that have no useful default."""


def masking_reference() -> str:
    """The page."""
    from masking.strategies import Strategy

    names = kinds(Strategy)
    costs = measured(RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else "")
    lines = [
        *OPENING.splitlines(),
        "",
        *overview_table(names, costs),
        "",
        *units_section(),
        *budget_section(),
        *corruption_section(),
        *boundary_section(),
        '<a id="strategy"></a>',
        "",
        "## The schemes",
        "",
        EXAMPLES,
    ]
    for name in names:
        lines += scheme_section(name, costs)
    return "\n".join(lines).rstrip() + "\n"


def overview_table(names: Sequence[str], costs: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """The schemes as a table."""
    budget, law = "budget (*: kmask's default)", "what replaces hidden tokens (*)"
    yield f"| scheme | hidden together | {budget} | {law} | million tokens/s, one core | paper |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        strategy = strategy_of(name)
        what = " ".join((inspect.getdoc(type(strategy)) or "").split("\n\n")[0].split()).replace("``", "`")
        speed = costs.get(name, (NOT_MEASURED, ""))[0]
        budget, law = (words + " *" * (part in strategy.OURS) for part, words in published_words(strategy).items())
        yield f"| [`{name}`](#{name}) | {what} | {budget} | {law} | {speed} | {strategy.PAPER} |"


def published_words(strategy: Any) -> dict[str, str]:
    """The budget and the corruption of a strategy in words."""
    return {"budget": budget_words(strategy.budget()), "corruption": corruption_words(strategy.corruption())}


def units_section() -> list[str]:
    """What may be hidden together."""
    example = [line for line in docstring_lines("masking.spans") if line.startswith("    ")]
    return ["## Units: what is hidden together", "", *UNITS.splitlines(), "", *example, ""]


def budget_section() -> list[str]:
    """The budget, its keys, and what every rule does."""
    from masking.budget import RULES, Budget

    lengths = sorted(set(LENGTHS))
    rows = [
        f"| `{rule}` | " + " | ".join(f"{share:.3f}" for share in chances(Budget(rule=rule, at_least_one=False))) + " |"
        for rule in RULES
    ]
    text = f"A text of {sum(LENGTHS)} tokens in units of {', '.join(map(str, LENGTHS))} tokens"
    told = f"{text}, `rate: 0.15`, `at_least_one: false`: share of the tokens that is"
    return [
        "## Budget: how much is hidden",
        "",
        *docstring_lines("masking.budget"),
        "",
        *keys(Budget),
        f"{told} hidden, and the chance of a unit to be hidden completely, by its length, counted over 20,000 samples.",
        "",
        "| rule | tokens | " + " | ".join(f"{length} token{'s' if length > 1 else ''}" for length in lengths) + " |",
        "|---" * (len(lengths) + 2) + "|",
        *rows,
        "",
        *figures(),
    ]


def corruption_section() -> list[str]:
    """The corruption and its keys; structure corruptions."""
    from masking.corruption import Corruption
    from masking.structure import Shuffle

    return [
        "## Corruption: what replaces a hidden token",
        "",
        *docstring_lines("masking.corruption"),
        "",
        *keys(Corruption),
        STRUCTURE,
        *keys(Shuffle),
    ]


def boundary_section() -> list[str]:
    """Targets of the span boundary objective."""
    return ["## Span boundary targets", "", *docstring_lines("masking.boundary"), ""]


def scheme_section(name: str, costs: Mapping[str, tuple[str, str]]) -> list[str]:
    """One scheme."""
    strategy = strategy_of(name)
    speed, ratio = costs.get(name, (NOT_MEASURED, ""))
    cost = (
        f"{speed} million tokens/s on one core, {ratio} x transformers' whole-word collator" if ratio else NOT_MEASURED
    )
    levels = ", ".join(f"`{level}`" for level in strategy.levels())
    return [
        f"### {name}",
        "",
        *docstring_lines(type(strategy).__module__),
        "",
        *drawing(strategy),
        f"- paper: {strategy.PAPER}",
        *(
            f"- {part}, {OWN if part in strategy.OURS else 'as published'}: {words}"
            for part, words in published_words(strategy).items()
        ),
        f"- rules of a budget that it can follow: {', '.join(strategy.rules())}",
        f"- levels the data need: {levels or 'none'}",
        f"- cost: {cost}",
        "",
        *keys(type(strategy)),
        *part_sections(type(strategy)),
        "```yaml",
        "masking:",
        f"  strategy: {inline_yaml({'kind': name, **NEEDED.get(name, {})})}",
        "```",
        "",
    ]


def part_sections(cls: type) -> Iterator[str]:
    """The components that the keys of a strategy are made of."""
    from masking.strategies import Strategy

    for found in dict.fromkeys(component(cls)[1]):
        if not issubclass(found, Strategy):
            yield from component(found, "####")[0]


def drawing(strategy: Any) -> list[str]:
    """Both texts under a strategy."""
    from pretrain.feed.hiding import Masking

    masking = Masking(strategy=strategy)
    return ["```", *CHINESE.draw(masking), "", *ENGLISH.draw(masking), "```", ""]


def strategy_of(name: str) -> Any:
    """A strategy with the settings that it needs and defaults for the rest."""
    from masking.strategies import Strategy

    return decode(Strategy, Source({"kind": name, **NEEDED.get(name, {})}, {}))  # type: ignore[type-abstract]


def docstring_lines(module: str) -> list[str]:
    """A module's docstring as Markdown: indented parts are code already."""
    return textwrap.dedent(importlib.import_module(module).__doc__ or "").replace("``", "`").strip().splitlines()


def inline_yaml(value: Any) -> str:
    """Plain values as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {inline_yaml(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(inline_yaml, value)) + "]" if isinstance(value, list) else str(value)


def measured(results: str) -> dict[str, tuple[str, str]]:
    """(million tokens/s, ratio) by scheme, from the table of speeds; empty where there is none."""
    lines = results.splitlines()
    if COSTS not in lines:
        return {}
    found = {}
    for line in lines[lines.index(COSTS) + 2 :]:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 3:
            break
        found[cells[0].strip("`")] = (cells[1], cells[2].removesuffix("x").strip())
    return found
