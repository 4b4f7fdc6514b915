"""Slices of a compressed file, or one in another encoding than UTF-8, unpacked once: nobody has to read it from its
start to reach its end.

    survey of zhwiki.jsonl.gz   ->  CACHE/<file>/67108864-134217800.zst ...
        one file a slice, while the survey passes anyway
    read of that slice          ->  that file, or the original from its start where the cache has nothing usable

It is only a cache. A slice is found again by the path, the size and the modification time of its file and by its
bounds; what is absent, cut short or damaged is not used, and the documents are the same either way. The first slice
needs no help.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from data_prep.files import staging_name
from data_prep.inputs.streams import COMPRESSED, decompressed, is_damage, open_bytes, skip


def identity(path: Path, encoding: str = "utf-8") -> str:
    """A file as it is now: another content, or the same read in another encoding, has another identity."""
    status = path.stat()
    return f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}" + (
        f"\0{encoding}" if encoding != "utf-8" else ""
    )


def is_sequential(path: Path, encoding: str = "utf-8") -> bool:
    """Must one read through the file to reach a place in its content?"""
    return path.suffix in COMPRESSED or encoding != "utf-8"


def slice_file(cache: Path, owner: str, start: int, end: int) -> Path:
    """Where the content of ``[start, end)`` belongs, of the file (or whatever else) with the identity ``owner``."""
    return (
        cache
        / hashlib.blake2b(owner.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
        / f"{start}-{end}.zst"
    )


class SliceWriter:
    """Receives a file's content block by block and keeps a copy of each slice. Without a cache it does nothing.

    A cache that cannot be written (a full disk) is given up with a warning; nothing depends on it.
    """

    def __init__(self, cache: Path | None, owner: str) -> None:
        """``owner`` is the identity of what is being read."""
        self._cache, self._owner, self._start = cache, owner, 0
        self._staging: Path | None = None
        self._raw: IO[bytes] | None = None
        self._frame: Any = None

    def __enter__(self) -> SliceWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._discard()

    def write(self, block: bytes) -> None:
        """The next bytes of the current slice."""
        if self._cache is None or not self._start:
            return
        with self._giving_up():
            if self._frame is None:
                self._open(self._cache)
            self._frame.write(block)

    def finish(self, end: int) -> None:
        """The current slice ends at ``end`` and the next one begins there."""
        if self._cache is not None and self._frame is not None and self._raw is not None and self._staging is not None:
            with self._giving_up():
                self._frame.close()
                self._raw.close()
                target = slice_file(self._cache, self._owner, self._start, end)
                target.parent.mkdir(exist_ok=True)
                self._staging.replace(target)
                self._frame = self._raw = self._staging = None
        self._start = end

    def _open(self, cache: Path) -> None:
        import zstandard

        cache.mkdir(parents=True, exist_ok=True)
        self._staging = cache / staging_name("slice")
        self._raw = self._staging.open("wb")
        self._frame = zstandard.ZstdCompressor(level=1, write_checksum=True).stream_writer(self._raw, closefd=False)

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            name = self._owner.partition("\0")[0]
            logging.getLogger(__name__).warning("%s is read without a cache, which is slower: %s", name, error)
            self._discard()
            self._cache = None

    def _discard(self) -> None:
        for handle in (self._frame, self._raw):
            with contextlib.suppress(OSError, ValueError):
                if handle is not None:
                    handle.close()
        if self._staging is not None:
            self._staging.unlink(missing_ok=True)
        self._frame = self._raw = self._staging = None


@contextlib.contextmanager
def open_slice(path: Path, start: int, end: int, cache: Path | None, encoding: str = "utf-8") -> Iterator[IO[bytes]]:
    """A stream of the uncompressed content of ``path``, as UTF-8, that stands at ``start``.

    Raises:
        OSError, ValueError: like ``open_bytes``.
    """
    if cache is not None and start and is_sequential(path, encoding):
        file = slice_file(cache, identity(path, encoding), start, end)
        if is_whole(file, end - start):
            with file.open("rb") as raw:
                yield decompressed(raw)
            return
    with open_bytes(path, encoding) as stream:
        skip(stream, start)
        yield stream


def is_whole(file: Path, size: int | None = None) -> bool:
    """Is ``file`` there, of ``size`` bytes when unpacked, and does its checksum hold?"""
    found = 0
    try:
        with file.open("rb") as raw:
            stream = decompressed(raw)
            while block := stream.read(1 << 20):
                found += len(block)
    except Exception as error:
        if isinstance(error, OSError) or is_damage(error):
            return False
        raise
    return size is None or found == size
