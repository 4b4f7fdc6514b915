"""`kmask show masks` and `kmask bench masking`: every scheme of the data is drawn, counted and measured, and mistakes
are told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import Result, command

from launch.settings.components import kinds
from launch.views.masks.schemes import scheme_names

Kmask = Callable[..., Result]


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kmask:
    """Run `kmask <arguments>` in this process, on a terminal of 120 columns."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return command(monkeypatch, capsys)


@pytest.fixture(scope="module")
def words_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one document whose only level is `word`."""
    from data_prep.preparing.pipeline import prepare
    from data_prep.preparing.plan import Preparation
    from launch.settings.components import read_config

    folder = tmp_path_factory.mktemp("words")
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        ".",
        "the",
        "river",
        *letters,
        *(f"##{letter}" for letter in letters),
    ]
    (folder / "vocabulary").mkdir()
    (folder / "vocabulary/vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    (folder / "corpus.jsonl").write_text(
        json.dumps({"id": "a1", "title": "River", "text": "The river rises in the west. It rained there all day."})
        + "\n"
    )
    (folder / "data.yaml").write_text(
        f"output: {folder}/out\ncorpora:\n  - {{kind: jsonl, paths: [{folder}/corpus.jsonl]}}\n"
        f"segmenters: {{en: pretokenizer}}\nvocabulary: {{path: {folder}/vocabulary}}\nheldout: 0\nengine: {{workers: 1}}\n"
    )
    prepare(read_config(Preparation, folder / "data.yaml", []), lambda progress: None)
    return folder / "out"


def refused(result: Result) -> str:
    """The line of a refusal."""
    assert result.code == 2
    assert "Traceback" not in result.out + result.err
    (line,) = result.err.strip().splitlines()
    return line.removeprefix("error: ")


# --- in the terminal
# ----------------------------------------------------------------------------------------------------------------


def test_every_scheme_that_the_folder_allows_is_drawn_and_counted(kmask: Kmask, prepared: Path) -> None:
    result = kmask("show", "masks", prepared, "--windows", 50)
    assert result.code == 0, result.err
    for name in scheme_names():
        assert re.search(rf"^{name}   \d+ of \d+ tokens hidden, \d+\.\d %$", result.out, re.M), name
        assert len(re.findall(rf"^{name} +\d", result.out, re.M)) == 3, f"{name}: drawn, and a row in both tables"
    assert "→M" in result.out and "random tokens stand in for them" in result.out
    assert "MacBERT, Cui et al. 2020" in result.out.replace("\n ", "")
    assert re.search(r"^  50 samples, [\d,]+ tokens", result.out, re.M)
    assert re.search(
        r"Crossed by a unit of a higher level, so that they are none: [\d,]+ \w+ units \(\d+\.\d %\)",
        " ".join(result.out.split()),
    )
    assert max(map(len, result.out.splitlines())) <= 120


def test_a_part_of_a_level_can_be_drawn_and_a_rate_that_moves_is_told(
    kmask: Kmask, prepared: Path, tiny_run: Path
) -> None:
    result = kmask(
        "show", "masks", prepared, "--windows", 50, "--schemes", "whole_unit", "whole_unit.units=[entity:PER, word@zh]"
    )
    assert result.code == 0, result.err
    result = kmask(
        "show",
        "masks",
        tiny_run,
        "masking.budget.final_rate=0.3",
        "--progress",
        1,
        "--windows",
        50,
        "--schemes",
        "subword",
    )
    assert "15 % at first, 30 % at the end, of the tokens" in result.out.replace("\n ", "")
    (own,) = [line.split() for line in result.out.splitlines() if re.match(r"this run +\d+\.\d +\d", line)][:1]
    assert float(own[2]) == pytest.approx(30, abs=3)


def test_mixture_is_no_scheme_of_its_own() -> None:
    from masking.strategies import Strategy

    assert set(kinds(Strategy)) - set(scheme_names()) == {"mixture"}


@pytest.mark.parametrize("colours", [True, False])
def test_the_same_text_is_drawn_under_every_scheme_with_equal_line_breaks(colours: bool, prepared: Path) -> None:
    from launch.views.masks.comparison import Request, compare
    from launch.views.masks.terminal import comparison_lines

    comparison = compare(Request(prepared, number=3, windows=5))
    rows = [
        "".join(word.text for word in line)
        for line in comparison_lines(comparison, 100, colours)
        if line and "dim" not in {word.style for word in line}
    ]
    (_, legend), drawn = rows[:2], rows[2:]
    assert legend.startswith("hidden: ") and len(drawn) % len(scheme_names()) == 0
    each = len(drawn) // len(scheme_names())
    assert each > 1 and drawn == drawn[:each] * len(scheme_names())
    tokens = "".join(piece.token.removeprefix("##") for piece in comparison.shown[0].pieces)
    assert re.sub(r"[‹›«»{}\s]", "", "".join(drawn[:each])) == re.sub(r"[‹›«»{}\s]", "", tokens)


def test_the_window_and_the_scheme_settings_can_be_chosen(kmask: Kmask, prepared: Path) -> None:
    def drawn(*arguments: object) -> str:
        return kmask("show", "masks", prepared, "--windows", 5, "--schemes", "ngram", *arguments).out

    assert drawn() == drawn("-n", 0)
    assert "window 2 of" in drawn("-n", 2)
    assert drawn("ngram.max_words=1") != drawn("ngram.max_words=3") == drawn()


def test_a_table_of_similar_words_replaces_words_and_the_note_goes(
    kmask: Kmask, prepared: Path, tmp_path: Path
) -> None:
    from data_prep.shards import Prepared
    from pretrain.feed.sources import Source

    folder = Prepared.open(prepared)
    source = Source(name="test", prepared=folder, split="train", max_tokens=126)
    tokens, found = folder.tokenizer.tokens, set()
    for number in range(len(source)):
        text = source.read(number)
        for start, end in zip(*text.units["word"], strict=True):
            word = [tokens[index] for index in text.token_ids_T[start:end]]
            if len(word) == 2 and all("一" <= piece <= "鿿" for piece in word):
                found.add("".join(word))
    table = tmp_path / "similar.tsv"
    table.write_text(
        "".join(f"{word}\t{other}\n" for word in sorted(found) for other in sorted(found)[:2] if word != other),
        encoding="utf-8",
    )
    out = kmask(
        "show", "masks", prepared, "--schemes", "macbert", f"macbert.similar_words={table}", "--windows", 300
    ).out
    assert "stand in for them" not in out
    (row,) = [line.split() for line in out.splitlines() if re.match(r"macbert +0\.0 ", line)]
    similar, random = float(row[4]), float(row[2])
    assert similar > 5 and similar + random == pytest.approx(90, abs=6)


def test_a_run_is_drawn_first_under_its_own_masking(kmask: Kmask, tiny_run: Path) -> None:
    result = kmask(
        "show",
        "masks",
        tiny_run,
        "masking.budget.rate=0.4",
        "masking.budget.row_targets=40",
        "ngram.max_words=1",
        "--windows",
        50,
    )
    assert result.code == 0, result.err
    names = re.findall(r"^(\S.*?)   \d+ of \d+ tokens hidden", result.out, re.M)
    assert names[0] == "this run" and sorted(names[1:]) == scheme_names()
    assert "40 % of the tokens, rule accept, at least one unit, at most 40 tokens a row" in result.out.replace(
        "\n ", ""
    )
    rows = [line.split() for line in result.out.splitlines() if line.startswith("this run  ")]
    assert int(rows[-1][-2].replace(",", "")) > 0, "units are given up for the limit of a row"


def test_colours_take_the_place_of_marks_where_there_are_any(
    kmask: Kmask, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = kmask("show", "masks", prepared, "--schemes", "subword", "--windows", 5).out
    assert "\x1b[" in out and "→M" not in out


@pytest.mark.parametrize("columns", [80, 100])
def test_tables_fit_narrow_terminals(
    columns: int, kmask: Kmask, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = kmask("show", "masks", prepared, "--windows", 20).out
    tables = out[out.index("20 samples") :]
    assert max(map(len, tables.splitlines())) <= columns
    assert "…" not in tables


# --- as a page
# ----------------------------------------------------------------------------------------------------------------------


def test_the_page_holds_every_scheme_and_nothing_from_outside(kmask: Kmask, prepared: Path, tmp_path: Path) -> None:
    file = tmp_path / "masks.html"
    result = kmask("show", "masks", prepared, "--windows", 30, "--html", file)
    assert result.code == 0 and f"written to {file}" in result.out, result.err
    page = file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.endswith("</html>\n")
    assert "prefers-color-scheme:dark" in page and "http" not in page and "<script" not in page
    for name in scheme_names():
        assert f"<h3>{name}<small>" in page
        assert page.count(f'<td class="name">{name}</td>') == 2
    cards = re.findall(r'<p class="text">(.*?)</p>', page)
    widths = [re.findall(r"min-width:([\d.]+)em", card) for card in cards]
    assert len(cards) == len(scheme_names()) and all(width == widths[0] for width in widths), (
        "every token has the same room in every card"
    )
    assert 'a-mask"' in page and ("u-entity" in page or "u-word" in page)


# --- what the user can put right
# ----------------------------------------------------------------------------------------------------


def test_an_unknown_scheme_lists_the_known_ones(kmask: Kmask, prepared: Path) -> None:
    line = refused(kmask("show", "masks", prepared, "--schemes", "subword,ngrm"))
    assert line.startswith("unknown scheme 'ngrm'; did you mean `ngram`?")
    assert all(name in line for name in scheme_names())
    assert "pretraining YAML" in refused(kmask("show", "masks", prepared, "--schemes", "mixture"))


def test_a_window_that_does_not_exist_is_named_with_their_number(kmask: Kmask, prepared: Path) -> None:
    assert re.fullmatch(
        r"--number 99999: .* has [\d,]+ windows of up to 126 tokens, numbered from 0",
        refused(kmask("show", "masks", prepared, "-n", 99999)),
    )
    assert "numbered from 0" in refused(kmask("show", "masks", prepared, "--number=-1"))


def test_a_folder_that_is_not_prepared_is_named_with_the_remedy(kmask: Kmask, tmp_path: Path) -> None:
    assert refused(kmask("show", "masks", tmp_path)) == f"{tmp_path} holds no manifest.json: run `kmask prepare` first"
    assert (
        refused(kmask("bench", "masking", tmp_path)) == f"{tmp_path} holds no manifest.json: run `kmask prepare` first"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ngram.max_words=0"], "command line: ngram.max_words: 0 must be at least 1"),
        (["ngram.max_wrds=2"], "command line: ngram.max_wrds: unknown key; did you mean `max_words`?"),
        (["ngram=2"], "override 'ngram=2': write it as scheme.field=value"),
        (["masking.budget.rate=0.2"], "override 'masking.budget.rate=0.2': it must begin with a scheme"),
        (["whole_unit.units=[]"], "command line: whole_unit.units: [] must name at least one level"),
        (["macbert.similar_words=nowhere.tsv"], "similar words nowhere.tsv"),
        (["--windows", "0"], "--windows 0: must be at least 1"),
        (["--tokens", "1"], "--tokens 1: must be at least 2"),
        (["--progress", "2"], "--progress 2.0: must lie in [0, 1]"),
    ],
)
def test_other_mistakes_are_named(arguments: list[str], complaint: str, kmask: Kmask, prepared: Path) -> None:
    assert refused(kmask("show", "masks", prepared, *arguments)).startswith(complaint)


def test_a_scheme_whose_level_is_missing_is_named_at_the_end(kmask: Kmask, words_only: Path) -> None:
    result = kmask("show", "masks", words_only)
    assert result.code == 0, result.err
    assert re.search(r"^whole_unit   \d+ of", result.out, re.M)
    assert "not drawn: named_entity_mix needs units of level entity; the data have word" in result.out
    assert not re.search(r"^salient   ", result.out, re.M)
    wanted = kmask("show", "masks", words_only, "--schemes", "whole_unit", "whole_unit.units=[entity,word]")
    assert refused(wanted) == "no scheme can be drawn: whole_unit needs units of level entity; the data have word"


# --- speed
# --------------------------------------------------------------------------------------------------------------------------


def test_bench_measures_every_scheme(kmask: Kmask, prepared: Path) -> None:
    result = kmask("bench", "masking", prepared, "--seconds", 0.01)
    assert result.code == 0, result.err
    for name in scheme_names():
        assert re.search(rf"^{name} +\d+\.\d +\d+ ms   15 % of the", result.out, re.M), name
    assert re.search(r"compiled loops: imported in \d+\.\d\d s; first calls, .* \d+\.\d\d s together", result.out)


def test_bench_names_the_schemes_that_it_cannot_measure(kmask: Kmask, words_only: Path) -> None:
    result = kmask("bench", "masking", words_only, "--seconds", 0.01)
    assert result.code == 0, result.err
    assert "not measured: salient needs units of level entity" in result.out and re.search(
        r"^subword ", result.out, re.M
    )
