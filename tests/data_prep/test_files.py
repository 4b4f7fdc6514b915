"""Files that are complete or absent, whatever was killed meanwhile."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.files import STAGING_PREFIX, read_json, remove_staging, sha256_file, sha256_json, staged_folder, staging_name, write_atomic, write_json


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "a.txt"
    write_atomic(file, "first 江")
    assert file.read_text(encoding="utf-8") == "first 江"
    write_atomic(file, b"second")
    assert file.read_bytes() == b"second"
    assert [path.name for path in file.parent.iterdir()] == ["a.txt"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_only_the_left_overs_of_dead_processes_of_this_machine_are_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = socket.gethostname()
    names = {
        "dead folder": f"{STAGING_PREFIX}000001-{host}-{ended.pid}-0123456789ab",
        "dead file": f"{STAGING_PREFIX}plan.json-{host}-{ended.pid}-0123456789ab",
        "alive": staging_name("000002"),
        "elsewhere": f"{STAGING_PREFIX}000003-another.host-{ended.pid}-0123456789ab",
        "ours": "000004",
    }
    for what, name in names.items():
        if "file" in what:
            (tmp_path / name).write_text("x")
        else:
            (tmp_path / name).mkdir()
            (tmp_path / name / "a").write_text("x")
    remove_staging(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {names["alive"], names["elsewhere"], names["ours"]}


def test_the_hash_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"x" * 100_000).hexdigest()
