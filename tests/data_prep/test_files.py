"""Files that are complete or absent, whatever was killed meanwhile."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep.files import (
    STAGING_PREFIX,
    maker_of,
    read_json,
    remove_staging,
    sha256_file,
    sha256_json,
    staged_folder,
    staging_name,
    write_atomic,
    write_json,
)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "a.txt"
    write_atomic(file, "first 江")
    assert file.read_text(encoding="utf-8") == "first 江"
    write_atomic(file, b"second")
    assert file.read_bytes() == b"second"
    assert [path.name for path in file.parent.iterdir()] == ["a.txt"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomic(tmp_path / "a.txt", "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_json_comes_back_as_it_was_written(tmp_path: Path) -> None:
    value = {"b": 1, "a": ["江", None, 0.5]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert list(read_json(tmp_path / "a.json")) == ["b", "a"]
    assert "江" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_the_fingerprint_of_settings_does_not_depend_on_the_order_of_keys() -> None:
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1}) != sha256_json({"a": 1, "b": 3})


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe"])
def test_json_that_is_damaged_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is damaged"):
        read_json(tmp_path / "a.json")


def test_a_folder_appears_when_its_block_has_ended(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "out") as staging:
        (staging / "deep").mkdir()
        (staging / "deep/a").write_text("x")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out/deep/a").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_whose_block_fails_never_appears(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staged_folder(tmp_path / "out") as staging:
        (staging / "a").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_first_to_publish_a_folder_wins_and_the_second_is_no_error(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "out") as slow:
        (slow / "a").write_text("slow")
        with staged_folder(tmp_path / "out") as fast:
            (fast / "a").write_text("fast")
    assert (tmp_path / "out/a").read_text() == "fast"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OSError), staged_folder(tmp_path / "out") as staging:
        (staging / "a").write_text("y")
    assert (tmp_path / "out").read_text() == "x"


HEX = "0123456789ab"
DAY = 24 * 3600


def ended_process() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def leave(folder: Path, name: str, *, age: float = 0, inside_age: float | None = None) -> Path:
    """A staged folder with a file deep in it, both last modified so many seconds ago."""
    place = folder / name
    (place / "deep").mkdir(parents=True)
    (place / "deep/a").write_text("x")
    for path, seconds in (
        (place / "deep/a", age if inside_age is None else inside_age),
        (place / "deep", age),
        (place, age),
    ):
        os.utime(path, (time.time() - seconds,) * 2)
    return place


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_left_overs_of_dead_processes_of_this_machine_are_removed_and_living_work_stays(tmp_path: Path) -> None:
    host, dead = socket.gethostname(), ended_process()
    leave(tmp_path, f"{STAGING_PREFIX}000001@{host}@{dead}@815@{HEX}")
    (tmp_path / f"{STAGING_PREFIX}plan.json@{host}@{dead}@815@{HEX}").write_text("x")
    kept = [leave(tmp_path, staging_name("000002"), age=9 * DAY), leave(tmp_path, "000004", age=9 * DAY)]
    remove_staging(tmp_path)
    assert names_in(tmp_path) == {path.name for path in kept}


@pytest.mark.parametrize("other", ["gpu-{host}", "{host}-gpu", "another.host", "{host}.cluster"])
def test_fresh_work_of_a_machine_whose_name_holds_ours_is_left_alone(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "node3")
    dead = ended_process()
    for name in ("000001", "x-node3-1", f"x@node3@{dead}@815@{HEX}"):
        leave(tmp_path, f"{STAGING_PREFIX}{name}@{other.format(host='node3')}@{dead}@815@{HEX}")
    before = names_in(tmp_path)
    remove_staging(tmp_path)
    assert names_in(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    [
        f"000003@another.host@1@815@{HEX}",
        "000003-another.host-1-0123456789ab",
        "000003-{host}-1-0123456789ab",
        "",
        "@@@@",
    ],
)
def test_what_other_machines_and_earlier_versions_left_goes_after_a_day_without_a_modification(
    name: str, tmp_path: Path
) -> None:
    name = STAGING_PREFIX + name.format(host=socket.gethostname())
    for ages, stays in (
        ({"age": DAY - 600}, True),
        ({"age": 2 * DAY, "inside_age": 600}, True),
        ({"age": DAY + 600}, False),
    ):
        left = leave(tmp_path, name, **ages)
        remove_staging(tmp_path)
        assert left.exists() == stays
        shutil.rmtree(left, ignore_errors=True)
    assert names_in(tmp_path) == set()


def test_the_age_of_a_left_over_is_told_by_the_clock_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave(tmp_path, f"{STAGING_PREFIX}000003@another.host@1@815@{HEX}")
    monkeypatch.setattr(time, "time", lambda: 2e10)  # this machine's clock is wrong by centuries
    remove_staging(tmp_path)
    assert left.is_dir() and names_in(tmp_path) == {left.name}


def test_a_number_that_another_process_got_meanwhile_does_not_keep_a_left_over(tmp_path: Path) -> None:
    mine = maker_of(staging_name("000001"))
    assert mine is not None and mine.is_here and mine.lives and mine.process == os.getpid()
    if not mine.start:
        pytest.skip("this system does not tell when a process began")
    leave(tmp_path, f"{STAGING_PREFIX}000001@{mine.host}@{mine.process}@{int(mine.start) - 1}@{HEX}")
    remove_staging(tmp_path)
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize(
    "name", ["plan.json", "a@b@1@2@" + HEX, "x" * 250, "长江" * 60, staging_name("plan.json"), ""], ids=range(6)
)
@pytest.mark.parametrize("host", ["node3", "gpu-node3", "a@b/c", "n" * 64])
def test_a_temporary_name_tells_its_maker_whatever_it_is_for(
    name: str, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    staging = staging_name(name)
    (tmp_path / staging).touch()
    maker = maker_of(staging)
    assert maker is not None and maker.is_here and maker.lives
    assert name.replace("@", "_").startswith(maker.name) and (maker.name or not name)


def test_the_hash_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"x" * 100_000).hexdigest()
