"""`kmask bench masking`: how fast every scheme masks your data on one core of this machine.

windows -> samples -> rows of 4,096 tokens; every scheme masks the same rows under new keys each round
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from launch.settings.yaml_files import ConfigError
from launch.views.masks.scheme_specials import specials_for
from launch.views.masks.scheme_words import budget_words
from launch.views.masks.schemes import Scheme, fit

if TYPE_CHECKING:
    from pretrain.feed.hiding import Specials
    from pretrain.feed.packed import Laid

SAMPLES, LONGEST, ROW = 512, 506, 4096
"""Samples, their longest window in tokens, tokens of a row."""
SLICES = 5
"""A speed is the best of so many measurements in processor time: what other work takes away is left out."""


class Rows(NamedTuple):
    """Samples laid into rows, and the schemes that can mask them."""

    laid: Laid
    tokens: int
    """Of the samples, without padding."""
    schemes: list[Scheme]
    specials: list[Specials]
    missing: dict[str, str]


def bench_masking(folder: Path, seconds: float) -> None:
    """Choice + replacement + span boundary targets of every scheme, on one core."""
    begun = time.perf_counter()
    import masking.kernels  # noqa: F401

    loaded = time.perf_counter() - begun
    rows = read_rows(folder)
    samples, total = len(rows.laid.samples), len(rows.laid.original_T)
    print(
        f"{samples} samples, {rows.tokens:,} tokens in {total // ROW} rows of {ROW:,} "
        f"({rows.tokens / total:.1%} real); "
        f"one core, processor time, the best of {SLICES} runs"
    )
    print(f"{'scheme':18s}{'million tokens/s':>18s}{'first call':>13s}   budget")
    first = 0.0
    for scheme, specials in zip(rows.schemes, rows.specials, strict=True):
        work = masking_round(scheme, rows.laid, specials)
        begun = time.perf_counter()
        work(0)
        once = time.perf_counter() - begun
        first += once
        millions, budget = speed(work, rows.tokens, seconds) / 1e6, budget_words(scheme.masking.hidden_share)
        print(f"{scheme.name:18s}{millions:18.1f}{1000 * once:10.0f} ms   {budget}", flush=True)
    print(
        f"compiled loops: imported in {loaded:.2f} s; first calls, which load or compile them, {first:.2f} s together"
    )
    for name, reason in rows.missing.items():
        print(f"not measured: {name} {reason}")


def read_rows(folder: Path) -> Rows:
    """Windows from all over a folder as rows.

    Raises:
        ValueError: no prepared folder, or nothing to train on.
    """
    import numpy as np

    from data_prep.shards import Prepared
    from pretrain.feed.packed import lay_out
    from pretrain.feed.sampling import best_fit
    from pretrain.feed.sources import Source
    from pretrain.objectives import plain_sample

    prepared = Prepared.open(folder)
    source = Source(name="bench", prepared=prepared, split="train", max_tokens=LONGEST)
    if not len(source):
        raise ConfigError(f"{folder} holds no training document")
    fitted = fit(prepared.levels)
    specials = specials_for([prepared], fitted.schemes)
    spread = sorted({number * len(source) // SAMPLES for number in range(SAMPLES)})
    samples = [plain_sample(source.read(number), number + 1, "bench", specials[0]) for number in spread]
    lengths = np.array([len(sample.token_ids_T) for sample in samples])
    order, offsets = best_fit(lengths, ROW)
    rows = [
        [samples[item] for item in order[first:last].tolist()] for first, last in itertools.pairwise(offsets.tolist())
    ]
    laid = lay_out(rows, ROW, specials[0].pad)
    return Rows(laid, int(lengths.sum()), fitted.schemes, specials, fitted.missing)


def masking_round(scheme: Scheme, laid: Laid, specials: Specials) -> Callable[[int], None]:
    """Mask all rows once, under keys of the round.

    Choice, replacement and span boundary targets: all that training pays for.
    """
    import numpy as np

    from masking.boundary import boundary_targets
    from masking.keyed import combine_array
    from pretrain.feed.hiding import weights

    strategy, budget, corruption = scheme.masking.strategy, scheme.masking.hidden_share, scheme.masking.replacement
    progress_S = np.zeros(len(laid.samples))

    def work(number: int) -> None:
        keys_S = combine_array(laid.keys_S, number)
        units = replace(laid.units, weights=weights(strategy, laid.units, laid.original_T, specials.rarity))
        spans = strategy.select(units, budget, keys_S, progress_S)
        corruption.corrupt(laid.original_T, spans, units, keys_S, specials.replacements)
        boundary_targets(spans, units, 20)

    return work


def speed(work: Callable[[int], None], tokens: int, seconds: float) -> float:
    """Tokens per second of processor time of ``work(round)``, which does so many each round: the best slice."""
    best, number = 0.0, 0
    for _ in range(SLICES):
        done, begun = 0, time.process_time()
        while not done or time.process_time() - begun < seconds / SLICES:
            number += 1
            work(number)
            done += tokens
        best = max(best, done / max(time.process_time() - begun, 1e-9))
    return best
