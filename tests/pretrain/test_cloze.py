"""The cloze test on held-out text: equal to a plain loop over single samples, the same for every model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from masked_models import CPU, POSITIONS, Plain, make_model

from data_prep.shards import Prepared
from launch.settings.kinds import find_kind
from masking.spans import KINDS
from pretrain.evaluation.frequencies import surface_counts
from pretrain.evaluation.hidden_units import check_vocabulary, probes
from pretrain.evaluation.measures import Measure
from pretrain.evaluation.measures.cloze import Cloze
from pretrain.evaluation.questions.cft import Cft
from pretrain.feed.sources import Source

LONGEST = 40


@pytest.fixture(scope="module")
def plain(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """A model that finds the tokens of frequent entities likely."""
    counts = Counter(token for unit in entities(Prepared.open(prepared)) for token in unit if len(unit) == 1)
    likely = [token for token, _ in counts.most_common(3)]
    return Plain(make_model(tmp_path_factory.mktemp("cloze") / "model", prepared / "tokenizer", likely))


class Unit(NamedTuple):
    """A unit in its window, found the slow way."""

    ids: list[int]
    first: int
    last: int

    @property
    def surface(self) -> tuple[int, ...]:
        return tuple(self.ids[self.first : self.last])


def documents(
    prepared: Prepared, split: str
) -> Iterator[tuple[list[int], list[int], dict[str, list[tuple[int, int]]]]]:
    """Token ids, sentence ends and units of each document."""
    for shard in prepared.shards(split):
        for document in range(len(shard.token_ids.offsets_D1) - 1):
            units = {}
            for level, (offsets, start, length, _) in shard.units.items():
                mine = slice(offsets[document], offsets[document + 1])
                first = start[mine].astype(int)
                units[level] = list(zip(first.tolist(), (first + length[mine]).tolist(), strict=True))
            yield shard.token_ids.row(document).tolist(), shard.sentence_ends.row(document).tolist(), units


def entities(prepared: Prepared) -> Iterator[tuple[int, ...]]:
    """Of all training documents."""
    for ids, _, units in documents(prepared, "train"):
        yield from (tuple(ids[first:last]) for first, last in units["entity"])


def windows(ends: list[int], room: int) -> Iterator[tuple[int, int]]:
    """Sentences joined while they fit; a longer one is divided."""
    first = last = 0
    for end in ends:
        if end - first <= room:
            last = end
            continue
        if last > first:
            yield first, last
            first = last
        while end - first > room:
            yield first, first + room
            first += room
        last = end
    if last > first:
        yield first, last


def slow_units(prepared: Prepared, plain: Plain, kind: str, above: list[str]) -> Iterator[Unit]:
    """Units of a kind that meet none of the kinds above it."""
    unknown = plain.tokenizer.special_ids["[UNK]"]
    for ids, ends, units in documents(prepared, "heldout"):
        for begin, end in windows(ends, LONGEST - 2):
            inside = {
                level: [unit for unit in found if begin <= unit[0] and unit[1] <= end] for level, found in units.items()
            }
            taken = {place for level in above for first, last in inside[level] for place in range(first, last)}
            for first, last in inside[kind]:
                if not taken & set(range(first, last)) and unknown not in ids[first:last]:
                    yield Unit(plain.framed(ids[begin:end]), first - begin + 1, last - begin + 1)


def slow_answer(plain: Plain, unit: Unit) -> tuple[int, int, float]:
    """(tokens right, tokens, negative log probability), one sample at a time."""
    ids, first, last = unit
    found = plain.log_probabilities(ids, range(first, last))
    right = sum(int(found[place].argmax() == ids[place]) for place in range(first, last))
    lost = (plain.log_probabilities(ids, range(place, last))[place, ids[place]] for place in range(first, last))
    return right, last - first, -sum(lost)


def slow_figures(answers: list[tuple[int, int, float]]) -> dict[str, float]:
    right, tokens, lost = (sum(column) for column in zip(*answers, strict=True))
    whole = sum(hits == size for hits, size, _ in answers) / len(answers)
    return {"accuracy": right / tokens, "unit_accuracy": whole, "perplexity": math.exp(lost / tokens)}


def stands_once(unit: Unit) -> bool:
    text, size = unit.ids[1:-1], unit.last - unit.first
    return sum(tuple(text[place : place + size]) == unit.surface for place in range(len(text))) == 1


def has_length(length: int, unit: Unit) -> bool:
    return min(len(unit.surface), 4) == length


def is_seen(seen: Counter[tuple[int, ...]], least: int, most: float, unit: Unit) -> bool:
    return least <= seen[unit.surface] <= most


def test_figures_are_those_of_a_plain_loop(prepared: Path, plain: Plain) -> None:
    folder = Prepared.open(prepared)
    measure = Cloze(
        data=str(prepared), training=[str(prepared)], units=10_000, longest=LONGEST, kinds=["entity", "phrase"]
    )
    measure.check(plain.subject)
    found = measure.measure(plain.subject, "all", CPU, print).outcomes
    seen = Counter(entities(folder))
    for kind, above in (("entity", []), ("phrase", ["entity"])):
        units = list(slow_units(folder, plain, kind, above))
        answers = {place: slow_answer(plain, unit) for place, unit in enumerate(units)}
        groups = {"": lambda unit: True, "/once": stands_once}
        groups |= {f"/{name}": partial(has_length, int(name[0])) for name in ("1", "2", "3", "4+")}
        if kind == "entity":
            names = {"0": (0, 0), "1-9": (1, 9), "10-99": (10, 99), "100-999": (100, 999), "1000+": (1000, math.inf)}
            groups |= {f"/seen {name}": partial(is_seen, seen, *limits) for name, limits in names.items()}
        assert len(units) > 20
        for group, belongs in groups.items():
            members = [answers[place] for place, unit in enumerate(units) if belongs(unit)]
            if not members:
                assert f"accuracy/{kind}{group}" not in found
                continue
            assert len(found[f"accuracy/{kind}{group}"].rows) == len(members)
            for figure, value in slow_figures(members).items():
                assert found[f"{figure}/{kind}{group}"].value == pytest.approx(value, rel=1e-5), (
                    f"{figure}/{kind}{group}"
                )
    assert 0 < found["unit_accuracy/entity"].value < 1
    assert next(iter(found)) == "unit_accuracy/entity"


def source(prepared: Path, split: str = "heldout") -> Source:
    return Source(name="cloze", prepared=Prepared.open(prepared), split=split, max_tokens=LONGEST - 2)


def test_every_token_belongs_to_one_unit_of_one_kind(prepared: Path) -> None:
    """But those of units with [UNK], which nobody asks."""
    found, present = probes(source(prepared), 10_000, 10**9, KINDS)
    assert {kind: sum(probe.kind == kind for probe in found) for kind in KINDS} == present
    covered: dict[tuple[int, ...], list[int]] = {}
    for probe in found:
        covered.setdefault(tuple(probe.ids_T.tolist()), []).extend(range(probe.first, probe.last))
    unknown = Prepared.open(prepared).tokenizer.special_ids["[UNK]"]
    left_over = 0
    for ids, places in covered.items():
        assert len(set(places)) == len(places)
        left = "".join(
            " " if place in places else "?" if ids[place] == unknown else "-" for place in range(1, len(ids) - 1)
        )
        assert all("?" in run for run in left.split()), left
        left_over += len(left.replace(" ", ""))
    assert len(covered) > 50 and 0 < left_over < 300


def test_fewer_units_are_some_of_those_of_more(prepared: Path) -> None:
    """Which units are asked hangs on nothing but the text: figures of 5 units and of 50 are of the same kind."""
    several = [
        probes(source(prepared), windows, units, ["word"])[0] for windows, units in ((40, 5), (40, 50), (80, 10**6))
    ]
    few, more, all_of_more_windows = ({(probe.ids_T.tobytes(), probe.first) for probe in one} for one in several)
    assert len(few) == 5 and len(more) == 50
    assert few < more < all_of_more_windows


def test_text_without_held_out_documents_is_refused(prepared: Path) -> None:
    with pytest.raises(ValueError, match="no held-out document"):
        probes(source(prepared, "nothing"), 10, 10, ["word"])


def known(prepared: Path, tokens: list[str]) -> Any:
    return SimpleNamespace(name="other", tokenizer=SimpleNamespace(tokens=tokens))


def test_a_model_with_an_extended_vocabulary_fits_another_one_does_not(prepared: Path) -> None:
    folder = Prepared.open(prepared)
    tokens = list(folder.tokenizer.tokens)
    check_vocabulary(folder, known(prepared, [*tokens, "𩽾"]))
    with pytest.raises(ValueError, match=rf"id {len(tokens) - 1} is .* nothing here; 1 differ"):
        check_vocabulary(folder, known(prepared, tokens[:-1]))
    with pytest.raises(ValueError, match=r"id 700 is .* 'other' here; 1 differ.*all models share"):
        check_vocabulary(folder, known(prepared, [*tokens[:700], "other", *tokens[701:]]))


def test_rows_that_a_vocabulary_never_used_may_have_become_words(plain: Plain) -> None:
    tokens = ["[PAD]", "[unused1]", "[UNK]", "我"]
    shards: Any = SimpleNamespace(folder="data", tokenizer=SimpleNamespace(tokens=tokens))
    check_vocabulary(shards, known(Path(), ["[PAD]", "𩽾", "[UNK]", "我"]))
    with pytest.raises(ValueError, match="id 3 is '我' there, '你' here"):
        check_vocabulary(shards, known(Path(), ["[PAD]", "[unused1]", "[UNK]", "你"]))


@pytest.mark.parametrize("measure", ["cloze", "questions", "minimal_pairs"])
def test_a_model_that_predicts_no_hidden_tokens_or_is_too_short_is_refused(
    measure: str, prepared: Path, plain: Plain
) -> None:
    settings: dict[str, Any] = {
        "cloze": {"data": str(prepared)},
        "questions": {"questions": Cft(paths=["a"])},
        "minimal_pairs": {"paths": ["a"]},
    }[measure]
    kind: Any = find_kind(Measure, measure)
    with pytest.raises(ValueError, match="no masked-LM head"):
        kind(**settings, longest=POSITIONS).check(replace(plain.subject, head=None))
    with pytest.raises(ValueError, match=f"longest: {POSITIONS + 1} is more than the {POSITIONS} positions"):
        kind(**settings, longest=POSITIONS + 1).check(plain.subject)
    kind(**settings, longest=POSITIONS).check(plain.subject)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": 0}, "units: 0 must be at least 1"),
        ({"windows": 0}, "windows: 0 must be at least 1"),
        ({"longest": 2}, "longest: 2 must be at least 8"),
        ({"kinds": []}, "kinds: none; any of character, word, phrase, entity"),
        ({"kinds": ["enttiy"]}, "kinds: enttiy; any of"),
        ({"kinds": ["word", "word"]}, "kinds: .* twice"),
        ({"training": ["a", "a"]}, "training: .* twice"),
        ({"kinds": ["word"], "training": ["a"]}, "training: .* leaves entity out"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cloze(data="x", **settings)


def test_folders_are_looked_at_before_anything_is_computed(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no manifest.json"):
        Cloze(data=str(tmp_path)).files()
    with pytest.raises(ValueError, match=r"holds no manifest.json"):
        Cloze(data=str(prepared), training=[str(tmp_path)]).files()
    assert Cloze(data=str(prepared), training=[str(prepared)]).files() == [prepared / "manifest.json"] * 2


def test_entities_are_counted_as_a_plain_loop_counts_them(prepared: Path) -> None:
    folder = Prepared.open(prepared)
    wanted = Counter(entities(folder))
    asked = [*wanted, (1, 2, 3), tuple(range(100, 180))]
    assert surface_counts([folder, folder], asked) == {surface: 2 * wanted[surface] for surface in asked}
