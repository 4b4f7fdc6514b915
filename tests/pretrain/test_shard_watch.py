"""Shards are hashed beside the training: damage is named, a restart goes on, a finished check is not repeated."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.shards import Prepared, ShardEntry
from pretrain.feed import shard_watch
from pretrain.feed.shard_watch import ShardWatch

SIZE = 100_000


def prepared(folder: Path, fingerprint: str = "f", shards: int = 3) -> Prepared:
    """A folder of shards of any content, a held-out one and one of another split among them."""
    entries = []
    for number in range(shards):
        for split in ("train", "heldout", "discourse")[: 3 if number == 0 else 1]:
            path = f"parts/{number:06d}/{split}.arrow"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            content = bytes([number]) * SIZE + split.encode()
            (folder / path).write_bytes(content)
            entries.append(ShardEntry(path, split, 1, 1, hashlib.sha256(content).hexdigest(), len(content)))
    common = {"levels": (), "labels": (), "vocabulary_sha256": "", "rules_sha256": "", "counts": {}}
    return Prepared(folder=folder, fingerprint=fingerprint, entries=tuple(entries), **common)  # type: ignore[arg-type]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the blocks that are read, as they are."""
    blocks: list[int] = []
    readv = os.readv

    def noted(descriptor: int, buffers: list[memoryview]) -> int:
        blocks.append(readv(descriptor, buffers))
        return blocks[-1]

    monkeypatch.setattr(os, "readv", noted)
    return blocks


