"""Zstandard files, read one block at a time: no more memory than a window and two blocks, whatever the file holds.

    frame    magic, header (window, dictionary), blocks of at most 128 KiB of content each, checksum
    file     frames one after the other, some of which hold no content

The blocks of a very repetitive file are four bytes long and hold 128 KiB: a reader that hands over thousands of bytes
at once gets hundreds of megabytes back. This one walks over the blocks itself (RFC 8878, section 3.1) and hands over
one. So it also knows a file that was cut inside a frame, and says of a frame that nobody could read why. Windows reach
to 2 GiB, the most that `zstd --long=31` makes: reading such a file takes as much memory as its window.
"""

from __future__ import annotations

import io
from typing import IO, Any, NamedTuple

MAGIC, SKIPPED = 0xFD2FB528, 0x184D2A50
LARGEST_WINDOW, LARGEST_BLOCK = 1 << 31, 1 << 17
RLE = 1
AT_ONCE = 1 << 20


class UnreadableFrameError(ValueError):
    """A sound frame that we cannot read; says why and what to do."""


class Header(NamedTuple):
    """What a frame says about itself."""

    content: bytes
    """As it stands in the file."""
    window: int
    """How far back its blocks may point."""
    dictionary: int
    """Number of the dictionary that it needs, 0 for none."""
    checksum: bool
    """Do four bytes follow the last block?"""


class ZstdFile(io.RawIOBase):
    """The content of Zstandard frames one after the other."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self._ready = raw, memoryview(b"")
        self._frame: Any = None
        self._checksum = False

    def readable(self) -> bool:
        """Yes; io.BufferedReader asks."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill ``target`` with uncompressed bytes and return their number; 0 at the end.

        Raises:
            EOFError, zstandard.ZstdError: the file is cut short or damaged.
            UnreadableFrameError: a dictionary is needed, or the window is too large.
        """
        while not self._ready:
            if self._frame is None and not self._begin():
                return 0
            if self._frame is not None:
                self._ready = memoryview(self._block())
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _begin(self) -> bool:
        """Go over the header of the next frame; False at the end of the file."""
        import zstandard

        magic = self._raw.read(4)
        if not magic:
            return False
        number = int.from_bytes(magic, "little")
        if len(magic) == 4 and number & ~15 == SKIPPED:
            left = int.from_bytes(self._exactly(4), "little")
            while left:
                left -= len(self._exactly(min(left, AT_ONCE)))
            return True
        if number != MAGIC:
            raise zstandard.ZstdError("no zstandard frame begins where one should")
        header = self._header(magic)
        if header.dictionary:
            raise UnreadableFrameError(
                f"is compressed with a dictionary (number {header.dictionary}), which is not in the file. "
                "Write it anew: zstd -d -D DICTIONARY --stdout FILE | zstd -o NEW.zst"
            )
        if header.window > LARGEST_WINDOW:
            raise UnreadableFrameError(
                f"needs {header.window:,} bytes of memory to unpack; at most {LARGEST_WINDOW:,} (zstd --long=31) are "
                "given"
            )
        self._frame = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj()
        self._checksum = header.checksum
        self._ready = memoryview(self._frame.decompress(header.content))
        return True

    def _header(self, magic: bytes) -> Header:
        flags = self._exactly(1)
        single = flags[0] >> 5 & 1
        window = self._exactly(1 - single)
        dictionary = self._exactly((0, 1, 2, 4)[flags[0] & 3])
        size = self._exactly((single, 2, 4, 8)[flags[0] >> 6])
        if single:
            needed = int.from_bytes(size, "little") + (256 if len(size) == 2 else 0)
        else:
            base = 1 << (10 + (window[0] >> 3))
            needed = base + base // 8 * (window[0] & 7)
        return Header(
            magic + flags + window + dictionary + size,
            needed,
            int.from_bytes(dictionary, "little"),
            bool(flags[0] >> 2 & 1),
        )

    def _block(self) -> bytes:
        """The content of the next block."""
        import zstandard

        head = self._exactly(3)
        number = int.from_bytes(head, "little")
        last, kind, size = number & 1, number >> 1 & 3, number >> 3
        if size > LARGEST_BLOCK:
            raise zstandard.ZstdError(f"a block of {size:,} bytes")
        body = self._exactly(1 if kind == RLE else size)
        end = self._exactly(4) if last and self._checksum else b""
        found: bytes = self._frame.decompress(head + body + end)
        if last:
            if not self._frame.eof:
                raise zstandard.ZstdError("the last block of a frame does not end it")
            self._frame = None
        return found

    def _exactly(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        found = self._raw.read(count)
        while len(found) < count:
            more = self._raw.read(count - len(found))
            if not more:
                raise EOFError("the file ends inside a zstandard frame")
            found += more
        return found
