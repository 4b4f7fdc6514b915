"""Engines: a contract that every file in engines/ keeps. The functions below run in spawned processes and stand at
module level."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pytest

from data_prep.engines import Died, Engine
from data_prep.engines.local import Local
from data_prep.files import started
from launch.settings.components import find_kind, kinds

ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "local": [{"workers": 1}, {"workers": 2}],
    "ray": [{"address": "local", "workers": 2}],
}
"""For each kind, the settings under which it is tested."""
ENGINES = [(kind, arguments) for kind in kinds(Engine) for arguments in ARGUMENTS.get(kind, [{}])]
every_engine = pytest.mark.parametrize(
    ("kind", "arguments"), ENGINES, ids=[f"{kind}-{arguments}" for kind, arguments in ENGINES]
)


def record(folder: Path, part: int) -> tuple[int, int]:
    """Leave a file for each call; later parts finish first."""
    time.sleep(0.02 if part == 0 else 0)
    (folder / f"{part}-{uuid.uuid4().hex}").touch()
    return part, part * part


def fail(folder: Path, part: int) -> int:
    record(folder, part)
    if part == 3:
        raise ValueError(f"part {part} has a bad line")
    return part


def die(part: int) -> int:
    if part == 2:
        os._exit(9)
    if part == 3:
        raise MemoryError
    return part


class UnusualError(Exception):
    """Cannot be sent to another process."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__("unusual")


def fail_unusually(part: int) -> int:
    raise UnusualError(1, 2)


@dataclass(frozen=True)
class Heavy:
    """Work that loads something once per process, and tells which process it ran in."""

    @cached_property
    def loaded(self) -> str:
        return uuid.uuid4().hex

    def __call__(self, part: int) -> tuple[int, str]:
        return os.getpid(), self.loaded


@pytest.fixture(scope="module", autouse=True)
def no_cluster_is_left_behind() -> Iterator[None]:
    yield
    if ray := sys.modules.get("ray"):
        ray.shutdown()


def engine(kind: str, arguments: dict[str, Any]) -> Engine:
    if kind == "ray":
        pytest.importorskip("ray")
    cls = find_kind(Engine, kind)
    assert cls is not None
    made = cls(**arguments)
    assert isinstance(made, Engine)
    return made


@pytest.mark.parametrize("kind", kinds(Engine))
def test_an_engine_is_a_documented_frozen_component(kind: str, check_component: Callable[[type], None]) -> None:
    cls = find_kind(Engine, kind)
    assert cls is not None
    check_component(cls)


@every_engine
@pytest.mark.usefixtures("spawned_workers")
def test_every_part_runs_exactly_once_and_gives_its_result(
    kind: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    results = list(engine(kind, arguments).run(partial(record, tmp_path), range(9)))
    assert sorted(results) == [(part, part * part) for part in range(9)]
    assert sorted(int(file.name.split("-")[0]) for file in tmp_path.iterdir()) == list(range(9))


@every_engine
def test_only_the_parts_asked_for_run(kind: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    assert sorted(engine(kind, arguments).run(partial(record, tmp_path), [7, 2])) == [(2, 4), (7, 49)]
    assert list(engine(kind, arguments).run(partial(record, tmp_path), [])) == []


@every_engine
def test_an_exception_of_the_work_reaches_the_caller(kind: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="part 3 has a bad line"):
        list(engine(kind, arguments).run(partial(fail, tmp_path), range(6)))
    ran = [int(file.name.split("-")[0]) for file in tmp_path.iterdir()]
    assert 3 in ran
    assert len(ran) == len(set(ran))


@every_engine
@pytest.mark.usefixtures("spawned_workers")
def test_a_worker_that_dies_or_runs_out_of_memory_is_told_and_the_others_go_on(
    kind: str, arguments: dict[str, Any]
) -> None:
    results = list(engine(kind, arguments).run(die, range(6)))
    assert sorted(result for result in results if not isinstance(result, Died)) == [0, 1, 4, 5]
    assert {result for result in results if isinstance(result, Died)} == {Died(2), Died(3)}


@every_engine
def test_an_exception_that_cannot_travel_is_told_in_words(kind: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="unusual"):
        list(engine(kind, arguments).run(fail_unusually, range(2)))


@every_engine
def test_what_a_process_has_loaded_serves_all_its_parts(kind: str, arguments: dict[str, Any]) -> None:
    results = list(engine(kind, arguments).run(Heavy(), range(12)))
    assert len(set(results)) == len({process for process, _ in results}) < 12


def test_a_launcher_that_is_killed_takes_its_workers_along(tmp_path: Path) -> None:
    code = "import sys\nfrom functools import partial\nfrom pathlib import Path\nfrom data_prep.engines.local import Local\nfrom test_engines import linger\n"
    code += "if __name__ == '__main__':\n    list(Local(workers=2).run(partial(linger, Path(sys.argv[1])), range(2)))\n"
    (tmp_path / "launcher.py").write_text(code)
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).resolve().parents[2])])
    launcher = subprocess.Popen(
        [sys.executable, str(tmp_path / "launcher.py"), str(tmp_path)], env={**os.environ, "PYTHONPATH": paths}
    )
    pids: list[int] = []
    for _ in range(1200):
        pids = [int(file.name.removeprefix("worker-")) for file in tmp_path.glob("worker-*")]
        if len(pids) == 2:
            break
        time.sleep(0.05)
    assert len(pids) == 2
    launcher.kill()
    launcher.wait()
    for _ in range(200):
        if all(started(process) is None for process in pids):
            return
        time.sleep(0.05)
    raise AssertionError("a worker lives on")


def linger(folder: Path, part: int) -> None:
    (folder / f"worker-{os.getpid()}").touch()
    time.sleep(300)


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="workers: -1 must be 0"):
        Local(workers=-1)
