"""`kmask compare`: what it reads, what it says of differences, and what it refuses to compare."""

from __future__ import annotations

import html.parser
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import Result, command

from launch.reports.compared.differences import compared
from launch.reports.compared.plots import Dot, difference_plot, ladder_plot, ladders
from launch.reports.compared.reading import folders_of, read_results
from launch.reports.compared.table import compared_lines, number, shown
from launch.views.grid import cell_len
from pretrain.evaluation.metrics import Outcome
from pretrain.evaluation.results import Found, Source, save

Kmask = Callable[..., Result]
GAINS = {"start": 0.0, "ours": 0.3, "other": 0.01}
SEEN = ("seen 0", "seen 1-9", "seen 10+")


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kmask:
    """Run `kmask <arguments>` in this process."""
    return command(monkeypatch, capsys)


def outcome(level: float, salt: int, count: int = 120, metric: str = "ratio") -> Outcome:
    """Hits of so many examples; what is easy is easy for every model."""
    easy_N = np.random.default_rng(salt).random(count)
    value_N = (easy_N < level).astype(float) if metric == "ratio" else 3 - level + easy_N
    return Outcome(metric=metric, rows=np.stack([value_N, np.ones(count)], 1), lower_is_better=metric == "exp_ratio")


def put(folder: Path, piece: str, outcomes: Mapping[str, Outcome], limit: int = 0) -> None:
    """Write a result as a suite would."""
    source = Source(fingerprint=f"{folder}{limit}", settings={"kind": "toy", "limit": limit}, files={"a.tsv": "1"})
    save(folder, piece, Found(outcomes=outcomes), source, 1.0)