def run(folders: dict[str, Prepared], record: Path) -> ShardWatch:
    watch = ShardWatch(folders, record)
    assert not watch.done and watch.problem is None
    watch.start()
    watch.start()
    assert watch._thread is not None
    watch._thread.join(60)
    watch.close()
    return watch


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[SIZE // 2] ^= 1
    times = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_good_shards_are_read_once_and_a_finished_check_is_not_repeated(tmp_path: Path, read: list[int]) -> None:
    folders = {"one": prepared(tmp_path / "one"), "two": prepared(tmp_path / "two", "g")}
    watch = run(folders, tmp_path / "run/shards.json")
    assert watch.done and watch.problem is None
    wanted = sum(entry.size for folder in folders.values() for entry in folder.entries if entry.split != "discourse")
    assert sum(read) == wanted
    read.clear()
    again = run(folders, tmp_path / "run/shards.json")
    assert again.done and again.problem is None and not read
    assert set(json.loads((tmp_path / "run/shards.json").read_text())) == {"f", "g"}


@pytest.mark.parametrize("name", ["parts/000001/train.arrow", "parts/000000/heldout.arrow"])
def test_a_flipped_bit_is_named_with_hashes_and_advice_though_size_and_time_are_the_same(
    name: str, tmp_path: Path
) -> None:
    folder = prepared(tmp_path / "data")
    good = hashlib.sha256((tmp_path / "data" / name).read_bytes()).hexdigest()
    flip(tmp_path / "data" / name)
    bad = hashlib.sha256((tmp_path / "data" / name).read_bytes()).hexdigest()
    for _ in range(2):  # what is damaged is never remembered as good
        watch = run({"d": folder}, tmp_path / "shards.json")
        assert watch.done and watch.problem is not None
        hashes = f"(sha256 {good[:12]} expected, {bad[:12]} found)"
        told = f"The shard {tmp_path}/data/{name} is damaged: its content changed {hashes}. Run `kmask prepare verify {tmp_path}/data`, delete the parts"
        assert watch.problem.startswith(told)


def test_the_first_damaged_shard_is_named_and_others_are_counted(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "data")
    flip(tmp_path / "data/parts/000002/train.arrow")
    (tmp_path / "data/parts/000001/train.arrow").unlink()
    watch = run({"d": folder}, tmp_path / "shards.json")
    assert watch.done and watch.problem is not None
    assert watch.problem.startswith(
        f"The shard {tmp_path}/data/parts/000001/train.arrow cannot be read (No such file or directory). Run `kmask prepare verify"
    )
    assert watch.problem.endswith(" So far 1 more shard(s) are damaged, too.")


def test_a_shard_that_was_damaged_between_two_runs_is_found_by_the_second(tmp_path: Path, read: list[int]) -> None:
    folder = prepared(tmp_path / "data")
    assert run({"d": folder}, tmp_path / "shards.json").problem is None
    read.clear()
    flip(tmp_path / "data/parts/000001/train.arrow")
    watch = run({"d": folder}, tmp_path / "shards.json")
    assert watch.problem is not None and "000001/train.arrow is damaged" in watch.problem
    assert sum(read) == folder.entries[-2].size


@pytest.mark.parametrize("change", ["touched", "another folder", "another fingerprint"])
def test_what_may_be_another_content_is_hashed_again(change: str, tmp_path: Path, read: list[int]) -> None:
    folder = prepared(tmp_path / "data", shards=1)
    run({"d": folder}, tmp_path / "shards.json")
    read.clear()
    if change == "touched":
        os.utime(tmp_path / "data/parts/000000/train.arrow", (1, 1))
    elif change == "another folder":
        folder = prepared(tmp_path / "copy", shards=1)
    else:
        folder = prepared(tmp_path / "data", "g", shards=1)
    assert run({"d": folder}, tmp_path / "shards.json").problem is None
    assert sum(read) >= folder.entries[0].size


def test_a_check_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepared(tmp_path / "data", shards=6)
    monkeypatch.setattr(shard_watch, "BLOCK_BYTES", 10_000)
    reached, go_on, readv, blocks = threading.Event(), threading.Event(), os.readv, []

    def slow(descriptor: int, buffers: list[memoryview]) -> int:
        blocks.append(readv(descriptor, buffers))
        if len(blocks) == 40:  # in the middle of the fourth shard
            reached.set()
            go_on.wait(60)
        return blocks[-1]

    monkeypatch.setattr(os, "readv", slow)
    watch = ShardWatch({"d": folder}, tmp_path / "shards.json")
    watch.start()
    assert reached.wait(60)
    assert watch.problem is None and not watch.done
    stopping = threading.Thread(target=watch.close)
    stopping.start()
    while not watch._stop.is_set():
        pass
    go_on.set()
    stopping.join(60)
    assert not stopping.is_alive() and not watch.done and len(blocks) == 40
    assert watch._thread is not None and not watch._thread.is_alive()
    first = blocks[:]
    assert run({"d": folder}, tmp_path / "shards.json").done
    again = sum(blocks[len(first) :])
    shards = [entry.size for entry in folder.entries if entry.split != "discourse"]
    assert again == sum(shards[3:]) < sum(shards)


def test_closing_what_never_began_is_nothing(tmp_path: Path) -> None:
    ShardWatch({}, tmp_path / "shards.json").close()
    assert run({}, tmp_path / "shards.json").done and not (tmp_path / "shards.json").exists()


def garbage(record: Path) -> None:
    record.write_text('{"f": ')


def wrong_shape(record: Path) -> None:
    record.write_text('{"f": [1, 2]}')


def another_shape(record: Path) -> None:
    record.write_text('["f"]')


@pytest.mark.parametrize("damage", [garbage, wrong_shape, another_shape])
def test_a_damaged_record_is_an_empty_one(damage: Callable[[Path], None], tmp_path: Path, read: list[int]) -> None:
    damage(tmp_path / "shards.json")
    watch = run({"d": prepared(tmp_path / "data")}, tmp_path / "shards.json")
    assert watch.done and watch.problem is None and len(read) == 8
    assert set(json.loads((tmp_path / "shards.json").read_text())) == {"f"}


def test_a_record_that_cannot_be_written_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shard_watch, "write_json", full)
    monkeypatch.setattr(shard_watch, "WRITE_SECONDS", 0.0)
    watch = run({"d": prepared(tmp_path / "data")}, tmp_path / "shards.json")
    assert watch.done and watch.problem is None
    assert not (tmp_path / "shards.json").exists()


def test_the_record_is_kept_up_while_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(shard_watch, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(
        shard_watch,
        "write_json",
        lambda path, value: written.append(sum(len(shards) for shards in value["f"].values())),
    )
    monkeypatch.setattr(shard_watch, "WRITE_SHARE", 1e9)
    run({"d": prepared(tmp_path / "data")}, tmp_path / "shards.json")
    assert written == [1, 2, 3, 4]
