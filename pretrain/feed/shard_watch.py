"""Are the shards still what preparation wrote? Every byte hashed again, once per run, beside the training.

    watch = ShardWatch(folders, record)    the prepared folders by name, and a file of the run
    watch.start()                          a thread begins to hash; training does not wait for it
    watch.problem                          None, or a sentence for the user that names the first damaged shard
    watch.done                             everything was looked at
    watch.close()                          ends within one block

Opening a folder compares sizes only, for a large corpus is not read at start; a flipped bit in a token would be trained
on unseen. The record remembers which shards were found good, so that a run that is continued goes on where it was and a
finished check is not repeated. A shard that was changed or copied since (its size, or a time of the file, is another)
is hashed again.

One reader at the speed of the disk and of one core; hashing lets other threads run. Blocks are left to the system's
cache: a corpus that fits in memory is needed there anyway, and pages read once are the first to go.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from data_prep.files import read_json, write_json
from data_prep.shards import SPLITS, Prepared, ShardEntry

BLOCK_BYTES = 4 << 20
WRITE_SECONDS, WRITE_SHARE = 30.0, 0.01
"""The record is written at most every so many seconds, and for a very large corpus so rarely that it takes this share
of the time."""
JOIN_SECONDS = 10.0
"""A read that hangs for longer (a network that is gone) is left behind."""


class Watched(NamedTuple):
    """One shard that is looked at."""

    folder: Path
    fingerprint: str
    entry: ShardEntry

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / self.entry.path

    @property
    def place(self) -> str:
        """Its folder as the record names it; a copy elsewhere is another."""
        return str(self.folder.resolve())


Good = dict[str, dict[str, dict[str, str]]]
"""Fingerprint -> folder -> shard -> its state when it was found good."""


class ShardWatch:
    """Hashes the training and held-out shards of all folders in a thread of its own."""

    def __init__(self, folders: Mapping[str, Prepared], record: Path) -> None:
        self.record = record
        self._shards = [
            Watched(prepared.folder, prepared.fingerprint, entry)
            for prepared in folders.values()
            for entry in prepared.entries
            if entry.split in SPLITS
        ]
        self._problems: list[str] = []
        self._done, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, or go on where the record says. A second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shard watch", daemon=True)
            self._thread.start()

    @property
    def problem(self) -> str | None:
        """The first thing that was found wrong, for the user; None as long as all is well."""
        if not self._problems:
            return None
        others = len(self._problems) - 1
        return self._problems[0] + (f" So far {others} more shard(s) are damaged, too." if others else "")

    @property
    def done(self) -> bool:
        """Was every shard looked at?"""
        return self._done.is_set()

    def wait(self, seconds: float) -> str | None:
        """Wait for the end of the check, at most so long; returns the problem, if there is one."""
        self._done.wait(seconds)
        return self.problem

    def close(self) -> None:
        """Stop within one block, and keep what was found."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        good, known = self._remembered(), 0
        written, pause = time.monotonic(), WRITE_SECONDS
        try:
            for shard, state in self._looked_at(good):
                good.setdefault(shard.fingerprint, {}).setdefault(shard.place, {})[shard.entry.path] = state
                known += 1
                if (now := time.monotonic()) - written >= pause:
                    self._write(good)
                    written, known = time.monotonic(), 0
                    pause = max(WRITE_SECONDS, (written - now) / WRITE_SHARE)
            if not self._stop.is_set():
                self._done.set()
        finally:
            if known:
                self._write(good)

    def _looked_at(self, good: Good) -> Iterator[tuple[Watched, str]]:
        """Shards that are newly found good, with their state; what is wrong with others becomes a problem."""
        for shard in self._shards:
            if self._stop.is_set():
                return
            try:
                with shard.path.open("rb", buffering=0) as handle:
                    state = state_of(handle.fileno())
                    if good.get(shard.fingerprint, {}).get(shard.place, {}).get(shard.entry.path) == state:
                        continue
                    found = self._hash(handle.fileno())
                    unchanged = state_of(handle.fileno()) == state
            except OSError as error:
                self._problems.append(
                    f"The shard {shard.path} cannot be read ({error.strerror or error}). {advice(shard)}"
                )
                continue
            if found is None:
                return
            if found != shard.entry.sha256:
                self._problems.append(
                    f"The shard {shard.path} is damaged: its content changed (sha256 {shard.entry.sha256[:12]} "
                    f"expected, {found[:12]} found). {advice(shard)}"
                )
            elif unchanged:
                yield shard, state

    def _hash(self, descriptor: int) -> str | None:
        """The sha256 of a file; None when told to stop."""
        digest, block = hashlib.sha256(), memoryview(bytearray(BLOCK_BYTES))
        while not self._stop.is_set():
            count = os.readv(descriptor, [block])
            if not count:
                return digest.hexdigest()
            digest.update(block[:count])
        return None

    def _remembered(self) -> Good:
        """What an earlier process of this run found good. A record that is missing or damaged is an empty one."""
        wanted: dict[str, set[str]] = {}
        for shard in self._shards:
            wanted.setdefault(shard.fingerprint, set()).add(shard.place)
        try:
            found = read_json(self.record)
            return {
                name: {place: dict(found[name][place]) for place in places if place in found[name]}
                for name, places in wanted.items()
                if name in found
            }
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def _write(self, good: Good) -> None:
        with contextlib.suppress(
            OSError, ValueError
        ):  # a full disk costs no more than hashing again; a folder's name may be no text
            write_json(self.record, good)


def state_of(descriptor: int) -> str:
    """Size and times of an open file: other ones mean that its content may be another."""
    state = os.fstat(descriptor)
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def advice(shard: Watched) -> str:
    """What the user should do about a shard."""
    return f"Run `kmask prepare verify {shard.folder}`, delete the parts it names and run `kmask prepare` again."
