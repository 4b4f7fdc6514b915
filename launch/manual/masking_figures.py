"""Figures of docs/masking.md: what the schemes do to short samples, units of several lengths, places of a sentence.

    words of 1 to 8 tokens in random order, cut at n tokens; every fifth of several tokens is an entity too
    shares of the tokens, of the units of a length, of the words at a place of a sentence that are hidden

Counted over samples under fixed keys, so the page says what the code does today.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from launch.settings.components import decode
from launch.settings.yaml_files import Source

if TYPE_CHECKING:
    from masking.spans import Spans, Units
    from masking.strategies import Strategy

TOKENS = (10, 14, 32, 128)
"""Lengths of short samples."""
WORDS = {1: 0.5, 2: 0.3, 3: 0.1, 4: 0.06, 8: 0.04}
"""Shares of words by length in tokens."""
SENTENCES, PLACES = 8, 12
"""Sentences of a sample and words of one token in each."""
SAMPLES = 20_000
EVEN: dict[str, Any] = {"units": ["entity", "word"], "weight": "even", "favour": 1.0}
DRAWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("whole_unit", {"units": ["word"]}),
    ("salient", EVEN),
    ("ngram", {}),
    ("geometric_span", {}),
)
"""One scheme for every way to draw."""

ACCEPT = """The rule `accept` is two laws. Where units are drawn one by one and alike (`subword`, `whole_unit`, \
`pmi`, `ernie1`), they lie on a circle in keyed
order, and an arc of the budget's length that begins at a random token chooses the units that begin in it: each is \
hidden equally often. Where the
order is not the units' own (`salient`: heavy ones first; `ngram`, `macbert`, `geometric_span` and the mixes: runs of \
words), the unit or run that would
cross the budget is taken with probability left / length, and the draw ends. The share of the tokens is the same, but \
of `salient`, `ngram` and `macbert`
units that are long beside the budget are hidden less often than short ones; spans begin at a random token, so that \
long words are met more often.
Samples of 24 tokens in words of 1 to 8, `rate: 0.15`, `at_least_one: false`, chances as above (`salient` with \
`weight: even, favour: 1`, so that it
favours nothing):
"""

SHORT = """`at_least_one` lifts the share of short samples: where the rule chooses nothing, one of the shortest units \
is hidden (which of them,
the key says). Share of the tokens that is hidden with it, and without it, in samples of such words with every \
scheme's own budget:
"""

STOPPED = """N-grams that stop at sentence ends reach the first words of a sentence less often than others. By \
default they run over them, as in Megatron-LM and
PaddleNLP, and only the first words of a whole sample are hidden less often, as there. Share of the words that is \
hidden, in samples of eight
sentences of twelve words:
"""


def figures() -> list[str]:
    """The three tables with what they mean."""
    return [
        *ACCEPT.splitlines(),
        "",
        *accepted(),
        "",
        *SHORT.splitlines(),
        "",
        *short_samples(),
        "",
        *STOPPED.splitlines(),
        "",
        *places(),
        "",
    ]


def strategies() -> Iterator[tuple[str, Strategy]]:
    """The schemes that are counted, by name."""
    from masking.strategies import Strategy

    for name, settings in DRAWS:
        yield name, decode(Strategy, Source({"kind": name, **settings}, {}))  # type: ignore[type-abstract]


def words(tokens: int, samples: int) -> Units:
    """Samples of so many tokens, all of them text."""
    import numpy as np

    from masking.keyed import combine_array, hash_key, uniform_array
    from masking.spans import Units

    keys = combine_array(np.arange(samples * tokens, dtype=np.uint64), hash_key("figures") % 2**32)
    lengths = np.array(list(WORDS))[
        np.searchsorted(np.cumsum(list(WORDS.values()))[:-1], uniform_array(keys, 0), "right")
    ].reshape(samples, tokens)
    ends = np.cumsum(lengths, axis=1)
    starts, entity = ends - lengths, uniform_array(keys, 1).reshape(samples, tokens) < 0.2
    kept = (starts < tokens) & (np.minimum(ends, tokens) - starts > 1)
    first = (np.arange(samples) * tokens)[:, None]
    levels = {}
    for level, chosen in (("word", kept), ("entity", kept & entity)):
        levels[level] = tuple(
            edge[chosen].astype(np.int32) for edge in (first + starts, first + np.minimum(ends, tokens))
        )
    start_S = first[:, 0].astype(np.int32)
    everywhere_T = np.ones(samples * tokens, np.bool_)
    return Units(
        sample_start_S=start_S, sample_end_S=start_S + np.int32(tokens), maskable_T=everywhere_T, levels=levels
    )  # type: ignore[arg-type]


def hidden(strategy: Strategy, units: Units, **budget: Any) -> Spans:
    """What a strategy hides of these samples, with its own budget but for these settings of it."""
    import numpy as np

    from masking.keyed import combine_array, hash_key

    samples = len(units.sample_start_S)
    keys = combine_array(np.arange(samples, dtype=np.uint64), hash_key("figures", 1))
    return strategy.select(units, replace(strategy.budget(), **budget), keys, np.zeros(samples))


def short_samples() -> list[str]:
    """A table: share of the tokens of short samples that is hidden, with one unit at least and without."""
    rows = [
        "| scheme | " + " | ".join(f"{tokens} tokens" for tokens in TOKENS) + " |",
        "|---" * (len(TOKENS) + 1) + "|",
    ]
    for name, strategy in strategies():
        cells = []
        for tokens in TOKENS:
            units = words(tokens, SAMPLES * 10 // tokens)
            shares = [
                hidden(strategy, units, at_least_one=flag).tokens / len(units.maskable_T) for flag in (True, False)
            ]
            cells.append("{:.3f}, {:.3f}".format(*shares))
        rows.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return rows


def accepted(tokens: int = 24) -> list[str]:
    """A table: the chance of a unit to be hidden completely by its length, under `accept` of every way to draw."""
    import numpy as np

    units = words(tokens, SAMPLES)
    unit_end_T, _ = units.partition(["word"])
    start_U = np.flatnonzero(unit_end_T)
    length_U = unit_end_T[start_U] - start_U
    rows = [
        "| scheme | tokens | " + " | ".join(f"{n} token{'s' if n > 1 else ''}" for n in WORDS) + " |",
        "|---" * (len(WORDS) + 2) + "|",
    ]
    for name, strategy in strategies():
        spans = hidden(strategy, units, rule="accept", at_least_one=False)
        length_N = spans.end_N - spans.start_N
        shares = [spans.tokens / len(units.maskable_T), *((length_N == n).sum() / (length_U == n).sum() for n in WORDS)]
        rows.append(f"| `{name}` | " + " | ".join(f"{share:.3f}" for share in shares) + " |")
    return rows


def places(shown: Sequence[int] = (0, 1, 2, 5, PLACES - 1)) -> list[str]:
    """A table: how often words are hidden by their place in a sentence, where n-grams stop at its end and where not."""
    import numpy as np

    from masking.spans import Units
    from masking.strategies.macbert import MacBert
    from masking.strategies.ngram import Ngram

    size = SENTENCES * PLACES
    start_S = (np.arange(SAMPLES) * size).astype(np.int32)
    begins_T = np.tile(np.arange(size) % PLACES == 0, SAMPLES)
    none = np.zeros(0, np.int32)
    everywhere_T = np.ones(len(begins_T), np.bool_)
    units = Units(
        sample_start_S=start_S,
        sample_end_S=start_S + np.int32(size),
        maskable_T=everywhere_T,
        levels={"word": (none, none)},
        sentence_start_T=begins_T,
    )
    rows = [
        "| scheme | first word of a sample | " + " | ".join(f"word {place + 1} of {PLACES}" for place in shown) + " |",
        "|---" * (len(shown) + 2) + "|",
    ]
    for across in (True, False):
        for name, strategy in (
            ("ngram", Ngram(across_sentences=across)),
            ("macbert", MacBert(across_sentences=across)),
        ):
            counts = np.bincount(hidden(strategy, units).start_N % size, minlength=size) / SAMPLES
            inner = counts.reshape(SENTENCES, PLACES)[1:-1].mean(0)
            cells = " | ".join(f"{share:.3f}" for share in (counts[0], *inner[list(shown)]))
            rows.append(f"| `{name}`, `across_sentences: {str(across).lower()}` | {cells} |")
    return rows
