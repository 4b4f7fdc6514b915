"""The compiled loops of masking once more, in plain Python over sets and dictionaries: what the rules say, one sample
at a time.

Both draw the same numbers under a sample's key (masking/keyed.py), so they must agree to the last unit. Positions are
those of the sample.

    slow_units      Toy, levels, budget, key   ->   [(start, end), ...] of the hidden units
    slow_ngrams     ...                        ->   the same, and the n-grams they came from
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from toy_samples import Toy, slow_partition

from masking.budget import Budget
from masking.corruption import Corruption, Replacements
from masking.keyed import mix, uniform

Unit = tuple[int, int]


def units_of(toy: Toy, levels: Sequence[str], pieces: bool = False) -> list[Unit]:
    return [(start, end) for start, end, _ in slow_partition(toy, levels, pieces)]


def texts_of(toy: Toy) -> list[int]:
    return [position for position, maskable in enumerate(toy.maskable()) if maskable]


def allowance(count: int, budget: Budget, key: int) -> int:
    """How much of ``count`` is to be hidden: rate * count, rounded by the first draw under the key."""
    exact = budget.rate * count
    left = int(exact) + (uniform(key, 0) < exact - int(exact))
    return max(left, 1) if budget.at_least_one else left


def places(toy: Toy, key: int, numbers: Iterator[int]) -> Iterator[int]:
    """Positions of the sample, drawn evenly, one for each number."""
    return (int(uniform(key, number) * toy.length) for number in numbers)


def one_of_the_shortest(units: Sequence[Unit], drawn: Iterator[int]) -> Unit:
    """What is hidden where the rule chose nothing: of the shortest units the one that a drawn position begins first."""
    least = min(end - start for start, end in units)
    shortest = {start: (start, end) for start, end in units if end - start == least}
    return next(shortest[place] for place in drawn if place in shortest)


def slow_units(toy: Toy, levels: Sequence[str], budget: Budget, key: int, pieces: bool = False) -> list[Unit]:
    units, texts = units_of(toy, levels, pieces), texts_of(toy)
    begins = {unit[0]: unit for unit in units}
    if not units:
        return []
    drawn = places(toy, key, itertools.count(1))
    chosen: set[Unit] = set()
    if budget.rule == "bernoulli":
        chosen = {unit for unit in units if uniform(key, unit[0]) < budget.rate}
        drawn = places(toy, key, itertools.count(toy.length))
    elif budget.rule == "accept":
        left = allowance(len(texts), budget, key)
        if left:
            # All tokens on a circle, units in drawn order; the arc of `left` tokens that begins at a random one hides
            # the units that begin on it.
            anchor = next(place for place in drawn if place in texts)
            (own,) = (unit for unit in units if unit[0] <= anchor < unit[1])
            circle = list(range(anchor, own[1]))
            order = [own]
            while len(order) < len(units) and len(circle) < left:
                unit = begins.get(next(drawn))
                if unit and unit not in order:
                    order.append(unit)
                    circle += range(*unit)
            circle += range(own[0], anchor) if len(order) == len(units) else []
            chosen = {begins[place] for place in circle[:left] if place in begins}
    else:
        left, waiting = allowance(len(units) if budget.rule == "units" else len(texts), budget, key), set(units)
        while waiting and left > 0:
            start, end = begins.get(next(drawn), (-1, -1))
            if (start, end) not in waiting:
                continue
            waiting.remove((start, end))
            cost = 1 if budget.rule == "units" else end - start
            if cost > left and budget.rule == "skip":
                continue
            if cost > left and budget.rule == "stop":
                break
            chosen.add((start, start + left) if cost > left and budget.rule == "cut" else (start, end))
            left -= cost
    if not chosen and budget.at_least_one:
        chosen = {one_of_the_shortest(units, drawn)}
    return sorted(chosen)


def slow_weighted(toy: Toy, levels: Sequence[str], weights: dict[Unit, float], budget: Budget, key: int) -> list[Unit]:
    """``weights`` of the units that are favoured; all others have 1."""
    units, chosen = units_of(toy, levels), set()
    if not units:
        return []
    left = allowance(len(units) if budget.rule == "units" else len(texts_of(toy)), budget, key)
    rank = {unit: -math.log(1 - uniform(key, 1 + number)) / weights.get(unit, 1.0) for number, unit in enumerate(units)}
    order = sorted(units, key=rank.__getitem__)
    for start, end in order:
        if left <= 0:
            break
        cost, cut = 1 if budget.rule == "units" else end - start, end
        if cost > left:
            if budget.rule == "skip":
                continue
            if budget.rule == "stop" or (budget.rule == "accept" and uniform(key, 1 + len(units)) >= left / cost):
                break
            if budget.rule == "cut":
                cut = start + left
        chosen.add((start, cut))
        left -= cost
    if not chosen and budget.at_least_one:
        chosen = {min(order, key=lambda unit: unit[1] - unit[0])}  # of equally short ones the first in order
    return sorted(chosen)


def runs_from(words: list[Unit], first: Unit, breaks: set[int], longest: int) -> list[Unit]:
    """The word and those that follow it without a gap and without a break between, ``longest`` at most."""
    run, place = [first], bisect.bisect_left(words, first)
    for word in words[place + 1 : place + longest]:
        if len(run) == longest or word[0] != run[-1][1] or word[0] in breaks:
            break
        run.append(word)
    return run


def trimmed(words: Sequence[Unit], end: int) -> list[Unit]:
    """The words that begin before ``end``, the last cut there."""
    return [(start, min(last, end)) for start, last in words if start < end]


def slow_ngrams(
    toy: Toy, budget: Budget, key: int, cumulative: Sequence[float], across: bool
) -> tuple[list[Unit], list[int]]:
    """(hidden words, n of every n-gram in the order of choice; a word hidden only so that there is one does not
    count)."""
    words = units_of(toy, ["word"])
    begins, breaks = {word[0]: word for word in words}, set() if across else set(toy.sentences)
    if not words:
        return [], []
    left = allowance(len(words) if budget.rule == "units" else len(texts_of(toy)), budget, key)
    chosen: dict[Unit, Unit] = {}
    waiting, number, ngrams = set(words), 1, []
    while waiting and left > 0:
        word = begins.get(int(uniform(key, number) * toy.length))
        number += 1
        if word not in waiting:
            continue
        waiting.remove(word)
        run = runs_from(words, word, breaks, len(cumulative))
        wanted = uniform(key, number) * cumulative[len(run) - 1]
        number += 1
        run = run[: 1 + sum(bound <= wanted for bound in cumulative[: len(run) - 1])]
        if budget.rule == "units":
            run = run[:left]
        while budget.rule == "skip" and run and run[-1][1] - run[0][0] > left:
            run = run[:-1]
        if not run or set(run) & set(chosen):
            continue
        cost = len(run) if budget.rule == "units" else run[-1][1] - run[0][0]
        if cost > left and (budget.rule == "stop" or (budget.rule == "accept" and uniform(key, number) >= left / cost)):
            break
        cut = trimmed(run, run[0][0] + left) if cost > left and budget.rule == "cut" else run
        chosen.update(zip(run, cut, strict=False))
        ngrams.append(len(cut))
        left -= cost
    if not chosen and budget.at_least_one:
        chosen = {word: word for word in [one_of_the_shortest(words, places(toy, key, itertools.count(number + 1)))]}
    return sorted(chosen.values()), ngrams


def slow_spans(
    toy: Toy, budget: Budget, key: int, cumulative: Sequence[float], across: bool, special: str = "", share: float = 0.0
) -> tuple[list[Unit], list[tuple[bool, list[Unit]]]]:
    """(hidden words, the draws that hid something: was it a special unit, and its words)."""
    maskable = toy.maskable()
    specials = [(start, end) for start, end in toy.levels.get(special, []) if all(maskable[start:end])]
    edges = {edge for unit in specials for edge in unit}
    words = []
    for start, end in units_of(toy, ["word"]):
        inner = [start, *sorted(edge for edge in edges if start < edge < end), end]
        words += list(itertools.pairwise(inner))
    home = {token: word for word in words for token in range(*word)}
    breaks: set[int] = set() if across else set(toy.sentences)
    if not words:
        return [], []
    left, hidden, number, draws = allowance(len(home), budget, key), set(), 1, []
    for _ in range(20 * toy.length + 100):
        if left <= 0:
            break
        first, number = number, number + 3
        of_special = bool(specials) and share > 0 and uniform(key, first) < share
        if of_special:
            start, end = specials[int(uniform(key, first + 1) * len(specials))]
            run = [word for word in words if start <= word[0] < end]
        else:
            anchor = int(uniform(key, first + 1) * toy.length)
            if anchor not in home or anchor in hidden:
                continue
            run = runs_from(
                words, home[anchor], breaks, 1 + sum(bound <= uniform(key, first + 2) for bound in cumulative)
            )
        fresh = [token for word in run for token in range(*word) if token not in hidden]
        if not fresh:
            continue
        if len(fresh) > left:
            if budget.rule == "skip":
                continue
            if budget.rule == "stop" or (budget.rule == "accept" and uniform(key, number) >= left / len(fresh)):
                break
            if budget.rule == "cut":
                fresh = fresh[:left]
            if budget.rule == "accept":
                left = 0
        hidden.update(fresh)
        draws.append((of_special, run))
        left -= len(fresh)
    chosen = [(word[0], word[0] + len(hidden & set(range(*word)))) for word in words if hidden & set(range(*word))]
    if not chosen and budget.at_least_one:
        chosen = [one_of_the_shortest(words, places(toy, key, itertools.count(number + 1)))]
    return chosen, draws


def slow_corrupt(
    corruption: Corruption,
    ids: list[int],
    toy: Toy,
    chosen: list[Unit],
    key: int,
    replacements: Replacements,
    similar: dict[tuple[int, ...], list[list[int]]],
) -> tuple[list[int], list[tuple[int, int, str]]]:
    """(ids of the sample as the model sees them, (position, label, action) of every target)."""
    result, targets = list(ids), []
    pool = replacements.ordinary_V.tolist()
    steps = list(itertools.accumulate([corruption.mask, corruption.random, corruption.similar]))
    for number, (start, end) in enumerate(chosen):
        if corruption.per != "span" or number == 0 or chosen[number - 1][1] != start:
            shared = uniform(key, 2 * start)
        known = similar.get(tuple(ids[start:end]), [])
        for position in range(start, end):
            choice = uniform(key, 2 * position) if corruption.per == "token" else shared
            action = (
                "mask"
                if choice < steps[0]
                else "random"
                if choice < steps[1]
                else "similar"
                if choice < min(steps[2], 1)
                else "kept"
            )
            if action == "similar" and not known:
                action = "random"
            targets.append((position, ids[position], action))
            if action == "mask":
                result[position] = replacements.mask_id
            elif action == "similar":
                result[position] = known[int(uniform(key, 2 * start + 1) * len(known))][position - start]
            elif action == "random":
                result[position] = slow_random(corruption.pool, ids, toy, position, key, replacements, pool)
    return result, targets


def slow_random(
    pool: str, ids: list[int], toy: Toy, position: int, key: int, replacements: Replacements, ordinary: list[int]
) -> int:
    number = 2 * position + 1
    if pool == "vocabulary":
        return int(ordinary[int(uniform(key, number) * len(ordinary))])
    if pool == "corpus":
        below, other = replacements.alias
        value = uniform(key, number) * len(ordinary)
        index = int(value)
        return int(ordinary[index if value - index < below[index] else other[index]])
    for attempt in range(65):
        place = int(uniform(key, number + 2 * toy.length * attempt) * toy.length)
        if toy.maskable()[place] and ids[place] != replacements.unknown_id:
            return ids[place]
    return ids[position]


def slow_boundaries(
    units: list[Unit], toy: Toy, max_length: int, special_boundaries: bool
) -> list[tuple[int, int, int, int]]:
    """(position, left, right, offset) of every target, found for each hidden token by walking to both sides."""
    hidden, maskable, found = {token for unit in units for token in range(*unit)}, toy.maskable(), []
    for position in sorted(hidden):
        left = next(place for place in range(position, -2, -1) if place not in hidden)
        right = next(place for place in range(position, toy.length + 1) if place not in hidden)
        inside = left >= 0 and right < toy.length
        if inside and position - left <= max_length and (special_boundaries or (maskable[left] and maskable[right])):
            found.append((position, left, right, position - left))
    return found


def slow_shuffle(
    ids: list[int], toy: Toy, units: list[Unit], key: int, share: float, length: int, across: bool
) -> tuple[list[int], list[list[int]]]:
    """(ids after shuffling, the windows)."""
    hidden, texts = {token for unit in units for token in range(*unit)}, set(texts_of(toy))
    result, windows, used, number, tries = list(ids), [], set(), 1, 0
    wanted = allowance(len(texts), Budget(rate=share / length, at_least_one=False), key)
    while wanted > 0 and tries < 20 * wanted + 20 and toy.length >= length:
        tries += 1
        start = int(uniform(key, number) * (toy.length - length + 1))
        number += 1
        window = list(range(start, start + length))
        if not set(window) <= texts - hidden - used or (not across and toy.sentences & set(window[1:])):
            continue
        for index, place in enumerate(window):
            other = window[index + int(uniform(key, number) * (length - index))]
            number += 1
            result[place], result[other] = result[other], result[place]
        used |= set(window)
        windows.append(window)
        wanted, tries = wanted - 1, 0
    return result, windows


def slow_limit(units: list[tuple[int, int, int]], order: list[int], limit: int) -> list[tuple[int, int, int]]:
    """Of one row's (sample, start, end) those that stay: each token of those that fit is a place on a circle, in rising
    ``order`` of their units; a unit stays when its first place is one of those that an arc covers."""
    fitting = sorted((key, unit) for key, unit in zip(order, units, strict=True) if unit[2] - unit[1] <= limit)
    circle = [unit if place == 0 else None for _, unit in fitting for place in range(unit[2] - unit[1])]
    if len(circle) <= limit:
        return sorted((unit for _, unit in fitting), key=lambda unit: unit[1])
    arc = limit + 1 - max(unit[2] - unit[1] for _, unit in fitting)
    shift = mix(fitting[0][0]) % len(circle)
    kept = [unit for place, unit in enumerate(circle) if unit and (place + shift) % len(circle) < arc]
    return sorted(kept, key=lambda unit: unit[1])


def listed(law: np.ndarray) -> list[float]:
    return [float(value) for value in law]
