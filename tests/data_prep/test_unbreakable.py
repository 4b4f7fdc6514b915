"""The property: any history of kills, relaunches, engines, worker counts and simultaneous launches ends in the bytes of
one undisturbed run.

The long version, with a hundred kills, is benchmarks/kill_preparation.py.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import pickle
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest

from data_prep.corpora.jsonl import Jsonl
from data_prep.documents import Place, Spans
from data_prep.engines import Died, Engine, end_after, untimed
from data_prep.engines.local import Local
from data_prep.files import staging_name
from data_prep.planned import Plan
from data_prep.preparing import plan, surveying
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation, StageProgress, make_plan
from data_prep.running import claims
from data_prep.running.claims import claim, is_claimed
from data_prep.running.notes import Moment
from data_prep.running.supervision import Task, Watch, run_all
from data_prep.segmenters import Segmenter
from data_prep.shards import Prepared
from data_prep.vocabularies.vocabulary import Vocabulary
from launch.cluster.slurm_array import slurm_script

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [
    "The river rises in the west.",
    "It rained in Rome.",
    "New York opened a new station.",
    "他在北京大学读书。",
    "上海是一座大城市！",
    "书中有山水。",
]
CORPUS = 60


@dataclass(frozen=True, kw_only=True)
class Touchy(Segmenter):
    """The first three characters, until a document holds a word it cannot bear."""

    def words(self, text: str) -> Spans:
        if "segfault" in text:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "memory" in text:
            raise MemoryError
        if "sleep" in text:
            time.sleep(1e6)
        if "backtrack" in text:
            re.match("(a+)+$", "a" * 100 + "b")  # no other thread of Python runs meanwhile
        if "bug" in text:
            raise ZeroDivisionError("division by zero")
        if "disk" in text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/cache")
        return np.array([[0, 3]], np.int32)

    def version(self) -> str:
        return "touchy 1"


@dataclass(frozen=True, kw_only=True)
class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


def quiet(progress: StageProgress) -> None:
    pass


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def write_corpus(file: Path, extra: dict[int, str] | None = None) -> None:
    """Sixty documents in one file, some replaced."""
    texts = {number: f"{TEXTS[number % 6]} {TEXTS[number // 6 % 6]}" for number in range(CORPUS)} | (extra or {})
    file.write_text("".join(json.dumps({"id": f"d{number}", "text": text}) + "\n" for number, text in texts.items()))


@pytest.fixture
def settings(tmp_path: Path, tokenizer_folder: Path) -> Preparation:
    """Six parts, two workers."""
    write_corpus(tmp_path / "a.jsonl")
    return Preparation(
        output=str(tmp_path / "out"),
        corpora=[Jsonl(paths=[str(tmp_path / "a.jsonl")])],
        segmenters={"en": Touchy()},
        vocabulary=Vocabulary(path=str(tokenizer_folder)),
        heldout=0.2,
        part_bytes=1000,
        engine=Local(workers=2),
    )


def ids(folder: Path) -> set[str]:
    prepared = Prepared.open(folder)
    return {
        shard.text_of("id", index)
        for split in ("train", "heldout")
        for shard in prepared.shards(split)
        for index in range(len(shard))
    }


def rejected(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]


# --- poisonous documents
# --------------------------------------------------------------------------------------------------------


def test_a_document_on_which_the_code_fails_is_set_aside_and_the_rest_goes_on(
    settings: Preparation, tmp_path: Path
) -> None:
    write_corpus(tmp_path / "a.jsonl", {7: "A bug in the river.", 33: "Another bug."})
    manifest = prepare(replace(settings, engine=Here()), quiet)
    assert [(item["line"], item["reason"], item["detail"]) for item in rejected(tmp_path / "out")] == [
        (8, "failed", "ZeroDivisionError: division by zero"),
        (34, "failed", "ZeroDivisionError: division by zero"),
    ]
    assert manifest["counts"]["rejected.failed"] == 2
    assert ids(tmp_path / "out") == {f"d{number}" for number in range(CORPUS)} - {"d7", "d33"}


@pytest.mark.parametrize("word", ["segfault", "memory"])
def test_a_document_that_kills_its_worker_is_quarantined_with_its_place(
    word: str, settings: Preparation, tmp_path: Path
) -> None:
    write_corpus(tmp_path / "a.jsonl", {40: f"Here is a {word} for you."})
    manifest = prepare(settings, quiet)
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)
    (item,) = rejected(tmp_path / "out")
    assert item == {
        "path": str(tmp_path / "a.jsonl"),
        "line": 41,
        "offset": len(b"".join(lines[:40])),
        "reason": "killed its worker",
        "detail": "3 times while `parts` worked on it",
    }
    assert manifest["counts"]["rejected.killed its worker"] == 1
    assert ids(tmp_path / "out") == {f"d{number}" for number in range(CORPUS)} - {"d40"}
    (poison,) = (tmp_path / "out/poison/parts").iterdir()
    assert json.loads(poison.read_text())["line"] == 41
    before = content(tmp_path / "out")
    shutil.rmtree(tmp_path / "out/parts")
    prepare(replace(settings, engine=Here()), quiet)  # would not survive a second look at it
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("word", ["sleep", "backtrack"])
def test_a_document_that_never_ends_is_quarantined_with_its_place_and_its_time(
    word: str, settings: Preparation, tmp_path: Path
) -> None:
    write_corpus(tmp_path / "a.jsonl", {40: f"Here is a {word} for you."})
    manifest = prepare(replace(settings, engine=Local(workers=2, record_minutes=0.02)), quiet)
    (item,) = rejected(tmp_path / "out")
    assert (item["line"], item["reason"]) == (41, "took too long")
    assert item["detail"] == "3 times while `parts` worked on it, after 0.02 minutes (engine.record_minutes)"
    assert manifest["counts"]["rejected.took too long"] == 1
    assert ids(tmp_path / "out") == {f"d{number}" for number in range(CORPUS)} - {"d40"}
    assert not (tmp_path / "out/claims").exists()


def test_the_time_for_a_document_is_counted_in_workers_only_and_for_each_anew(tmp_path: Path) -> None:
    watch = Watch(folder=tmp_path, launch="notes", record_seconds=0.3)
    with watch.noting("parts", 0) as note:  # this process is nobody's worker
        note.at(0, 0, Place("a", 1, 0))
        assert end_after(0) == 0
    assert list(Local(workers=1).run(partial(patient, watch), [0])) == [0]


def patient(watch: Watch, part: int) -> int:
    with watch.noting("parts", part) as note:
        for number in range(4):
            note.at(number, 0, Place("a", 1, 0))
            with untimed():
                time.sleep(0.4)
            time.sleep(0.15)
            note.after(number, 0, Place("a", 1, 0))
            time.sleep(0.15)
    time.sleep(0.4)
    return part


def test_a_time_for_documents_that_is_none_is_refused() -> None:
    for minutes in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"record_minutes: .* must be 0"):
            Local(record_minutes=minutes)


def test_a_failure_that_is_not_the_documents_stops_the_run(settings: Preparation, tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.jsonl", {30: "The disk of the sun."})
    with pytest.raises(OSError, match=r"out: the disk is full .* Make space and run the same command again"):
        prepare(settings, quiet)
    with pytest.raises(ZeroDivisionError):  # a segmenter that fails on anything is no matter of one document
        prepare(replace(settings, output=str(tmp_path / "other"), segmenters={"en": Broken()}, engine=Here()), quiet)


@dataclass(frozen=True, kw_only=True)
class Broken(Segmenter):
    """Never works."""

    def words(self, text: str) -> Spans:
        raise ZeroDivisionError

    def version(self) -> str:
        return "broken 1"


OWN_SEGMENTER = """
import os, signal
from dataclasses import dataclass
from data_prep.segmenters import Segmenter

