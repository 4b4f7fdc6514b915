"""`kmask prepare run|plan|status|verify|report`: what they say about folders in every state."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import Result, command
from tiny import ROOT

from data_prep.encoded import Encoded, TokenUnits
from data_prep.files import read_json, sha256_file, staging_name, write_json
from data_prep.preparing.folder_status import bytes_per_second, status
from data_prep.preparing.verification import check_shard, verify
from data_prep.running.claims import claim
from data_prep.shard import Shard
from data_prep.shard_writer import write_shard
from launch.preparing.status import status_lines
from launch.reports.prepared.passages import passage_html
from launch.shell.formatting import percent, short
from launch.views.plots import count_histogram, length_histogram, quantile

DEMO = ROOT / "configs/data/demo.yaml"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run `kmask <arguments>` in this process, from the project's folder."""
    monkeypatch.chdir(ROOT)
    return command(monkeypatch, capsys)


@pytest.fixture
def copy(prepared: Path, tmp_path: Path) -> Path:
    """The prepared example corpus, to be damaged."""
    return Path(shutil.copytree(prepared, tmp_path / "copy"))


def first_shard(folder: Path) -> Path:
    return folder / str(read_json(folder / "manifest.json")["shards"][0]["path"])


# --- the group
# ------------------------------------------------------------------------------------------------------------------


def test_help_lists_all_commands_and_says_that_run_may_be_left_out(run: Callable[..., Result]) -> None:
    result = run("prepare", "--help")
    assert result.code == 0
    assert "prepare CONFIG" in result.out
    for name in ("run", "plan", "status", "verify", "report"):
        assert re.search(rf"^\W*{name}\s", result.out, re.MULTILINE), name


