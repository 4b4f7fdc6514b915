"""Duplicates at scale: any number of parts, tasks, pieces, workers and kills gives the same bytes, within a bounded
memory."""

from __future__ import annotations

import os
import signal
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.documents import Document
from data_prep.engines import Engine
from data_prep.engines.local import Local
from data_prep.files import read_json
from data_prep.filtering import duplicate_pairs, duplicate_runs
from data_prep.filtering.columns import append, rows, write_texts
from data_prep.filtering.dropped import Dropped
from data_prep.filtering.duplicate_pairs import NEIGHBOURS, bounding, neighbours
from data_prep.filtering.duplicate_runs import earlier, later
from data_prep.filtering.duplicates import Duplicates
from data_prep.kernels import find_roots, unite
from data_prep.running.rounds import StepOutputs
from data_prep.running.steps import run_step

PARTS, IN_PART = 12, 25
ROUNDS = ["layout", "digests", "equal", "runs", "candidates", "alike", "clusters", "entries"]


def text_of(number: int) -> str:
    """Documents come in families: versions of one text, some of them equal, some short, some empty."""
    family = np.random.default_rng(number % 37)
    if number % 37 == 5:
        return "" if number % 2 else "……"
    if number % 37 == 6:
        return "好的" if number % 2 else "北京"
    characters = family.integers(0x4E00, 0x9FA5, 150)
    source = np.random.default_rng(number)
    if number % 3:
        characters[source.integers(0, 150, source.integers(0, 5))] = source.integers(0x4E00, 0x9FA5)
    return "".join(map(chr, characters.tolist()))


def documents(part: int) -> Iterator[Document]:
    for number in range(part * IN_PART, (part + 1) * IN_PART):
        yield Document(id=f"d{number}", language="zh", text=text_of(number), title="", source="s")


class Here(Engine):
    """Runs everything in this process, and may be told to end after so many tasks."""

    def __init__(self, tasks: int = sys.maxsize) -> None:
        object.__setattr__(self, "left", [tasks])

    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        for part in parts:
            if work.finished(part) is None:  # type: ignore[attr-defined]
                if not self.left[0]:  # type: ignore[attr-defined]
                    raise KeyboardInterrupt
                self.left[0] -= 1  # type: ignore[attr-defined]
            yield work(part)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def small(monkeypatch: pytest.MonkeyPatch, run: int, task: int, piece: int) -> None:
    monkeypatch.setattr(duplicate_runs, "RUN_DOCUMENTS", run)
    monkeypatch.setattr(duplicate_runs, "TASK_RECORDS", task)
    monkeypatch.setattr(duplicate_pairs, "PIECE_RECORDS", piece)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The result when nothing is divided and nothing goes wrong."""
    return content(run_step(Duplicates(), documents, PARTS, Here(), tmp_path_factory.mktemp("whole"), "f"))


def test_the_corpus_has_duplicates_of_every_kind(whole: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "counts.json").write_bytes(whole["counts.json"])
    counts = read_json(tmp_path / "counts.json")
    assert (
        counts["documents"] == PARTS * IN_PART
        and min(counts["duplicates"], counts["near_duplicates"], counts["clusters"]) > 20
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_finds_the_same(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    small(monkeypatch, 80, 2000, 1000)
    assert content(run_step(Duplicates(), documents, PARTS, Local(workers=workers), tmp_path, "f")) == whole
    assert [place.name for place in (tmp_path / "steps" / "duplicates").iterdir()] == ["result"]


@pytest.mark.parametrize(
    ("run", "task", "piece"),
    [(11, 1 << 20, 1 << 20), (1 << 20, 400, 1 << 20), (1 << 20, 1 << 20, 10), (31, 200, 64), (97, 3000, 100)],
)
def test_runs_prefixes_and_pieces_change_nothing(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: int, task: int, piece: int
) -> None:
    small(monkeypatch, run, task, piece)
    assert content(run_step(Duplicates(), documents, PARTS, Here(), tmp_path, "f")) == whole


def test_an_end_after_any_task_is_made_good(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, 80, 2000, 1000)
    launches, result = 0, None
    while result is None:
        launches += 1
        try:
            result = run_step(Duplicates(), documents, PARTS, Here(3), tmp_path, "f")
        except KeyboardInterrupt:
            assert launches < 100
    assert launches > 8
    assert content(result) == whole


KILLED = """
import os, signal, sys
from pathlib import Path
import test_duplicate_rounds as here
from data_prep.filtering import duplicate_runs
from data_prep.filtering.duplicates import Duplicates
from data_prep.running import rounds, steps
duplicate_runs.RUN_DOCUMENTS, duplicate_runs.TASK_RECORDS = 80, 2000
real = steps.write_json
def write_json(file, value):
    real(file, value)
    if file.parent.parent.name == sys.argv[2] and not any(file.parent.parent.glob("0*")):
        os.kill(os.getpid(), signal.SIGKILL)  # the first task of the round is whole, but not yet under its name
