"""The pages in docs/ that list every key and every scheme are what the code says today."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.manual.masking import COSTS, NOT_MEASURED, measured, strategy_of
from launch.manual.masking_examples import CHINESE, ENGLISH, chances
from launch.manual.masking_figures import accepted, short_samples
from launch.manual.pages import WRITTEN, manual_page
from launch.manual.reference import TITLES, reference
from launch.settings.config_classes import config_class
from launch.settings.kinds import kinds

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", [*TITLES, *WRITTEN])
def test_the_page_lists_every_key_as_the_code_has_it(name: str) -> None:
    written = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert written == manual_page(name), f"run: kmask config reference {name} > docs/{name}.md"


def test_a_page_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="'mask' is not one of data, pretrain, cluster, masking, objectives"):
        manual_page("mask")


def test_every_kind_of_reader_and_annotator_has_a_section() -> None:
    from data_prep.annotators import Annotator
    from data_prep.corpora import Corpus

    page = reference("data", config_class("data"))
    for base in (Corpus, Annotator):
        assert all(f"### `kind: {name}`" in page for name in kinds(base))


def test_every_masking_scheme_has_a_section_with_two_examples_its_keys_and_its_paper() -> None:
    from masking.strategies import Strategy

    sections = {section.partition("\n")[0]: section for section in manual_page("masking").split("\n### ")[1:]}
    assert sorted(sections) == kinds(Strategy)
    for name, section in sections.items():
        assert "哈尔滨" in section and "Harbin" in section and "- paper: " in section
        assert f"strategy: {{kind: {name}" in section
        assert "| key | type | default | meaning |" in section or "No keys." in section


def test_no_two_schemes_hide_the_same_in_the_examples_but_a_mixture_and_its_member() -> None:
    from masking.strategies import Strategy
    from pretrain.feed.hiding import Masking
    from pretrain.feed.packed import pack

    actions: set[int] = set()
    for example in (CHINESE, ENGLISH):
        hidden: dict[tuple[int, ...], list[str]] = {}
        for name in kinds(Strategy):
            packed = pack(
                [[example.sample]], len(example.tokens), Masking(strategy=strategy_of(name)), example.specials, 0.5
            )
            hidden.setdefault(tuple(packed.hidden.position_M.tolist()), []).append(name)
            actions |= set(packed.hidden.action_M.tolist())
        assert () not in hidden and len(hidden) == len(kinds(Strategy)) - 1
        (pair,) = [names for names in hidden.values() if len(names) > 1]
        assert pair in (["mixture", "subword"], ["mixture", "whole_unit"])
    assert actions == {0, 1, 2, 3}


def test_the_example_texts_have_the_units_that_their_brackets_say() -> None:
    words = [CHINESE.tokens[start:end] for start, end in CHINESE.units["word"]]
    assert words[:3] == [["哈", "尔", "滨"], ["工", "业"], ["大", "学"]]
    assert ["im", "##proved"] in [ENGLISH.tokens[start:end] for start, end in ENGLISH.units["word"]]
    assert len(ENGLISH.units["word"]) > 7 and max(end - start for start, end in ENGLISH.units["word"]) == 3
    assert [" ".join(ENGLISH.tokens[start:end]) for start, end in ENGLISH.units["entity"]] == list(ENGLISH.documents)
    assert ["".join(CHINESE.tokens[start:end]) for start, end in CHINESE.units["phrase"]] == ["研究团队", "机器翻译"]


def test_the_default_rule_hides_units_of_every_length_alike_and_skip_does_not() -> None:
    """20,000 samples: a chance of .15 has a standard error of .0025; .012 is 4.8 of them, a false alarm in 10^6."""
    from masking.budget import Budget

    assert chances(Budget(at_least_one=False)) == pytest.approx([0.15] * 5, abs=0.012)
    assert chances(Budget(rule="skip", at_least_one=False))[-1] == 0


def numbers(rows: list[str]) -> dict[str, list[float]]:
    """The figures of a table by its first column."""
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
    return {
        name.strip("`"): [float(number) for cell in values for number in cell.split(",")] for name, *values in cells
    }


def test_the_two_laws_of_accept_are_shown_as_they_are() -> None:
    """20,000 samples of 24 tokens: the circle hides words of every length at the rate, the other draws hide those of 8
    tokens less often than single ones."""
    for name, (share, *found) in numbers(accepted()).items():
        assert share == pytest.approx(0.15, abs=0.006), name
        if name == "whole_unit":
            # 12,000 words of 8 tokens (cut ones are shorter): standard error .0033.
            assert found == pytest.approx([0.15] * 5, abs=0.015)
        elif name in ("salient", "ngram"):
            assert found[-1] < 0.75 * found[0], name


def test_short_samples_hide_more_with_one_unit_at_least_and_the_rate_without() -> None:
    shares = numbers(short_samples())
    for name in ("whole_unit", "salient", "geometric_span"):
        found = shares[name]
        assert found[1::2] == pytest.approx([0.15] * 4, abs=0.006), name
        assert found[0] >= found[1] and found[6] == pytest.approx(0.15, abs=0.004), name


def test_speeds_are_read_from_the_table_and_are_missing_without_one() -> None:
    table = f"## Masking\n\n{COSTS}\n|---|---|---|\n| `subword` | 81.2 | 240 |\n| transformers' collator, tokens | 0.8 | 2.4 |\n\nMore.\n"
    assert measured(table) == {"subword": ("81.2", "240"), "transformers' collator, tokens": ("0.8", "2.4")}
    assert measured("## Masking\n") == {}
    assert NOT_MEASURED == "not measured"