def write_results(output: Path, models: Mapping[str, float]) -> Path:
    for model, gain in models.items():
        cloze = {"accuracy": outcome(0.4 + gain, 1), "perplexity": outcome(0.4 + gain, 1, metric="exp_ratio")}
        cloze |= {f"accuracy/entity/{name}": outcome(0.2 + gain, 2 + place, 40) for place, name in enumerate(SEEN)}
        put(output / model / "cloze", "all", cloze)
        for seed in range(3):
            put(output / model / "sentiment", f"seed-{seed}", {"accuracy": outcome(0.6 + gain + 0.01 * seed, 9)})
        layers = {f"accuracy/layer {layer}": outcome(0.3 + 0.1 * layer + gain / 3, 20, 60) for layer in range(4)}
        put(output / model / "words", "all", {"accuracy": outcome(0.6 + gain / 3, 20, 60), **layers})
    order = {"models": {model: f"runs/{model}" for model in models}, "measures": {"words": {}, "cloze": {}}}
    (output / "suite.json").write_text(json.dumps(order), encoding="utf-8")
    return output


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of three models, made in no order of the alphabet."""
    return write_results(tmp_path_factory.mktemp("evaluation") / "out", GAINS)


def test_the_table_shows_values_changes_and_what_is_significant(kmask: Kmask, output: Path) -> None:
    done = kmask("compare", output)
    assert done.code == 0 and done.err == ""
    places = [done.out.index(f"\n  {name}") for name in ("words", "cloze", "sentiment accuracy")]
    assert "start" in "".join(done.out.splitlines()[:2]) and places == sorted(places)
    ours = next(line for line in done.out.splitlines() if line.strip().startswith("sentiment accuracy"))
    assert re.search(r"\.\d{3} ± \.\d{3} +\.\d{3} ± \.\d{3} +▲ \+\.\d{3} +\+\.\d{3} to \+\.\d{3}", ours)
    assert "accuracy, best layer" in done.out and " at 3" in done.out and "layer 2" not in done.out
    perplexity = next(line for line in done.out.splitlines() if line.strip().startswith("perplexity"))
    assert re.search(r"▲ -\d", perplexity)  # lower is better
    assert "Changes are against start." in done.out and "seeds (±: their standard" in done.out
    assert "of the 3 that stand for a measure and, apart from these, of the 8 others" in " ".join(done.out.split())


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_no_line_is_wider_than_the_terminal(output: Path, width: int) -> None:
    results = read_results(folders_of([output]))
    for line in compared_lines(results, compared(results, None), width):
        assert cell_len("".join(word.text for word in line)) <= width


def test_a_model_that_is_no_better_is_not_marked_and_against_another_baseline_signs_turn(
    kmask: Kmask, output: Path
) -> None:
    told = json.loads(kmask("compare", output, "--json").out)
    turned = json.loads(kmask("compare", output, "--baseline", "ours", "--json").out)
    assert (told["baseline"], turned["baseline"]) == ("start", "ours")
    ours = told["figures"]["cloze"]["accuracy"]["ours"]["difference"]
    back = turned["figures"]["cloze"]["accuracy"]["start"]["difference"]
    assert ours["value"] == pytest.approx(-back["value"]) and ours["low"] == pytest.approx(-back["high"])
    assert (ours["better"], back["better"]) == (True, False)
    assert ours["value"] == pytest.approx(0.3, abs=0.1) and ours["low"] < ours["value"] < ours["high"]
    other = told["figures"]["cloze"]["accuracy"]["other"]["difference"]
    assert other["adjusted"] > 0.05 and other["among"] == 3  # the figures that stand for the three measures
    assert told["figures"]["cloze"]["perplexity"]["ours"]["difference"]["among"] == 8
    assert "difference" not in told["figures"]["cloze"]["accuracy"]["start"]
    assert told["models"]["ours"] == {"results": str(output / "ours"), "model": "runs/ours"}


def test_folders_of_models_give_the_same_as_their_output_and_so_does_a_second_look(kmask: Kmask, output: Path) -> None:
    whole = kmask("compare", output, "--json").out
    assert kmask("compare", *(output / model for model in GAINS), "--json").out == whole
    assert kmask("compare", output, "--json").out == whole


def test_a_model_beside_itself_has_no_difference(kmask: Kmask, output: Path) -> None:
    told = json.loads(kmask("compare", output / "ours", output / "ours", "--json").out)
    differences = [
        one["difference"]
        for figures in told["figures"].values()
        for models in figures.values()
        for one in models.values()
        if "difference" in one
    ]
    assert differences and all((one["value"], one["p"]) == (0.0, 1.0) for one in differences)


def test_other_examples_are_not_compared_and_the_reason_is_told(kmask: Kmask, tmp_path: Path) -> None:
    write_results(tmp_path / "out", {"start": 0.0, "ours": 0.3})
    put(tmp_path / "out/ours/cloze", "all", {"accuracy": outcome(0.7, 1)}, limit=5)
    put(tmp_path / "out/ours/words", "all", {"accuracy": outcome(0.7, 1, 59)}, limit=5)
    put(tmp_path / "out/ours/sentiment", "seed-0", {"accuracy": outcome(0.7, 9)}, limit=5)
    put(tmp_path / "out/ours/extra", "all", {"accuracy": outcome(0.7, 9)})
    told = json.loads(kmask("compare", tmp_path / "out", "--json").out)
    assert sorted(told["left_out"]) == [
        f"{tmp_path}/out/ours/sentiment: its pieces are of different settings; run `kmask eval` again",
        "cloze accuracy: ours is not compared with start: other examples; other settings: limit",
        "extra: not measured for start, the baseline",
        "words accuracy: ours is not compared with start: other examples (60 and 59); other settings: limit",
    ]
    assert told["figures"]["cloze"]["accuracy"]["ours"].keys() == {"mean", "deviation", "pieces"}
    table = kmask("compare", tmp_path / "out").out
    assert "words accuracy: ours is not compared with start: other examples (60 and 59)" in table


def test_fewer_seeds_on_one_side_are_told(kmask: Kmask, tmp_path: Path) -> None:
    write_results(tmp_path / "out", {"start": 0.0, "ours": 0.3})
    put(tmp_path / "out/ours/sentiment", "seed-3", {"accuracy": outcome(0.7, 9)})
    assert (
        "sentiment: differences of ours are over the 3 pieces that both have (3 and 4)"
        in kmask("compare", tmp_path / "out", "--json").out
    )


class Tags(html.parser.HTMLParser):
    """Which tags are open, and what is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [] if tag in ("meta", "br", "line", "rect", "circle", "polyline") else [tag]
        self.loaded += [
            value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")
        ]

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_page_is_whole_and_fetches_nothing(kmask: Kmask, output: Path, tmp_path: Path) -> None:
    write_results(tmp_path / "out", {"a<b>": 0.0, "ours & more": 0.3})
    for folder in (output, tmp_path / "out"):
        done = kmask("compare", folder, "--html", tmp_path / "page.html", "--json")
        assert done.code == 0 and json.loads(done.out) and "page.html" in done.err
        page, tags = (tmp_path / "page.html").read_text(encoding="utf-8"), Tags()
        tags.feed(page)
        assert tags.open == [] and tags.loaded == [] and "<script" not in page
    assert "a&lt;b&gt;" in page and "a<b>" not in page and "ours &amp; more" in page
    assert page.count('class="range"') == 5  # three measures, perplexity; accuracy of cloze once more beside it
    assert "times seen in training" in page and "layer (0: embeddings)" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{root}/none"], "no such folder"),
        (["{root}"], "no results of an evaluation there"),
        (["{out}/ours"], "only ours has results there; a comparison needs two models"),
        (["{out}", "--baseline", "theirs"], "--baseline theirs: not one of start, ours, other"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    kmask: Kmask, output: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = kmask("compare", *(text.format(root=tmp_path, out=output) for text in arguments))
    assert done.code == 2 and done.out == "" and said in done.err


def test_results_that_are_all_damaged_are_told_one_by_one(kmask: Kmask, tmp_path: Path) -> None:
    for model in ("a", "b"):
        put(tmp_path / "out" / model / "cloze", "all", {"accuracy": outcome(0.7, 1)})
        (tmp_path / "out" / model / "cloze/all.json").write_text("{")
    done = kmask("compare", tmp_path / "out")
    assert done.code == 2 and done.err.count("not a whole result of an evaluation") == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8886, ".889"),
        (1.0, "1.00"),
        (-0.0123, "-.012"),
        (17.26, "17.3"),
        (float("nan"), "–"),
        (-0.0001, ".000"),
        (0.9999, "1.000"),
    ],
)
def test_numbers_have_three_digits_that_matter(value: float, text: str) -> None:
    assert number(value) == text
    assert shown([value, value]) == (f"{text} ± .000" if text != "–" else "–")


