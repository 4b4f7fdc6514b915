"""Preparation as a whole: exactly once, the same bytes however it is run, and refusals that touch nothing."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from data_prep.annotators.lexicon import Lexicon
from data_prep.corpora.jsonl import Jsonl
from data_prep.corpora.plain_text import PlainText
from data_prep.engines import Engine
from data_prep.engines.local import Local
from data_prep.files import STAGING_PREFIX, sha256_json, staging_name
from data_prep.filtering.cleaning import Cleaning
from data_prep.filtering.decontamination import Decontamination
from data_prep.filtering.duplicates import Duplicates
from data_prep.filtering.quality import Quality
from data_prep.planned import Plan
from data_prep.preparing import finishing
from data_prep.preparing.dividing import parts_of
from data_prep.preparing.parts import PartWorker
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation, StageProgress, make_plan
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.shards import Prepared
from data_prep.vocabularies.vocabulary import Vocabulary

ZH = ["长江发源于青藏高原，流入东海。", "他在北京大学读书。", "上海是一座大城市！", "书中有山水。"]
EN = ["The river rises in the west. It rained in Rome.", "New York opened a new station.", "The rain is of the sea."]


@dataclass(frozen=True, kw_only=True)
class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


@dataclass(frozen=True, kw_only=True)
class Stops(Engine):
    """Does a few parts, the last first, then fails like a machine that runs out of memory."""

    after: int

    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        for part in list(reversed(parts))[: self.after]:
            yield work(part)
        if self.after < len(parts):
            raise RuntimeError("stopped in the middle")


def quiet(progress: StageProgress) -> None:
    pass


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by name."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def document(number: int) -> dict[str, str]:
    texts = ZH if number % 2 else EN
    return {
        "id": f"doc-{number}",
        "text": f"{texts[number % len(texts)]} {texts[number // 2 % len(texts)]}",
        "title": f"T{number}",
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty short documents in two files and two lexicons. Shared: tests that change them work on a copy."""
    folder = tmp_path_factory.mktemp("inputs")
    for name, numbers in (("a", range(25)), ("b", range(25, 40))):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(document(number), ensure_ascii=False) + "\n" for number in numbers), encoding="utf-8"
        )
    (folder / "entities.tsv").write_text(
        "北京大学\tORG\n上海\tLOC\n长江\tLOC\nRome\tLOC\nNew York\tLOC\n", encoding="utf-8"
    )
    (folder / "phrases.txt").write_text("青藏高原\n大城市\nnew station\n", encoding="utf-8")
    return folder


def reading(inputs: Path, output: Path, tokenizer_folder: Path) -> Preparation:
    """The settings of most tests: about ten parts, in this process."""
    return Preparation(
        output=str(output),
        corpora=[Jsonl(paths=[str(inputs / "a.jsonl"), str(inputs / "b.jsonl")])],
        segmenters={"zh": Rjieba(hmm=False), "en": Pretokenizer()},
        annotators=[
            Lexicon(level="entity", paths=[str(inputs / "entities.tsv")]),
            Lexicon(level="phrase", type="phrase", paths=[str(inputs / "phrases.txt")]),
        ],
        vocabulary=Vocabulary(path=str(tokenizer_folder)),
        heldout=0.2,
        part_bytes=600,
        engine=Here(),
    )


@pytest.fixture
def settings(inputs: Path, tmp_path: Path, tokenizer_folder: Path) -> Preparation:
    return reading(inputs, tmp_path / "out", tokenizer_folder)