@dataclass(frozen=True, kw_only=True)
class Mine(Segmenter):
    def words(self, text):
        if "segfault" in text:
            os.kill(os.getpid(), signal.SIGSEGV)
        return []

    def version(self):
        return "1"
"""


def test_the_command_says_by_its_exit_code_that_documents_were_quarantined(
    tmp_path: Path, tokenizer_folder: Path
) -> None:
    write_corpus(tmp_path / "a.jsonl", {40: "Do not read this aloud: segfault."})
    (tmp_path / "my").mkdir()
    (tmp_path / "my/segmenter.py").write_text(OWN_SEGMENTER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    file = configuration(tmp_path, tokenizer_folder)
    run = kmask(file, "segmenters.en=my.segmenter", cwd=tmp_path, env=environment)
    _, message = run.communicate(timeout=120)
    assert run.returncode == 3, message
    assert "1 document(s) set aside" in message and "killed its worker: 1" in message and "a.jsonl:41" in message


# --- supervision
# ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Deadly(Task):
    """Parts that die as often as asked, at a record or before one, alone or not."""

    deaths: dict[int, list[int]]
    """For each part, the records at which its workers die, in order; -1: before the first."""
    watch: Watch
    stage: str = "deadly"

    def finished(self, part: int) -> None:
        return None

    def make(self, part: int) -> int:
        raise AssertionError("the engine of these tests does not call it")

    def path_of(self, part: int, moment: Moment | None) -> str:
        return "corpus.jsonl"


@dataclass(frozen=True, kw_only=True)
class Dying(Engine):
    """Plays the deaths and keeps a record of which parts it ran together."""

    rounds: list[list[int]]

    def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
        self.rounds.append(list(parts))
        for part in parts:
            left = work.deaths.get(part, [])
            number = left.pop(0) if left else None
            if number is None or number in work.watch.quarantined(work.stage, part):
                yield part
                continue
            with work.watch.noting(work.stage, part) as note:
                if number >= 0:
                    note.at(number, 0, Place("corpus.jsonl", number + 1, 10 * number))
            yield Died(part)


def supervised(tmp_path: Path, deaths: dict[int, list[int]]) -> tuple[list[int], list[list[int]], Watch]:
    watch = Watch(folder=tmp_path, launch=staging_name("notes"))
    engine = Dying(rounds=[])
    results = list(run_all(engine, Deadly(deaths=deaths, watch=watch), range(5)))
    return results, engine.rounds, watch


def test_the_third_death_at_one_record_happens_alone_and_quarantines_it(tmp_path: Path) -> None:
    results, rounds, watch = supervised(tmp_path, {1: [7] * 9, 3: [2] * 9})
    assert sorted(results) == [0, 1, 2, 3, 4]
    assert [sorted(parts) for parts in rounds] in (
        [[0, 1, 2, 3, 4], [1, 3], [1], [3], [1, 3]],
        [[0, 1, 2, 3, 4], [1, 3], [3], [1], [1, 3]],
    )
    assert set(watch.quarantined("deadly", 1)) == {7} and set(watch.quarantined("deadly", 3)) == {2}


def test_deaths_at_different_records_blame_no_document(tmp_path: Path) -> None:
    results, _, watch = supervised(tmp_path, {1: [7, 8, 7, 9, -1, 3], 4: [0, 0]})
    assert sorted(results) == [0, 1, 2, 3, 4]
    assert not watch.quarantined("deadly", 1) and not watch.quarantined("deadly", 4)


def test_a_death_in_a_block_blames_no_document_and_the_part_goes_on_record_by_record(tmp_path: Path) -> None:
    watch = Watch(folder=tmp_path, launch=staging_name("notes"))

    @dataclass(frozen=True, kw_only=True)
    class InBlocks(Engine):
        deaths: list[int]

        def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
            for part in parts:
                if watch.is_single("deadly", part) or part != 2:
                    yield part
                    continue
                with watch.noting("deadly", part) as note:
                    note.among(7, 0, Place("corpus.jsonl", 8, 70))
                self.deaths.append(part)
                yield Died(part)

    engine = InBlocks(deaths=[])
    assert sorted(run_all(engine, Deadly(deaths={}, watch=watch), range(4))) == [0, 1, 2, 3]
    assert engine.deaths == [2] and not watch.quarantined("deadly", 2)
    assert not watch.is_single("deadly", 1) and not Watch(folder=tmp_path, launch="").is_single("deadly", 2)


def test_deaths_before_any_document_end_the_run_with_advice(tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError,
        match=r"a worker process died 5 times on part 2 of `deadly`.*before the first document of corpus.jsonl.*engine.workers=1",
    ):
        supervised(tmp_path, {2: [-1] * 9})


def test_a_worker_killed_from_outside_costs_nothing_but_time(settings: Preparation, tmp_path: Path) -> None:
    prepare(replace(settings, engine=Here()), quiet)
    before = content(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while len(killed) < 2 and not ended.wait(0.001):
            for pid in at_work(tmp_path / "out"):
                if pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    prepare(settings, quiet)
    ended.set()
    killer.join()
    assert killed
    assert content(tmp_path / "out") == before
    assert not (tmp_path / "out/poison").exists()


def at_work(folder: Path) -> list[int]:
    """The processes that are at a part."""
    found = []
    for claimed in folder.glob("claims/parts-*"):
        with contextlib.suppress(OSError, ValueError):  # finished meanwhile, or not written yet
            found.append(int(json.loads(claimed.read_text())[1]))
    return found


# --- claims
# ---------------------------------------------------------------------------------------------------------------------


def test_a_claim_is_held_by_one_and_free_afterwards(tmp_path: Path) -> None:
    with claim(tmp_path / "claims/a") as first, claim(tmp_path / "claims/a") as second:
        assert first and not second and is_claimed(tmp_path / "claims/a")
    assert not is_claimed(tmp_path / "claims/a") and not list((tmp_path / "claims").iterdir())


@pytest.mark.parametrize(
    ("owner", "age", "held"),
    [("dead", 0, False), ("elsewhere", 0, True), ("elsewhere", 100, False), ("torn", 0, True), ("torn", 100, False)],
)
def test_a_claim_ends_with_its_process_or_when_nobody_touches_it(
    owner: str, age: int, held: bool, tmp_path: Path
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    hosts = {"dead": [claims._self()[0], str(ended.pid), "1"], "elsewhere": ["another-machine", "1", "1"], "torn": None}
    file = tmp_path / "a"
    file.write_text(json.dumps(hosts[owner]) if hosts[owner] else "")
    os.utime(file, (time.time() - age,) * 2)
    assert is_claimed(file) == held
    with claim(file) as mine:
        assert mine == (not held)


def test_what_is_held_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.01)
    with claim(tmp_path / "a") as mine:
        assert mine
        os.utime(tmp_path / "a", (0, 0))
        for _ in range(700):
            if (tmp_path / "a").stat().st_mtime > 0:
                break
            time.sleep(0.01)
        assert (tmp_path / "a").stat().st_mtime > 0


# --- many files
# -----------------------------------------------------------------------------------------------------------------


def same(one: Plan, other: Plan) -> bool:
    """Do two plans say the same and read the same?"""
    return (
        one.plain() == other.plain()
        and list(one.all_files()) == list(other.all_files())
        and list(one.all_slices()) == list(other.all_slices())
    )


def test_a_large_corpus_is_surveyed_by_the_engine_and_only_once(
    settings: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        write_corpus(tmp_path / f"more-{number}.jsonl", {number: "Rome."})
    many = replace(settings, corpora=[Jsonl(paths=[str(tmp_path / "*.jsonl")])])
    alone = make_plan(many, quiet)
    monkeypatch.setattr(plan, "SHARED_BYTES", 1)
    monkeypatch.setattr(surveying, "BATCH_BYTES", 1)  # one file a batch
    watch = Watch(folder=tmp_path / "out", launch="notes")
    assert same(make_plan(many, quiet, watch), alone)
    kept = sorted((tmp_path / "out/survey").iterdir())
    assert len(kept) == 5
    with monkeypatch.context() as without:
        without.setattr(Jsonl, "survey", None)  # would fail
        assert same(make_plan(replace(many, engine=Here()), quiet, watch), alone)
    kept[0].write_text("{")
    with (tmp_path / "more-1.jsonl").open("a") as file:
        file.write('{"text": "one more"}\n')
    changed = make_plan(replace(many, engine=Here()), quiet, watch)
    assert [a.sha256 == b.sha256 for a, b in zip(alone.all_files(), changed.all_files(), strict=True)] == [
        True,
        True,
        False,
        True,
        True,
    ]


def test_small_files_are_surveyed_in_batches_and_large_ones_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveying, "BATCH_BYTES", 100)
    monkeypatch.setattr(surveying, "BATCH_FILES", 1 << 40)  # no batch ends because of a name
    assert surveying.batches(["a", "b", "c", "d", "e"], [10, 10, 500, 60, 10]) == [0, 0, 1, 2, 2]
    assert surveying.batches([], []) == []
    monkeypatch.setattr(surveying, "BATCH_FILES", 3)
    names = [f"{number}.txt" for number in range(300)]
    some, grown = (surveying.batches(names, [size, *[1] * 299]) for size in (1, 90))
    ends = [
        {name for name, batch, after in zip(names, found, found[1:], strict=False) if batch != after}
        for found in (some, grown)
    ]
    assert len(ends[0] ^ ends[1]) <= 2  # a file that grows moves the ends of few batches
    assert max(some) > 50


def test_what_a_worker_is_sent_does_not_grow_with_the_plan(settings: Preparation, tmp_path: Path) -> None:
    for number in range(300):
        write_corpus(tmp_path / f"more-{number}.jsonl", {number: "Rome."})
    many = replace(settings, corpora=[Jsonl(paths=[str(tmp_path / "*.jsonl")])], part_bytes=50)
    alone = make_plan(many, quiet)
    assert alone.parts > 100
    on_disk = alone.write_columns(tmp_path)
    assert len(pickle.dumps(on_disk.columns)) < 300 < len(pickle.dumps(alone.columns))
    assert same(pickle.loads(pickle.dumps(on_disk)), alone)
    listing = surveying.Listing.of([corpus.found() for corpus in many.corpora])
    assert len(pickle.dumps(listing.kept_in(tmp_path / "scratch"))) < 500 < len(pickle.dumps(listing))
    assert {file.source for file in alone.all_files()} == {tmp_path.name}  # so many files are one source


# --- whole runs, as processes
# ---------------------------------------------------------------------------------------------------


def configuration(folder: Path, tokenizer: Path) -> Path:
    """A YAML that reads ``a.jsonl``, in six parts."""
    file = folder / "data.yaml"
    file.write_text(
        f"output: {folder}/out\ncorpora: [{{kind: jsonl, paths: [{folder}/a.jsonl]}}]\nsegmenters: {{}}\n"
        f"vocabulary: {{path: {tokenizer}}}\nheldout: 0.2\npart_bytes: 1000\nengine: {{kind: local, workers: 2}}\n"
    )
    return file


def kmask(file: Path, *overrides: str, limit: int | None = None, **settings: Any) -> subprocess.Popen[str]:
    """`kmask prepare` as a process of its own, perhaps with a limit on the size of files."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (usual[0] if limit is None else limit, usual[1]))
    try:
        return commands.start("prepare", file, *overrides, **pipes, **settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def ends(run: subprocess.Popen[str]) -> str:
    _, message = run.communicate(timeout=120)
    assert run.returncode == 0, message
    return message


@pytest.fixture(scope="module")
def quiet_run(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path) -> tuple[Path, dict[str, bytes]]:
    """A configuration with its corpus, and what one quiet run in one process makes of it."""
    folder = tmp_path_factory.mktemp("quiet")
    write_corpus(folder / "a.jsonl")
    file = configuration(folder, tokenizer_folder)
    ends(kmask(file, "engine.workers=1"))
    return file, content(folder / "out")


@pytest.fixture
def undisturbed(quiet_run: tuple[Path, dict[str, bytes]], tmp_path: Path) -> tuple[Path, str, dict[str, bytes]]:
    """The configuration, an output folder of this test's own, and what should be in it in the end."""
    file, before = quiet_run
    return file, f"output={tmp_path}/out", before


def test_kills_and_relaunches_end_in_the_same_bytes(
    undisturbed: tuple[Path, str, dict[str, bytes]], tmp_path: Path
) -> None:
    file, output, before = undisturbed
    for workers, parts in ((1, 0), (2, 1), (3, 3)):
        run = kmask(file, output, f"engine.workers={workers}")
        while run.poll() is None:
            if at_work(tmp_path / "out") and len(list(tmp_path.glob("out/parts/*"))) >= parts:
                break
            time.sleep(0.001)
        run.kill()
        run.communicate()
        assert run.returncode == -signal.SIGKILL
    ends(kmask(file, output))
    assert content(tmp_path / "out") == before


def test_two_launches_at_once_both_succeed_with_the_same_bytes(
    undisturbed: tuple[Path, str, dict[str, bytes]], tmp_path: Path
) -> None:
    file, output, before = undisturbed
    for run in [kmask(file, output), kmask(file, output, "engine.workers=1")]:
        ends(run)
    assert content(tmp_path / "out") == before


def test_the_tasks_of_a_slurm_array_share_the_work(
    undisturbed: tuple[Path, str, dict[str, bytes]], tmp_path: Path
) -> None:
    file, output, before = undisturbed
    script = commands.run("prepare", file, output, "engine.workers=1", "--slurm", 2).stdout
    assert "#SBATCH --array=0-1\n" in script and not (tmp_path / "out").exists()
    tasks = [
        subprocess.Popen(
            ["bash", "-c", script],
            env={**os.environ, "SLURM_ARRAY_TASK_ID": str(task)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for task in range(2)
    ]
    for task in tasks:
        ends(task)
    assert content(tmp_path / "out") == before


def test_a_slurm_array_has_at_least_one_task() -> None:
    with pytest.raises(ValueError, match="--slurm: 0 tasks; give at least 1"):
        slurm_script(Path("data.yaml"), [], 0)


def test_a_full_disk_is_one_clear_error_and_the_run_completes_when_there_is_space(
    undisturbed: tuple[Path, str, dict[str, bytes]], tmp_path: Path
) -> None:
    file, output, before = undisturbed
    largest = max(len(value) for name, value in before.items() if name.endswith(".arrow"))
    run = kmask(file, output, limit=largest - 1)
    _, message = run.communicate(timeout=120)
    assert run.returncode == 2
    assert (
        message.count("error:") == 1
        and "the disk is full (or a quota or the limit on file sizes is reached)" in message
        and str(tmp_path / "out") in message
    )
    ends(kmask(file, output))
    assert content(tmp_path / "out") == before


def test_a_small_disk_that_fills_up(undisturbed: tuple[Path, str, dict[str, bytes]], tmp_path: Path) -> None:
    file, output, before = undisturbed
    (tmp_path / "out").mkdir()
    size = sum(len(value) for value in before.values())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size * 2 // 3}", "none", str(tmp_path / "out")],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no right to mount a tmpfs")
    try:
        run = kmask(file, output)
        _, message = run.communicate(timeout=120)
        assert run.returncode == 2 and "the disk is full" in message, message
        subprocess.run(["mount", "-o", "remount,size=100M", str(tmp_path / "out")], check=True)
        ends(kmask(file, output))
        assert content(tmp_path / "out") == before
    finally:
        subprocess.run(["umount", str(tmp_path / "out")], check=True)


def test_a_ray_cluster_of_two_nodes_gives_the_same_bytes(
    undisturbed: tuple[Path, str, dict[str, bytes]], tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    file, output, before = undisturbed
    small = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        cluster.add_node(**small)
        ends(kmask(file, output, "engine.kind=ray", f"engine.address={cluster.address}"))
    finally:
        cluster.shutdown()
    assert content(tmp_path / "out") == before


def test_a_ray_cluster_that_is_not_there_is_named(settings: Preparation) -> None:
    pytest.importorskip("ray")
    from data_prep.engines.ray import Ray

    with pytest.raises(
        ConnectionError, match=r"engine\.address 127\.0\.0\.1:1: no Ray cluster could be reached .* `ray start --head`"
    ):
        prepare(replace(settings, engine=Ray(address="127.0.0.1:1")), quiet)
    assert np.array(list(Ray(workers=0).run(len, []))).size == 0