@pytest.mark.parametrize("verb", [["prepare"], ["prepare", "run"]])
def test_a_configuration_runs_with_and_without_the_word_run(
    verb: list[str], run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run(*verb, tmp_path / "nowhere.yaml", "heldout=0.5")
    assert result.code == 2
    assert result.err.startswith(f"error: configuration {tmp_path}/nowhere.yaml: no such file")


# --- plan
# -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["plan", DEMO], [DEMO, "--dry-run"], ["--dry-run", DEMO]])
def test_a_plan_tells_files_estimates_and_first_units_and_writes_nothing(
    arguments: list[object], run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run("prepare", *arguments, f"output={tmp_path}/out")
    assert result.code == 0, result.err
    assert "2 file(s)" in result.out and f"-> {tmp_path}/out" in result.out
    assert "levels: word, entity, phrase" in result.out and "PER (lexicon)" in result.out
    assert re.search(r"measured on 125 documents, 0\.\d+ MB: \d+\.\d+ MB/s for one worker", result.out)
    assert re.search(r"estimate: \d+\.\d+ hours .* worker\(s\)", result.out) and "are free in" in result.out
    assert "[LOC" in result.out and "长江" in result.out
    assert list(tmp_path.iterdir()) == []


def test_a_plan_counts_what_it_sets_aside_and_refuses_a_corpus_without_a_usable_document(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    corpus = tmp_path / "bad.jsonl"
    corpus.write_text('{oops\n{"text": "The river rises."}\n{"text": ""}\n')
    config = tmp_path / "data.yaml"
    config.write_text(
        f"output: {tmp_path}/out\ncorpora: [{{kind: jsonl, paths: [{corpus}]}}]\nvocabulary: {{size: 100, min_frequency: 1}}\n"
    )
    result = run("prepare", "plan", config)
    assert result.code == 0, result.err
    assert "not JSON: 1" in result.out and "no text: 1" in result.out
    corpus.write_text("{oops\n")
    result = run("prepare", "plan", config)
    assert result.code == 2 and "no usable document in a sample of every source: not JSON (1)" in result.err
    corpus.write_text("")
    result = run("prepare", "plan", config)
    assert result.code == 2 and "the corpus is empty" in result.err


def test_an_estimate_grows_with_the_corpus_and_shrinks_with_workers() -> None:
    from collections import Counter

    from data_prep.preparing.estimates import Estimate

    def estimate(**changes: Any) -> Estimate:
        base: dict[str, Any] = {
            **{
                "text_bytes": 10**9,
                "sample_bytes": 10**6,
                "documents": 9,
                "set_aside": Counter(),
                "loading_seconds": 0.0,
                "seconds": 1.0,
            },
            **{
                "cleaning_seconds": 0.1,
                "training_seconds": 0.0,
                "shard_bytes": 10**6,
                "workers": 1,
                "parts": 100,
                "train_bytes": 10**8,
            },
        }
        return Estimate(**{**base, **changes})

    assert estimate().hours == pytest.approx(1000 / 3600)
    assert estimate(workers=4).hours == pytest.approx(250 / 3600)
    assert estimate(workers=400, parts=2).hours == pytest.approx(500 / 3600)
    assert estimate(training_seconds=0.9).hours == pytest.approx(1100 / 3600)
    assert estimate().disk_bytes == 1.01e9


@pytest.mark.parametrize(("entries", "warned"), [("上地\tLOC\n", False), ("民法\tLOC\n", True)])
def test_plan_summary_and_report_warn_when_units_cut_many_words(
    entries: str, warned: bool, run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"text": "人民法院判决以上地方有效。"}\n' * 4, encoding="utf-8")
    (tmp_path / "l.tsv").write_text(entries, encoding="utf-8")
    config = tmp_path / "data.yaml"
    config.write_text(
        f"output: {tmp_path}/out\ncorpora: [{{kind: jsonl, paths: [{tmp_path}/corpus.jsonl]}}]\nvocabulary: {{size: 100, min_frequency: 1}}\n"
        f"annotators: [{{kind: lexicon, level: entity, paths: [{tmp_path}/l.tsv]}}]\nheldout: 0\n"
    )
    warning = re.compile(r"warning: phrases and entities cut 4 of \d+ zh words \(\d+\.\d%\)\. `boundaries: words`")
    plan, done = run("prepare", "plan", config), run("prepare", config)
    assert (plan.code, done.code) == (0, 0), plan.err + done.err
    assert run("prepare", "report", config).code == 0
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert [warning.search(text) is not None for text in (plan.out, done.out, page)] == [warned] * 3
    assert all(("entity LOC crosses a word" in text) is not warned for text in (done.out, page))
    counts = read_json(tmp_path / "out/manifest.json")["counts"]
    assert counts["words cut.zh"] == 4 * warned and counts["words.zh"] >= 12


# --- status
# ---------------------------------------------------------------------------------------------------------------------


def test_a_folder_that_was_never_begun_says_so(run: Callable[..., Result], tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        result = run("prepare", "status", folder)
        assert result.code == 0 and "never begun" in result.out
        assert json.loads(run("prepare", "status", folder, "--json").out)["state"] == "never begun"


def test_a_finished_folder_says_so_with_what_it_holds(run: Callable[..., Result], prepared: Path) -> None:
    found = json.loads(run("prepare", "status", prepared, "--json").out)
    parts = read_json(prepared / "plan.json")["parts"]
    assert (found["state"], found["parts"], found["documents"]) == ("finished", {"done": parts, "total": parts}, 125)
    assert found["bytes"]["done"] == found["bytes"]["total"]
    assert "finished" in run("prepare", "status", prepared).out


def test_a_killed_folder_says_how_far_it_came_and_how_to_go_on(run: Callable[..., Result], copy: Path) -> None:
    (copy / "manifest.json").unlink()
    shutil.rmtree(copy / "parts/000000")
    (copy / "parts/000001/part.json").write_text('{"damaged')
    found = status(copy)
    assert (found["state"], found["stage"]) == ("stopped", "parts")
    assert found["parts"]["done"] == found["parts"]["total"] - 2
    assert "kmask prepare CONFIG` continues" in run("prepare", "status", copy).out
    shutil.rmtree(copy / "parts")
    shutil.rmtree(copy / "tokenizer")
    assert status(copy)["stage"] == "vocabulary"


def test_a_running_folder_names_who_is_at_what(run: Callable[..., Result], copy: Path) -> None:
    (copy / "manifest.json").unlink()
    shutil.rmtree(copy / "parts/000001")
    (copy / "claims").mkdir(exist_ok=True)
    with claim(copy / "claims/parts-000001") as mine:
        assert mine
        found = status(copy)
        assert (found["state"], found["stage"]) == ("running", "parts")
        (worker,) = found["workers"]
        assert (worker["stage"], worker["part"]) == ("parts", 1)
        assert re.search(r"process \d+ on \S+: parts 1", run("prepare", "status", copy).out)
    assert status(copy)["state"] == "stopped"


def test_a_launch_between_two_pieces_of_work_is_running_and_a_dead_one_is_not(copy: Path) -> None:
    (copy / "manifest.json").unlink()
    notes = copy / staging_name("notes")
    notes.mkdir()
    assert status(copy)["state"] == "running"
    before, _, start, unique = notes.name.rsplit("@", 3)
    notes.rename(copy / f"{before}@{2**22 + 1}@{start}@{unique}")
    assert status(copy)["state"] == "stopped"


@pytest.mark.parametrize(
    ("times", "sizes", "speed"),
    [
        ([], [], 0.0),
        ([5.0], [100], 0.0),
        ([0.0, 2.0, 4.0], [100, 100, 100], 50.0),
        ([4.0, 0.0, 2.0], [100, 100, 100], 50.0),
        ([7.0, 7.0], [5, 5], 0.0),
    ],
)
def test_speed_comes_from_the_moments_at_which_parts_were_finished(
    times: Sequence[float], sizes: Sequence[int], speed: float
) -> None:
    assert bytes_per_second(times, sizes) == speed


def test_the_night_between_two_runs_does_not_count() -> None:
    times = [*range(0, 20, 2), *range(40_000, 40_020, 2)]
    assert bytes_per_second(times, [100] * len(times)) == pytest.approx(50.0)


def test_a_status_reads_as_lines() -> None:
    found = {
        **{
            "folder": "x",
            "state": "running",
            "stage": "parts",
            "parts": {"done": 3, "total": 6},
            "bytes": {"done": 5 * 10**6, "total": 10**7},
        },
        **{"documents": 1234, "set_aside": {"too short": 7}, "megabytes_per_second": 2.5, "seconds_left": 3661},
        **{"steps": {"vocabulary": {"finished": True, "parts": 0, "of": 6}}, "launches": [], "workers": []},
    }
    text = "\n".join(status_lines(found))
    assert "3 of 6 parts, 5.0 of 10.0 MB (50%), 1,234 documents" in text
    assert "2.50 MB/s, about 1:01:01 left" in text and "too short: 7" in text and "step vocabulary: finished" in text


# --- verify
# ---------------------------------------------------------------------------------------------------------------------


def test_a_whole_folder_is_found_whole(run: Callable[..., Result], prepared: Path) -> None:
    result = run("prepare", "verify", prepared)
    assert result.code == 0, result.err
    assert "125 documents are as they were made" in result.out


def flipped(folder: Path) -> None:
    file = first_shard(folder)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut_short(folder: Path) -> None:
    file = first_shard(folder)
    file.write_bytes(file.read_bytes()[:-100])


def other_vocabulary(folder: Path) -> None:
    file = folder / "tokenizer/tokenizer.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"##a"', '"##aaaaaa"'), encoding="utf-8")


def other_plan(folder: Path) -> None:
    report = read_json(folder / "parts/000000/part.json")
    write_json(folder / "parts/000000/part.json", {**report, "fingerprint": "0" * 64})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (flipped, r"parts/000000/\w+\.arrow: its content changed \(sha256 \w{12} expected, \w{12} found\)"),
        (cut_short, r"parts/000000/\w+\.arrow: its content changed"),
        (lambda folder: first_shard(folder).unlink(), r"parts/000000/\w+\.arrow: missing"),
        (lambda folder: shutil.rmtree(folder / "parts/000000"), r"parts/000000/part\.json: missing"),
        (lambda folder: (folder / "parts/000001/part.json").write_text("{"), r"parts/000001/part\.json is damaged"),
        (other_plan, r"parts/000000/part\.json: made by another plan \(000000000000\)"),
        (other_vocabulary, r"tokenizer: its vocabulary changed"),
        (lambda folder: (folder / "tokenizer/tokenizer.json").write_text("{"), r"tokenizer: cannot be read"),
        (lambda folder: shutil.rmtree(folder / "tokenizer"), r"tokenizer: cannot be read"),
        (lambda folder: (folder / "manifest.json").unlink(), r"manifest\.json: missing; preparation has not finished"),
        (lambda folder: (folder / "manifest.json").write_text("["), r"manifest\.json is damaged"),
    ],
)
def test_each_damage_is_named_and_ends_with_2(
    damage: Callable[[Path], Any], told: str, run: Callable[..., Result], copy: Path
) -> None:
    damage(copy)
    result = run("prepare", "verify", copy)
    assert result.code == 2
    assert re.search(told, result.err), result.err
    assert "kmask prepare CONFIG` again" in result.err and "Traceback" not in result.err


def test_a_folder_that_holds_nothing_prepared_is_refused(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("prepare", "verify", tmp_path)
    assert result.code == 2 and result.err.startswith(f"error: {tmp_path} is no prepared folder")


def shard(folder: Path, **changes: Any) -> tuple[Shard, dict[str, Any]]:
    """Two documents of ten tokens in two sentences with a word and an entity each, the second one with changes."""

    def units(*found: tuple[int, int, int]) -> TokenUnits:
        table = np.array(found, np.int64).reshape(-1, 3)
        return TokenUnits(table[:, 0].astype(np.uint32), table[:, 1].astype(np.uint16), table[:, 2].astype(np.uint8))

    base: dict[str, Any] = {
        **{
            "id": "d",
            "language": "zh",
            "source": "s",
            "title": "",
            "token_ids_T": np.arange(10, dtype=np.int32),
            "flags_T": np.zeros(10, np.uint8),
        },
        **{
            "sentence_ends_S": np.array([4, 10], np.uint32),
            "paragraph_ends_P": np.array([10], np.uint32),
            "dropped": {},
        },
    }
    word, entity = changes.pop("word", [(0, 2, 0)]), changes.pop("entity", [(2, 2, 1), (5, 1, 1)])
    good = Encoded(**base, units={"word": units((0, 2, 0)), "entity": units((2, 2, 1))})
    bad = Encoded(**{**base, "id": "bad", **changes}, units={"word": units(*word), "entity": units(*entity)})
    write_shard(folder / "x.arrow", [good, bad], ["word", "entity"], 100)
    return Shard(folder / "x.arrow", ("word", "entity")), {
        "documents": 2,
        "tokens": len(good.token_ids_T) + len(bad.token_ids_T),
    }


def test_a_good_shard_has_no_problems_and_an_empty_document_is_none(tmp_path: Path) -> None:
    made, expected = shard(tmp_path)
    assert list(check_shard(made, 100, 2, expected)) == []
    nothing = np.zeros(0, np.uint32)
    made, expected = shard(
        tmp_path,
        token_ids_T=nothing,
        flags_T=nothing,
        sentence_ends_S=nothing,
        paragraph_ends_P=nothing,
        word=[],
        entity=[],
    )
    assert list(check_shard(made, 100, 2, expected)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"token_ids_T": np.full(10, 99, np.int32)}, ""),
        (
            {"token_ids_T": np.full(10, 100, np.int32)},
            "token id 100, the vocabulary has 100 (10 time(s), first in document 1 `bad`)",
        ),
        ({"flags_T": np.zeros(9, np.uint8)}, "flags: not one for each token"),
        (
            {"sentence_ends_S": np.array([4, 4, 10], np.uint32)},
            "sentence_ends: not ascending (1 time(s), first in document 1 `bad`)",
        ),
        (
            {"sentence_ends_S": np.array([4, 9], np.uint32), "paragraph_ends_P": np.array([9], np.uint32)},
            "sentence_ends: the last is not the document's end",
        ),
        ({"paragraph_ends_P": np.array([5, 10], np.uint32)}, "paragraph_ends: a paragraph ends inside a sentence"),
        ({"entity": [(2, 2, 1), (3, 1, 1)]}, "entity unit: not sorted and disjoint"),
        ({"entity": [(5, 1, 1), (2, 2, 1)]}, "entity unit: not sorted and disjoint"),
        ({"entity": [(8, 3, 1)]}, "entity unit: outside its document, or too short"),
        ({"entity": [(3, 2, 1)]}, "entity unit: crosses a sentence end"),
        ({"entity": [(2, 2, 2)]}, "entity unit: label beyond the 2 of the manifest"),
        ({"word": [(0, 1, 0)]}, "word unit: outside its document, or too short"),
        ({"word": [(3, 2, 0)]}, "word unit: crosses a sentence end (1 time(s), first in document 1 `bad`)"),
    ],
)
def test_each_broken_promise_of_a_shard_is_named(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    made, expected = shard(tmp_path, **changes)
    problems = list(check_shard(made, 100, 2, expected))
    assert bool(problems) == bool(told)
    assert told in "\n".join(problems)


def test_a_shard_of_another_kind_is_named_though_its_hash_is_right(copy: Path) -> None:
    manifest = read_json(copy / "manifest.json")
    entry = manifest["shards"][0]
    file = copy / entry["path"]
    wide, _ = shard(file.parent)
    wide.path.rename(file)
    entry["sha256"] = sha256_file(file)
    write_json(copy / "manifest.json", manifest)
    problems = list(verify(copy))
    assert any("another schema than this version writes (columns units_phrase)" in problem for problem in problems)
    assert any("manifest.json and the part's own report disagree" in problem for problem in problems)


# --- report
# ---------------------------------------------------------------------------------------------------------------------


class Checker(HTMLParser):
    """Collects what a page would fetch, and checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [
            str(value) for name, value in attrs if name in ("src", "href") and not str(value).startswith("#")
        ]
        if tag not in ("meta", "br", "wbr", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_report_is_one_page_that_fetches_nothing_and_tells_everything(
    run: Callable[..., Result], prepared: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    result = run("prepare", "report", prepared, "-o", page)
    assert result.code == 0 and f"written to {page}" in result.out
    html = page.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(html)
    assert checker.open == [] and checker.fetched == []
    assert not re.search(r"url\(|@import|<script", html)
    text = "".join(checker.text)
    manifest = read_json(prepared / "manifest.json")
    for expected in (
        "125",
        "111 k",
        "What was read",
        "Writing systems",
        "LOC",
        "lexicon",
        "北京",
        "London",
        "Sample passages",
        manifest["fingerprint"],
    ):
        assert expected in text, expected
    assert html.count("<svg") >= 9 and 'class="entity open close"' in html
    run("prepare", "report", prepared, "-o", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_a_report_shows_what_was_set_aside_and_rules_it_has_never_heard_of(
    run: Callable[..., Result], copy: Path
) -> None:
    lines = [
        {"path": "a<b>.jsonl", "line": number, "offset": 0, "reason": "not JSON", "detail": "bad & worse"}
        for number in range(1, 9)
    ]
    (copy / "rejected.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    manifest = read_json(copy / "manifest.json")
    manifest["counts"].update(
        {"rejected.not JSON": 8, "quality.too many <symbols>": 77, "dropped.entity LOC crosses a sentence end": 5}
    )
    write_json(copy / "manifest.json", manifest)
    result = run("prepare", "report", copy)
    html = (copy / "report.html").read_text(encoding="utf-8")
    assert result.code == 0
    assert "a&lt;b&gt;.jsonl:3" in html and "a&lt;b&gt;.jsonl:4" not in html and "bad &amp; worse" in html
    assert "Quality" in html and "too many &lt;symbols&gt;" in html and "entity LOC crosses a sentence end" in html


def test_a_folder_without_a_tally_still_has_a_report(run: Callable[..., Result], copy: Path) -> None:
    (copy / "tally.json").unlink()
    assert run("prepare", "report", copy).code == 0
    assert "prepared without a tally" in (copy / "report.html").read_text(encoding="utf-8")


def test_an_unfinished_folder_has_no_report_yet(run: Callable[..., Result], copy: Path, tmp_path: Path) -> None:
    (copy / "manifest.json").unlink()
    result = run("prepare", "report", copy)
    assert result.code == 2 and "preparation has not finished" in result.err
    assert run("prepare", "report", tmp_path / "nowhere").code == 2


def test_a_configuration_stands_for_its_output(run: Callable[..., Result], prepared: Path, tmp_path: Path) -> None:
    config = tmp_path / "data.yaml"
    config.write_text(f"output: {prepared}\ncorpora: []\n")
    assert str(prepared) in run("prepare", "status", config).out


def test_overlapping_units_are_drawn_piece_by_piece() -> None:
    html = passage_html(
        "在北京大学<读>书", {"word": [(1, 3, ""), (3, 5, "")], "entity": [(1, 5, "ORG")], "phrase": [(4, 7, "phrase")]}
    )
    text = re.sub(r"<i .*?</i>|<[^>]*>", "", html)
    assert text == "在北京大学&lt;读&gt;书"
    assert html.count('<i class="kind entity-name">ORG</i>') == 1 and "phrase-name" not in html
    assert '<span class="entity open"><span class="word open close">北京</span></span>' in html
    assert '<span class="both"><span class="word close">学</span></span>' in html


def test_plots_survive_nothing_and_extremes() -> None:
    edges = [1, 2, 4, 8, 16]
    assert length_histogram([], edges, 0, 0) == "" and count_histogram([], 1, 5, "red") == ""
    assert length_histogram([0, 5], edges, 1, 1).count("<rect") == 1
    assert (
        "&gt; 5" not in count_histogram([0, 3], 1, 5, "red")
        and count_histogram([0] * 9 + [4], 1, 5, "red").count("<rect") == 6
    )
    assert quantile([0, 10, 0, 10], edges, 0.5) == 3 and quantile([], edges, 0.5) == 0
    assert [short(number) for number in (0, 9999, 10_000, 1_234_567, 2.5e12)] == [
        "0",
        "9,999",
        "10.0 k",
        "1.23 M",
        "2.50 T",
    ]
    assert [percent(*pair) for pair in ((0, 5), (1, 2), (1, 30), (1, 3000), (1, 10**6), (1, 0))] == [
        "0 %",
        "50 %",
        "3.3 %",
        "0.03 %",
        "< 0.01 %",
        "–",
    ]


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_the_files_of_a_corpus_are_listed_once(
    verb: str, run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million files take tens of seconds to list."""
    from data_prep.corpora.jsonl import Jsonl

    found, times = Jsonl.found, []
    monkeypatch.setattr(Jsonl, "found", lambda self: (times.append(1), found(self))[1])
    assert (
        run("prepare", verb, DEMO, f"output={tmp_path / 'out'}", "vocabulary.size=3000", "engine.workers=1").code == 0
    )
    assert len(times) == 1
