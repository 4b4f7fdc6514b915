"""Engines: a contract that every file in engines/ keeps. The functions below run in spawned processes and stand at module level."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from data_prep.engines import Engine
from data_prep.engines.local import Local
from launch.config import find_kind, kinds

ARGUMENTS: dict[str, list[dict[str, Any]]] = {"local": [{"workers": 1}, {"workers": 2}]}
"""For each kind, the settings under which it is tested."""
ENGINES = [(kind, arguments) for kind in kinds(Engine) for arguments in ARGUMENTS.get(kind, [{}])]
every_engine = pytest.mark.parametrize(("kind", "arguments"), ENGINES, ids=[f"{kind}-{arguments}" for kind, arguments in ENGINES])


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
    os._exit(9)


def engine(kind: str, arguments: dict[str, Any]) -> Engine:
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
def test_every_part_runs_exactly_once_and_gives_its_result(kind: str, arguments: dict[str, Any], tmp_path: Path) -> None:
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


def test_a_worker_that_dies_is_reported_with_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"a worker process died .* run the same command again, with fewer workers"):
        list(Local(workers=2).run(die, range(2)))


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="workers: -1 must be 0"):
        Local(workers=-1)
