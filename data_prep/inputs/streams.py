"""Open plain and compressed files as one kind of byte stream.

    open_bytes(path) -> a binary file of the *uncompressed* content (.gz, .zst, .bz2, .xz or plain), as UTF-8 where
    another encoding is named

However little compressed data stands for however much text, it is unpacked a megabyte at a time.
Offsets everywhere in data_prep count these bytes, so a part of a compressed file is named like a part of a plain one.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol, cast

from data_prep.inputs.text_encodings import Transcoded
from data_prep.inputs.zstd_frames import UnreadableFrameError, ZstdFile

COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
LONGEST_DOCUMENT = 1 << 26
"""Bytes that one document (and so one line) may have; nothing longer is ever held in memory."""
BLOCK = 1 << 20


def stem(path: Path) -> str:
    """The file name without its compression suffix and its format suffix: ``zhwiki`` for ``zhwiki.jsonl.gz``."""
    name = path.name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).stem


@contextlib.contextmanager
def open_bytes(path: Path, encoding: str = "utf-8") -> Iterator[IO[bytes]]:
    """The uncompressed content of ``path`` as a buffered binary stream; text in another encoding than UTF-8 as UTF-8.

    Raises:
        OSError: the path cannot be read.
        ValueError: the compressed data is damaged, or the text is UTF-8 after all; raised from the reads inside the
        block, naming the file.
    """
    try:
        with contextlib.ExitStack() as stack:
            if path.suffix == ".gz":
                unpacked = cast(io.RawIOBase, gzip.open(path, "rb"))  # noqa: SIM115
                stream: IO[bytes] = stack.enter_context(io.BufferedReader(unpacked, 1 << 20))
            elif path.suffix == ".bz2":
                unpacked = cast(io.RawIOBase, bz2.open(path, "rb"))  # noqa: SIM115
                stream = stack.enter_context(io.BufferedReader(unpacked, 1 << 20))
            elif path.suffix == ".xz":
                unpacked = cast(io.RawIOBase, lzma.open(path, "rb"))  # noqa: SIM115
                stream = stack.enter_context(io.BufferedReader(unpacked, 1 << 20))
            elif path.suffix == ".zst":
                stream = stack.enter_context(decompressed(stack.enter_context(path.open("rb"))))
            else:
                stream = stack.enter_context(path.open("rb", buffering=1 << 20))
            yield (
                stream
                if encoding == "utf-8"
                else stack.enter_context(io.BufferedReader(Transcoded(stream, encoding, path), 1 << 20))
            )
    except UnreadableFrameError as error:
        raise ValueError(f"{path} {error}") from None
    except Exception as error:
        if is_damage(error):
            raise ValueError(
                f"{path} is damaged or cut short ({error}). Fetch it again, or remove it from the configuration."
            ) from None
        raise


def is_damage(error: Exception) -> bool:
    """Do the compressed data themselves cause this error?"""
    if (
        isinstance(error, EOFError | zlib.error | gzip.BadGzipFile | lzma.LZMAError | UnreadableFrameError)
        or type(error).__name__ == "ZstdError"
    ):
        return True
    return type(error) is OSError and error.errno is None  # bz2 reports damage as a bare OSError without a number


def decompressed(raw: IO[bytes]) -> IO[bytes]:
    """The content of an open Zstandard file."""
    return io.BufferedReader(ZstdFile(raw), 1 << 20)


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


def lines_within(stream: IO[bytes], name: object, limit: int = LONGEST_DOCUMENT) -> Iterator[bytes]:
    """The lines of a stream.

    Raises:
        ValueError: one has more than ``limit`` bytes; says which line of ``name``.
    """
    for number, line in enumerate(iter(lambda: stream.readline(limit + 1), b""), 1):
        if len(line) > limit:
            raise ValueError(f"{name}:{number}: a line of more than {limit:,} bytes")
        yield line


class Writes(Protocol):
    """Whatever wants to have the content, block by block."""

    def write(self, block: bytes, /) -> Any:
        """The next bytes."""


class LineScan:
    """A pass over a stream that hashes everything, knows its position and its last line, and looks at few lines.

    For the stream ``a\\n bb\\n cc\\n``: ``leap(3)`` stands at offset 6, line 3, with ``last`` = ``bb\\n``.
    """

    def __init__(self, stream: IO[bytes], copy: Writes) -> None:
        """``copy`` receives the content too."""
        self._stream, self._copy = stream, copy
        self._last, self._ended = bytearray(), True
        self.sha256 = hashlib.sha256()
        """Of everything up to ``offset``."""
        self.offset = 0
        self.line = 1
        """Number of the line at ``offset``."""

    @property
    def last(self) -> bytes:
        """The line before ``offset``, as far as a line is kept."""
        return bytes(self._last)

    def leap(self, target: int) -> None:
        """Go on to the first line that begins at ``target`` or later; nowhere when the scan is there already."""
        if self.offset >= target:
            return
        while self.offset < target - 1 and (block := self._stream.read(min(BLOCK, target - 1 - self.offset))):
            self._took(block)
        for block in rest_of_line(self._stream, None):
            self._took(block)

    def take(self, line: bytes) -> None:
        """Go on over ``line``, just read from the stream with at most LONGEST_DOCUMENT bytes, and what is left of
        it."""
        self._took(line)
        for block in rest_of_line(self._stream, line):
            self._took(block)

    def _took(self, block: bytes) -> None:
        self.sha256.update(block)
        self._copy.write(block)
        self.offset += len(block)
        self.line += block.count(b"\n")
        begin = block.rfind(b"\n", 0, -1) + 1
        if begin or self._ended:
            self._last.clear()
        self._last += block[begin : begin + LONGEST_DOCUMENT - len(self._last)]
        self._ended = block.endswith(b"\n")


def rest_of_line(stream: IO[bytes], line: bytes | None) -> Iterator[bytes]:
    """Read what is left of a line after its first bytes ``line``, in blocks; with None, up to the next line end."""
    if line is not None and (line.endswith(b"\n") or len(line) < LONGEST_DOCUMENT):
        return
    while block := stream.readline(BLOCK):
        yield block
        if block.endswith(b"\n"):
            return
