"""Open plain and compressed files as one kind of byte stream.

    open_bytes(path) -> a binary file of the *uncompressed* content (.gz, .zst, .bz2 or plain)

Offsets everywhere in data_prep count uncompressed bytes, so a part of a compressed file is named like a part of a plain one.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

COMPRESSED = (".gz", ".zst", ".bz2")


def stem(path: Path) -> str:
    """The file name without its compression suffix and its format suffix: ``zhwiki`` for ``zhwiki.jsonl.gz``."""
    name = path.name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).stem


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The uncompressed content of ``path`` as a buffered binary stream.

    Raises:
        OSError: the path cannot be read.
        ValueError: the compressed data is damaged; raised from the reads inside the block, naming the file.
    """
    try:
        with contextlib.ExitStack() as stack:
            if path.suffix == ".gz":
                yield stack.enter_context(io.BufferedReader(cast(io.RawIOBase, gzip.open(path, "rb")), 1 << 20))  # noqa: SIM115
            elif path.suffix == ".bz2":
                yield stack.enter_context(io.BufferedReader(cast(io.RawIOBase, bz2.open(path, "rb")), 1 << 20))  # noqa: SIM115
            elif path.suffix == ".zst":
                raw = stack.enter_context(path.open("rb"))
                yield stack.enter_context(io.BufferedReader(ZstdFile(raw), 1 << 20))
            else:
                yield stack.enter_context(path.open("rb", buffering=1 << 20))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(_damaged(path, error)) from None
    except Exception as error:
        # bz2 reports damage as a bare OSError without a number.
        if type(error).__name__ == "ZstdError" or (type(error) is OSError and error.errno is None):
            raise ValueError(_damaged(path, error)) from None
        raise


class ZstdFile(io.RawIOBase):
    """Zstandard frames one after the other. zstandard's own reader ends silently inside a frame; this one raises EOFError."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self._left, self._ready = raw, b"", memoryview(b"")
        self._frame: Any = None

    def readable(self) -> bool:
        """Yes; io.BufferedReader asks."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill ``target`` with uncompressed bytes and return their number; 0 at the end."""
        import zstandard

        while not self._ready:
            block = self._left or self._raw.read(1 << 17)
            self._left = b""
            if not block:
                if self._frame is not None:
                    raise EOFError("the file ends inside a zstandard frame")
                return 0
            frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._ready = memoryview(frame.decompress(block))
            self._frame, self._left = (None, frame.unused_data) if frame.eof else (frame, b"")
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is damaged or cut short ({error}). Fetch it again, or remove it from the configuration."


def skip(stream: IO[bytes], count: int) -> None:
    """Read and discard ``count`` bytes (seek where the stream can)."""
    if isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO):
        stream.seek(count, io.SEEK_CUR)
        return
    while count > 0:
        block = stream.read(min(count, 1 << 22))
        if not block:
            return
        count -= len(block)