steps.write_json = rounds.write_json = write_json
steps.run_step(Duplicates(), here.documents, here.PARTS, here.Here(), Path(sys.argv[1]), "f")
"""


def ours() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(item for item in sys.path if item)}


def test_a_kill_in_every_round_leaves_the_same_bytes(whole: dict[str, bytes], tmp_path: Path) -> None:
    for name in ["parts", *ROUNDS]:
        killed = commands.script(KILLED, tmp_path, name, env=ours())
        assert killed.returncode == -signal.SIGKILL, name
        assert not (tmp_path / "steps" / "duplicates" / "result").exists()
    last = commands.script(KILLED, tmp_path, "none", env=ours())
    assert last.returncode == 0, last.stderr
    assert content(tmp_path / "steps" / "duplicates" / "result") == whole


MANY_PARTS = """
import resource, sys
from pathlib import Path
import numpy as np
from data_prep.filtering import duplicate_runs
from data_prep.filtering.dropped import Dropped
from data_prep.filtering.duplicates import Duplicates
from data_prep.documents import Document
from data_prep.kernels import find_roots, least_values, unite
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
duplicate_runs.RUN_DOCUMENTS, duplicate_runs.TASK_RECORDS = 20, 1000  # 60 runs, 39 tasks
step, root, folders = Duplicates(), Path(sys.argv[1]), []
for part in range(1200):
    folders.append(root / f"{part}")
    folders[-1].mkdir()
    text = "".join(map(chr, np.random.default_rng(part % 600).integers(0x4E00, 0x9FA5, 60).tolist())) + "！" * (part // 900)
    step.map([(0, Document(id=str(part), language="zh", text=text, title="", source="s"))], folders[-1])
(root / "result").mkdir()
step.reduce(folders, root / "result")
dropped = Dropped.open(root / "result")
print(sum(dropped.reason(part, 0) is not None for part in range(600)), len(dropped), dropped.reason(600, 0), dropped.reason(1199, 0))
"""


def test_more_parts_than_files_may_be_open(tmp_path: Path) -> None:
    run = commands.script(MANY_PARTS, tmp_path, env=ours())
    assert run.returncode == 0, run.stderr
    kept, count, exact, near = (
        run.stdout.strip().replace("Reason", "\nReason").split("\n")[0].split() + run.stdout.strip().split("Reason")[1:]
    )
    assert (kept, count) == ("0", "600")
    assert "same text as 0" in exact and "near duplicate" in near and "1.00 like 599" in near


def columns(
    folder: Path, parts: int, count: int, keys: Callable[[int], np.ndarray], digests: Callable[[int], np.ndarray]
) -> list[Path]:
    """Columns of parts with these keys [count, 32] and digests [count, 2]; all sketches agree."""
    folders = []
    for part in range(parts):
        folders.append(folder / f"{part}")
        folders[-1].mkdir(parents=True)
        append(folders[-1] / "numbers", np.arange(count))
        append(folders[-1] / "digests", digests(part))
        append(folders[-1] / "usable", np.ones(count, np.bool_))
        append(folders[-1] / "sketches", np.zeros((count, 256), np.uint8))
        append(folders[-1] / "bands", keys(part))
        write_texts(folders[-1], "ids", [f"{part}-{number}" for number in range(count)])
    return folders


def random_values(part: int, count: int, width: int) -> np.ndarray:
    return np.random.default_rng([part, width]).integers(0, 1 << 63, (count, width), np.uint64) * np.uint64(2)


def peaks(step: Duplicates, folders: Sequence[Path], work: Path) -> dict[str, int]:
    """The most memory that any task of each round holds."""
    made, found = StepOutputs(folders, work), dict[str, int]()
    for each in step.rounds():
        for task in range(each.tasks(made)):
            made.task(each.name, task).mkdir(parents=True)
            tracemalloc.start()
            each.make(made, task, made.task(each.name, task))
            found[each.name] = max(found.get(each.name, 0), tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    (work / "result").mkdir()
    step.finish(made, work / "result")
    return found


@pytest.mark.parametrize("hostile", [False, True])
def test_no_task_holds_more_for_a_larger_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: bool) -> None:
    """Three times the documents, in the hostile case all under the same keys: each task but the one that joins stays as
    large as it was."""
    small(monkeypatch, 1 << 10, 1 << 12, 1 << 13)
    monkeypatch.setattr(duplicate_pairs, "BLOCK_PAIRS", 1 << 10)
    monkeypatch.setattr("data_prep.filtering.duplicate_clusters.BLOCK", 1 << 10)
    same = random_values(0, 1, 32).repeat(1000, axis=0)
    step, found = Duplicates(), []
    for parts in (5, 15):
        make = (lambda part: same) if hostile else (lambda part: random_values(part, 1000, 32))
        folders = columns(tmp_path / str(parts), parts, 1000, make, lambda part: random_values(part, 1000, 2))
        found.append(peaks(step, folders, tmp_path / str(parts) / "work"))
        dropped = Dropped.open(tmp_path / str(parts) / "work" / "result")
        assert len(dropped) == (1000 * parts - 1 if hostile else 0)
    few, many = found
    assert set(few) == set(ROUNDS)
    larger = {
        name: (few[name], many[name])
        for name in ROUNDS
        if many[name] > 1.5 * few[name] + (5 * 15000 if name == "clusters" else 0) + (1 << 18)
    }
    assert not larger
    assert max(many.values()) < 1 << 25


def test_100000_identical_documents_give_as_many_pairs_and_no_keys(tmp_path: Path) -> None:
    count, parts = 25_000, 4
    digest, keys = random_values(0, 1, 2).repeat(count, axis=0), random_values(0, 1, 32).repeat(count, axis=0)
    work = tmp_path / "work"
    peaks(Duplicates(), columns(tmp_path / "parts", parts, count, lambda part: keys, lambda part: digest), work)
    pairs = [len(np.fromfile(file, np.uint64)) for file in work.glob("*/*/pairs")]
    assert sum(pairs) == count * parts - 1
    assert len(np.fromfile(work / "runs" / "000000" / "keys", np.uint64)) == 32
    assert len(Dropped.open(work / "result")) == count * parts - 1


@settings(max_examples=60)
@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 60))
def test_neighbours_are_the_first_and_those_before_also_in_pieces(values: list[int], cut: int) -> None:
    keys, numbers = np.array(values, np.uint64), np.arange(len(values), dtype=np.uint32)
    expected = set()
    for key in set(values):
        members = [index for index, value in enumerate(values) if value == key]
        for place, member in enumerate(members):
            expected |= {
                (other, member)
                for other in (*members[:1], *members[max(0, place - NEIGHBOURS) : place])
                if other != member
            }

    def found(keys: np.ndarray, numbers: np.ndarray) -> tuple[set[tuple[int, int]], np.ndarray]:
        order = np.argsort(keys, kind="stable")
        pairs = np.concatenate(list(neighbours(keys[order], numbers[order])))
        assert len(pairs) == len(set(pairs.tolist()))
        return set(zip(earlier(pairs).tolist(), later(pairs).tolist(), strict=True)), order[bounding(keys[order])]

    assert found(keys, numbers)[0] == expected
    first, kept = found(keys[:cut], numbers[:cut])
    second, _ = found(
        np.concatenate([keys[:cut][kept], keys[cut:]]), np.concatenate([numbers[:cut][kept], numbers[cut:]])
    )
    assert first | second == expected


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=60))
def test_roots_are_the_first_of_what_pairs_connect(count: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(one % count, two % count) for one, two in pairs]
    parents, kept = np.arange(count, dtype=np.uint32), np.zeros(count, np.bool_)
    unite(parents, np.array([one for one, _ in pairs], np.int64), np.array([two for _, two in pairs], np.int64))
    find_roots(parents, kept)
    expected = list(range(count))
    for _ in range(count):
        for one, two in pairs:
            expected[one] = expected[two] = min(expected[one], expected[two])
    assert parents.tolist() == expected
    assert np.flatnonzero(kept).tolist() == sorted({root for place, root in enumerate(expected) if place != root})


def test_a_column_that_ends_too_early_is_reported(tmp_path: Path) -> None:
    append(tmp_path / "column", np.arange(6))
    assert rows(tmp_path / "column", np.int64, 1, 3, 2).tolist() == [[2, 3], [4, 5]]
    assert rows(tmp_path / "column", np.int64, 2, 2).tolist() == []
    with pytest.raises(ValueError, match=r"column is damaged \(it ends before row 7\)"):
        rows(tmp_path / "column", np.int64, 5, 7)


def test_more_documents_than_numbers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_runs, "MOST_DOCUMENTS", 3)
    folders = columns(tmp_path, 1, 3, lambda part: random_values(0, 3, 32), lambda part: random_values(0, 3, 2))
    with pytest.raises(ValueError, match="divide the corpus"):
        duplicate_runs.lay_out(StepOutputs(folders, tmp_path), 0, tmp_path, bands=32)