@pytest.fixture(scope="module")
def undisturbed(inputs: Path, tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path) -> Path:
    """The output folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    prepare(reading(inputs, folder, tokenizer_folder), quiet)
    return folder


@pytest.fixture
def done(settings: Preparation, undisturbed: Path) -> dict[str, bytes]:
    """The content of the output folder after such a run."""
    shutil.copytree(undisturbed, settings.output)
    return content(Path(settings.output))


@pytest.fixture
def own_inputs(settings: Preparation, inputs: Path, tmp_path: Path, tokenizer_folder: Path) -> tuple[Path, Preparation]:
    """A copy of the inputs that a test may change, and the same settings reading it."""
    shutil.copytree(inputs, tmp_path / "inputs")
    return tmp_path / "inputs", reading(tmp_path / "inputs", Path(settings.output), tokenizer_folder)


# --- what comes out
# -------------------------------------------------------------------------------------------------------------


def test_a_prepared_folder_opens_and_holds_every_document_once(settings: Preparation) -> None:
    manifest = prepare(settings, quiet)
    prepared = Prepared.open(Path(settings.output))
    ids = [
        shard.text_of("id", index)
        for split in ("train", "heldout")
        for shard in prepared.shards(split)
        for index in range(len(shard))
    ]
    assert sorted(ids) == sorted(f"doc-{number}" for number in range(40))
    assert prepared.levels == ("word", "entity", "phrase")
    assert prepared.tokens("train") + prepared.tokens("heldout") == sum(
        len(shard.token_ids.values) for split in ("train", "heldout") for shard in prepared.shards(split)
    )
    assert json.loads((Path(settings.output) / "manifest.json").read_text(encoding="utf-8")) == manifest
    assert len({shard["path"].split("/")[1] for shard in manifest["shards"]}) > 5


def test_counts_say_what_was_found(settings: Preparation) -> None:
    counts = prepare(settings, quiet)["counts"]
    assert sum(count for name, count in counts.items() if name.startswith("documents.")) == 40
    assert counts["documents.a.zh"] == 12 and counts["documents.b.en"] == 7
    entities = {name: count for name, count in counts.items() if name.startswith("units.entity.")}
    assert set(entities) == {"units.entity.LOC.lexicon", "units.entity.ORG.lexicon"}
    assert counts["units.phrase.phrase.lexicon"] > 0
    assert counts["units.word.-.segmenter"] > 0


def test_units_of_the_shards_are_those_of_the_text(settings: Preparation) -> None:
    prepare(settings, quiet)
    prepared = Prepared.open(Path(settings.output))
    found = set()
    for shard in [*prepared.shards("train"), *prepared.shards("heldout")]:
        units = shard.units["entity"]
        for index in range(len(shard)):
            ids = shard.token_ids.row(index)
            for position in range(units.offsets_D1[index], units.offsets_D1[index + 1]):
                start, length = int(units.start_U[position]), int(units.length_U[position])
                found.add(
                    (
                        "".join(prepared.tokenizer.tokens[token] for token in ids[start : start + length]),
                        prepared.labels[units.label_U[position]].type,
                    )
                )
    assert found >= {("北京大学", "ORG"), ("rome", "LOC"), ("newyork", "LOC")}


def test_progress_reaches_the_total_in_every_stage(settings: Preparation) -> None:
    heard: list[StageProgress] = []
    prepare(settings, heard.append)
    assert heard[0].stage == "survey"
    assert {progress.stage for progress in heard} == {"survey", "parts"}
    last = heard[-1]
    assert (last.done, last.documents, last.rejected) == (last.total, 40, 0)


def test_a_vocabulary_is_trained_when_none_is_given(settings: Preparation) -> None:
    heard: list[StageProgress] = []
    prepare(replace(settings, vocabulary=Vocabulary(size=200, min_frequency=1)), heard.append)
    assert {"survey", "vocabulary", "parts"} == {progress.stage for progress in heard}
    prepared = Prepared.open(Path(settings.output))
    assert prepared.tokenizer.special_ids["[MASK]"] == 4
    assert prepared.counts["tokens.unknown"] < prepared.tokens("train") / 10


def test_documents_without_a_usable_text_are_set_aside_with_file_and_line(
    settings: Preparation, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jsonl"
    lines = [
        json.dumps(document(1), ensure_ascii=False).encode(),
        b"{oops",
        b'{"id": "x"}',
        b'{"text": "\xff"}',
        b'{"text": "."}',
        b"",
        json.dumps(document(2)).encode(),
    ]
    bad.write_bytes(b"\n".join(lines) + b"\n")
    manifest = prepare(replace(settings, corpora=[Jsonl(paths=[str(bad)])], part_bytes=100, heldout=0.0), quiet)
    rejected = [
        json.loads(line) for line in (Path(settings.output) / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [(item["path"], item["line"], item["reason"]) for item in rejected] == [
        (str(bad), 2, "not JSON"),
        (str(bad), 3, "no text"),
        (str(bad), 4, "invalid UTF-8"),
        (str(bad), 5, "too short"),
    ]
    assert [item["offset"] for item in rejected] == [len(b"\n".join(lines[:number]) + b"\n") for number in (1, 2, 3, 4)]
    assert {name: count for name, count in manifest["counts"].items() if name.startswith("rejected.")} == {
        "rejected.not JSON": 1,
        "rejected.no text": 1,
        "rejected.invalid UTF-8": 1,
        "rejected.too short": 1,
    }
    (ids,) = [
        [shard.text_of("id", index) for index in range(len(shard))]
        for shard in Prepared.open(Path(settings.output)).shards("train")[:1]
    ]
    assert "doc-1" in ids
    assert sum(entry.documents for entry in Prepared.open(Path(settings.output)).entries) == 2


def test_several_formats_become_one_folder(settings: Preparation, tmp_path: Path) -> None:
    (tmp_path / "poems.txt").write_text("书中有山水。\n\n上海是城市。\n", encoding="utf-8")
    manifest = prepare(
        replace(
            settings,
            corpora=[
                *settings.corpora,
                PlainText(paths=[str(tmp_path / "poems.txt")], document="block", source="poems"),
            ],
        ),
        quiet,
    )
    assert manifest["counts"]["documents.poems.zh"] == 2


def test_documents_are_dropped_by_every_rule_that_is_asked_for(settings: Preparation, tmp_path: Path) -> None:
    texts = {
        "first": "The river rises in the west. It rained in Rome.",
        "same": "The river  rises in the west. It rained in Rome.",
        "digits": "3141592653589793 2384626433832795 0288419716939937 5105820974944592",
        "leaked": "New York opened a new station near the river of the old town on Monday.",
        "kept": "The rain is of the sea.",
    }
    file = tmp_path / "mixed.jsonl"
    file.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items()))
    (tmp_path / "test.txt").write_text("near the river of the old town\nshort\n")
    strict = replace(
        settings,
        corpora=[Jsonl(paths=[str(file)])],
        quality=Quality(),
        duplicates=Duplicates(near=False),
        decontamination=Decontamination(paths=[str(tmp_path / "test.txt")], words=5),
        heldout=0.0,
    )
    manifest = prepare(strict, quiet)
    reasons = [
        (item["line"], item["reason"])
        for item in map(json.loads, (Path(settings.output) / "rejected.jsonl").read_text().splitlines())
    ]
    assert (
        reasons[0] == (2, "duplicate")
        and reasons[2] == (4, "contaminated: test.txt")
        and reasons[1][1].startswith("quality: ")
    )
    assert {shard["documents"] for shard in manifest["shards"]} == {2}
    assert manifest["evaluation"] == {"texts": {"test.txt": 2}, "too_short": {"test.txt": 1}}
    assert not list((Path(settings.output) / "steps").glob("*/parts"))
    prepare(replace(strict, output=str(tmp_path / "two"), engine=Local(workers=2)), quiet)
    assert content(tmp_path / "two") == content(Path(settings.output))


# --- exactly once
# ---------------------------------------------------------------------------------------------------------------


def test_two_processes_give_the_same_bytes_as_one(
    settings: Preparation, done: dict[str, bytes], tmp_path: Path
) -> None:
    other = replace(settings, output=str(tmp_path / "two"), engine=Local(workers=2))
    prepare(other, quiet)
    assert content(Path(other.output)) == done


def test_running_again_does_nothing_and_gives_the_same_manifest(settings: Preparation, done: dict[str, bytes]) -> None:
    folder = Path(settings.output)
    times = {file: file.stat().st_mtime_ns for file in (folder / "parts").rglob("*")}
    manifest = prepare(settings, quiet)
    assert content(folder) == done
    assert {file: file.stat().st_mtime_ns for file in (folder / "parts").rglob("*")} == times
    assert json.loads(done["manifest.json"]) == manifest


def delete_part(folder: Path) -> None:
    shutil.rmtree(folder / "parts/000003")
    (folder / "manifest.json").unlink()


def delete_shard(folder: Path) -> None:
    next((folder / "parts/000002").glob("*.arrow")).unlink()


def cut_shard(folder: Path) -> None:
    file = next((folder / "parts/000001").glob("*.arrow"))
    file.write_bytes(file.read_bytes()[:-100])


def delete_report(folder: Path) -> None:
    (folder / "parts/000004/part.json").unlink()


def foreign_report(folder: Path) -> None:
    file = folder / "parts/000002/part.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), "fingerprint": "another plan's"}))


def cut_rejected(folder: Path) -> None:
    (folder / "rejected.jsonl").write_bytes(b"{")


def lose_inventory(folder: Path) -> None:
    (folder / "inventory.arrow").unlink()


def cut_inventory(folder: Path) -> None:
    file = folder / "inventory.arrow"
    file.write_bytes(file.read_bytes()[:100])


def lose_columns_of_the_plan(folder: Path) -> None:
    shutil.rmtree(next(folder.glob("plan-*")))


def leave_staging(folder: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for parent in (folder, folder / "parts"):
        staging = parent / f"{STAGING_PREFIX}000001@{socket.gethostname()}@{ended.pid}@1@0123456789ab"
        staging.mkdir()
        (staging / "train.arrow").write_bytes(b"half of it")
    shutil.rmtree(folder / "parts/000001")


def delete_everything_but_the_plan(folder: Path) -> None:
    for file in [folder / "manifest.json", folder / "rejected.jsonl"]:
        file.unlink()
    for inner in (folder / "parts", folder / "tokenizer"):
        shutil.rmtree(inner)


def delete_tokenizer(folder: Path) -> None:
    shutil.rmtree(folder / "tokenizer")


def change_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer/tokenizer.json"
    file.write_bytes(file.read_bytes()[:-200])


def delete_tokenizer_and_its_source(folder: Path) -> None:
    shutil.rmtree(folder / "tokenizer")
    shutil.rmtree(folder / "steps")


def lose_tally(folder: Path) -> None:
    (folder / "parts/000001/tally.json").unlink()
    (folder / "tally.json").unlink()


DISTURBANCES = [
    delete_tokenizer,
    change_tokenizer,
    delete_tokenizer_and_its_source,
    lose_tally,
    cut_rejected,
    lose_inventory,
    cut_inventory,
    lose_columns_of_the_plan,
    delete_part,
    delete_shard,
    cut_shard,
    delete_report,
    foreign_report,
    leave_staging,
    delete_everything_but_the_plan,
]


@pytest.mark.parametrize("disturb", DISTURBANCES, ids=lambda function: function.__name__)
def test_a_run_that_was_killed_or_damaged_ends_in_the_same_bytes(
    disturb: Callable[[Path], None], settings: Preparation, done: dict[str, bytes]
) -> None:
    disturb(Path(settings.output))
    prepare(settings, quiet)
    assert content(Path(settings.output)) == done


def test_a_launch_that_finds_everything_done_reads_no_part(
    settings: Preparation, done: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[StageProgress] = []
    for name in ("finished", "make"):
        monkeypatch.setattr(PartWorker, name, None)  # would fail
    assert prepare(settings, heard.append) == json.loads(done["manifest.json"])
    size = sum(piece.size for piece in Plan.read(Path(settings.output)).all_slices())
    assert (heard[-1].done, heard[-1].total, heard[-1].documents) == (size, size, 40)
    assert content(Path(settings.output)) == done


def test_launches_that_come_while_one_finishes_take_its_result(
    settings: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    finishing_began, others_wait, finished = threading.Event(), threading.Event(), []
    original = finishing.finish

    def slow(worker: PartWorker) -> dict[str, Any]:
        finished.append(worker)
        finishing_began.set()
        assert others_wait.wait(60)
        return original(worker)

    monkeypatch.setattr(finishing, "finish", slow)
    monkeypatch.setattr(finishing.time, "sleep", lambda seconds: others_wait.set())
    with ThreadPoolExecutor(2) as launches:
        first = launches.submit(prepare, settings, quiet)
        assert finishing_began.wait(60)
        second = launches.submit(prepare, settings, quiet)
        assert first.result() == second.result()
    assert len(finished) == 1


def test_a_folder_begun_by_an_earlier_version_goes_on(settings: Preparation, done: dict[str, bytes]) -> None:
    folder = Path(settings.output)
    plan = Plan.read(folder)
    inputs = [
        {name: getattr(file, name) for name in ("corpus", "source", "sha256", "size")} for file in plan.all_files()
    ]
    old = {name: plan.plain()[name] for name in ("settings", "labels", "levels", "fingerprint")}
    parts = [[list(piece) for piece in plan.slices(part)] for part in range(plan.parts)]
    old |= {"inputs": inputs, "parts": parts, "paths": [file.path for file in plan.all_files()]}
    (folder / "plan.json").write_text(json.dumps(old))
    shutil.rmtree(folder / plan.columns_name)
    assert sha256_json({name: old[name] for name in ("settings", "inputs", "labels", "levels")}) == plan.fingerprint
    delete_part(folder)
    prepare(settings, quiet)
    rest = {name: value for name, value in content(folder).items() if not name.startswith(("plan", "inventory"))}
    assert rest == {name: value for name, value in done.items() if not name.startswith(("plan", "inventory"))}
    assert list(Plan.read(folder).all_slices()) == list(plan.all_slices())


def test_a_part_is_known_by_the_sizes_of_its_shards_and_thoroughly_by_their_hashes(
    settings: Preparation, done: dict[str, bytes]
) -> None:
    folder = Path(settings.output)
    worker = PartWorker(preparation=settings, plan=Plan.read(folder), folder=folder)
    report = worker.finished(1, thorough=True)
    assert report and [shard["size"] for shard in report["shards"]] == [
        len(done[shard["path"]]) for shard in report["shards"]
    ]
    file = folder / report["shards"][0]["path"]
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)
    assert worker.finished(1) == report
    assert worker.finished(1, thorough=True) is None


@pytest.mark.parametrize("length", [0, 50])
def test_a_report_that_was_cut_short_is_made_again(length: int, settings: Preparation, done: dict[str, bytes]) -> None:
    file = Path(settings.output) / "parts/000002/part.json"
    file.write_bytes(file.read_bytes()[:length])
    prepare(settings, quiet)
    assert content(Path(settings.output)) == done


@pytest.mark.parametrize("after", [0, 3])
def test_a_run_that_stopped_in_the_middle_is_continued(
    after: int, settings: Preparation, done: dict[str, bytes], tmp_path: Path
) -> None:
    stopped = replace(settings, output=str(tmp_path / "again"), engine=Stops(after=after))
    with pytest.raises(RuntimeError, match="stopped in the middle"):
        prepare(stopped, quiet)
    folder = Path(stopped.output)
    assert len(list((folder / "parts").iterdir())) == after
    with pytest.raises(ValueError, match="preparation has not finished: run `kmask prepare` again, it continues"):
        Prepared.open(folder)
    prepare(replace(stopped, engine=settings.engine), quiet)
    assert content(folder) == done


def test_work_of_a_living_process_is_left_alone(settings: Preparation, done: dict[str, bytes]) -> None:
    staging = Path(settings.output) / "parts" / staging_name("000001")
    staging.mkdir()
    prepare(settings, quiet)
    assert staging.is_dir()


def test_moved_inputs_continue_the_same_folder(done: dict[str, bytes], own_inputs: tuple[Path, Preparation]) -> None:
    _, moved = own_inputs
    delete_part(Path(moved.output))
    prepare(moved, quiet)
    assert content(Path(moved.output)) == done


def test_preparing_twice_with_a_trained_vocabulary_gives_the_same_bytes(settings: Preparation, tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepare(replace(settings, output=str(tmp_path / name), vocabulary=Vocabulary(size=300, min_frequency=1)), quiet)
    assert content(tmp_path / "one") == content(tmp_path / "two")


# --- refusals
# -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda old: {"heldout": 0.3}, "heldout: 0.2 -> 0.3"),
        (lambda old: {"part_bytes": 700}, "part_bytes: 600 -> 700"),
        (lambda old: {"cleaning": Cleaning(min_characters=3)}, "cleaning.min_characters: 2 -> 3"),
        (lambda old: {"segmenters": {**old.segmenters, "zh": Rjieba(hmm=True)}}, "segmenters.zh.hmm: False -> True"),
        (lambda old: {"segmenters": {"en": Pretokenizer()}}, "segmenters.zh.hmm: False -> True"),  # its own default
        (lambda old: {"corpora": [replace(old.corpora[0], language="zh")]}, "corpora[0].language:  -> zh"),
        (lambda old: {"annotators": old.annotators[:1]}, "annotators: "),
        (lambda old: {"vocabulary": Vocabulary(size=500)}, "vocabulary."),
    ],
)
def test_other_settings_for_the_same_folder_are_refused_and_nothing_is_touched(
    change: Callable[[Preparation], dict[str, Any]], complaint: str, settings: Preparation, done: dict[str, bytes]
) -> None:
    with pytest.raises(ValueError, match="was begun with other settings") as caught:
        prepare(replace(settings, **change(settings)), quiet)
    assert complaint in str(caught.value)
    assert "Nothing was touched. Choose another output folder" in str(caught.value)
    assert settings.output in str(caught.value)
    assert content(Path(settings.output)) == done


def test_a_changed_lexicon_is_refused_and_nothing_is_touched(
    done: dict[str, bytes], own_inputs: tuple[Path, Preparation]
) -> None:
    inputs, changed = own_inputs
    with (inputs / "entities.tsv").open("a", encoding="utf-8") as file:
        file.write("东海\tLOC\n")
    with pytest.raises(ValueError, match=r"annotators\[0\]\.files\[0\]: [0-9a-f]{64} -> [0-9a-f]{64}"):
        prepare(changed, quiet)
    assert content(Path(changed.output)) == done


def test_a_changed_input_is_named(done: dict[str, bytes], own_inputs: tuple[Path, Preparation]) -> None:
    inputs, changed = own_inputs
    with (inputs / "b.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "one more"}\n')
    with pytest.raises(ValueError, match="changed, new or removed inputs: b"):
        prepare(changed, quiet)
    assert content(Path(changed.output)) == done


def test_where_parts_run_is_free_to_change(settings: Preparation, done: dict[str, bytes]) -> None:
    assert json.loads(done["manifest.json"]) == prepare(replace(settings, engine=Stops(after=1000)), quiet)


def test_a_damaged_plan_is_named(settings: Preparation, done: dict[str, bytes]) -> None:
    (Path(settings.output) / "plan.json").write_bytes(done["plan.json"][:100])
    with pytest.raises(ValueError, match=r"plan\.json is damaged"):
        prepare(settings, quiet)


@pytest.mark.parametrize("empty", [b"", b"\xef\xbb\xbf"])
def test_an_empty_corpus_is_an_error_that_names_its_files(empty: bytes, settings: Preparation, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(empty)
    with pytest.raises(ValueError, match=r"the corpus is empty: 1 file|no usable document"):
        prepare(replace(settings, corpora=[Jsonl(paths=[str(tmp_path / "empty.jsonl")])]), quiet)
    if not empty:
        assert not Path(settings.output).exists()


def test_a_corpus_without_one_usable_document_is_an_error_with_the_first_reason(
    settings: Preparation, tmp_path: Path
) -> None:
    (tmp_path / "bad.jsonl").write_text("oops\n[]\n")
    with pytest.raises(
        ValueError,
        match=r"no usable document in the whole corpus \(2 set aside\).* First reason: .*bad\.jsonl:1: not JSON",
    ):
        prepare(replace(settings, corpora=[Jsonl(paths=[str(tmp_path / "bad.jsonl")])]), quiet)


@pytest.mark.parametrize(("types", "fits"), [(254, True), (255, False)])
def test_more_types_than_a_label_can_number_are_refused(
    types: int, fits: bool, settings: Preparation, tmp_path: Path
) -> None:
    (tmp_path / "types.tsv").write_text("".join(f"word{number}\tT{number}\n" for number in range(types)))
    many = replace(settings, annotators=[Lexicon(level="entity", paths=[str(tmp_path / "types.tsv")])])
    if fits:
        assert max(many.labels.values()) == 254
        return
    with pytest.raises(
        ValueError, match=r"annotators: 256 different types; at most 255 fit. Merge rare types in the lexicons"
    ):
        prepare(many, quiet)
    assert not Path(settings.output).exists()


def test_user_words_that_are_missing_are_named_before_anything_is_written(
    settings: Preparation, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"user_words .*nowhere\.txt: no such file"):
        prepare(replace(settings, segmenters={"zh": Rjieba(user_words=[str(tmp_path / "nowhere.txt")])}), quiet)
    assert not Path(settings.output).exists()


def test_a_wrong_vocabulary_path_can_be_corrected(settings: Preparation, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        prepare(replace(settings, vocabulary=Vocabulary(path=str(tmp_path / "typo"))), quiet)
    prepare(settings, quiet)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"corpora": []}, "corpora"),
        ({"heldout": 1.0}, "heldout"),
        ({"heldout": -0.1}, "heldout"),
        ({"part_bytes": -1}, "part_bytes"),
        ({"segmenters": {"fr": Pretokenizer()}}, "segmenters"),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any], field: str, settings: Preparation) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        replace(settings, **arguments)


# --- plan and split
# -------------------------------------------------------------------------------------------------------------


def splits(output: Path) -> dict[str, str]:
    prepared = Prepared.open(output)
    return {
        shard.text_of("id", index): split
        for split in ("train", "heldout")
        for shard in prepared.shards(split)
        for index in range(len(shard))
    }


def test_the_held_out_split_depends_on_ids_only(
    settings: Preparation, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    prepare(settings, quiet)
    before = splits(Path(settings.output))
    assert 0 < sum(split == "heldout" for split in before.values()) < 20
    others = [{"id": f"doc-{number}", "text": f"Other text {number}."} for number in reversed(range(60))]
    changed = replace(
        settings,
        output=str(tmp_path / "other"),
        corpora=[Jsonl(paths=[str(write_jsonl("c.jsonl", others))])],
        part_bytes=200,
        annotators=[],
    )
    prepare(changed, quiet)
    after = splits(Path(changed.output))
    assert {name: after[name] for name in before} == before


def test_a_larger_held_out_share_keeps_the_smaller_one_inside(settings: Preparation, tmp_path: Path) -> None:
    held = {}
    for share in (0.0, 0.2, 0.6):
        varied = replace(settings, output=str(tmp_path / str(share)), heldout=share)
        prepare(varied, quiet)
        held[share] = {name for name, split in splits(Path(varied.output)).items() if split == "heldout"}
    assert not held[0.0]
    assert held[0.2] < held[0.6]


def test_the_plan_is_pure_and_its_parts_cover_every_byte(settings: Preparation) -> None:
    plan = make_plan(settings, quiet)
    again = make_plan(replace(settings, output="elsewhere", engine=Local(workers=5)), quiet)
    assert (
        again.plain() == plan.plain()
        and list(again.all_slices()) == list(plan.all_slices())
        and list(again.all_files()) == list(plan.all_files())
    )
    assert json.loads(json.dumps(plan.plain())) == plan.plain()
    pieces = list(plan.all_slices())
    for index, item in enumerate(plan.all_files()):
        edges = [(start, end) for number, start, end, *_ in pieces if number == index]
        assert [start for start, _ in edges] == [0, *(end for _, end in edges[:-1])]
        assert edges[-1][1] == item.size


def test_small_files_share_a_part_and_large_ones_have_several(
    settings: Preparation, write_jsonl: Callable[..., Path]
) -> None:
    files = [str(write_jsonl(f"{number}.jsonl", [document(number)])) for number in range(12)]
    plan = make_plan(replace(settings, corpora=[Jsonl(paths=files)], part_bytes=1000), quiet)
    assert 1 < plan.parts < 6
    assert [piece.file for part in range(plan.parts) for piece in plan.slices(part)] == list(range(12))
    assert parts_of([], 100) == []


def test_an_empty_file_among_others_is_listed_and_the_others_are_kept(settings: Preparation, tmp_path: Path) -> None:
    empty = tmp_path / "nothing.jsonl"
    empty.write_bytes(b"")
    corpora = [replace(settings.corpora[0], paths=[*settings.corpora[0].paths, str(empty)])]
    manifest = prepare(replace(settings, output=str(tmp_path / "with-empty"), corpora=corpora), quiet)
    assert manifest["counts"]["rejected.empty file"] == 1
    assert sum(shard["documents"] for shard in manifest["shards"]) == 40
    (line,) = (tmp_path / "with-empty/rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["path"] == str(empty)


def test_a_finished_folder_keeps_nothing_unpacked_however_often_it_is_launched(
    settings: Preparation, tmp_path: Path
) -> None:
    """A launch surveys, and so unpacks, before it finds that everything is done: the copy must go again."""
    import gzip

    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress("".join(json.dumps(document(number)) + "\n" for number in range(200)).encode()))
    preparation = replace(settings, corpora=[Jsonl(paths=[str(packed)])], part_bytes=2000)
    prepare(preparation, quiet)
    first = content(tmp_path / "out")
    assert not any(name.startswith("unpacked") for name in first)
    prepare(preparation, quiet)
    assert content(tmp_path / "out") == first