def test_figures_that_differ_in_a_number_are_one_curve_in_its_order() -> None:
    names = [
        "acc/layer 10",
        "acc/layer 2",
        "unit/4+",
        "unit/1",
        "unit/seen 10-99",
        "unit/seen 0",
        "unit",
        "one/3",
        "x/once",
    ]
    found = ladders(names)
    assert {name: (list(ladder.steps), list(ladder.figures)) for name, ladder in found.items()} == {
        "acc/layer": (["2", "10"], ["acc/layer 2", "acc/layer 10"]),
        "unit": (["1", "4+"], ["unit/1", "unit/4+"]),
        "unit/seen": (["0", "10–99"], ["unit/seen 0", "unit/seen 10-99"]),
    }


def test_plots_draw_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    dots = [Dot("one", "ours", "c1", 0.0, 0.0, 0.0, False), Dot("one", "other", "c2", 0.0, 0.0, 0.0, True)]
    drawn = difference_plot(dots)
    assert drawn.count("<circle") == 2 and drawn.count("hollow") == 1 and "nan" not in drawn
    ladder: Any = ladders(["a/1", "a/2", "a/3"])["a"]
    drawn = ladder_plot(ladder, {"m": {"a/1": 0.5, "a/3": 0.5}, "n": {}}, {"m": "c0", "n": "c1"})
    assert drawn.count("<circle") == 2 and "nan" not in drawn
    assert ladder_plot(ladder, {"m": {}}, {"m": "c0"}) == ""
