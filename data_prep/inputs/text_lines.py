"""The lines of word lists and dictionaries: UTF-8, any line end, and a list of what could not be read.

"\\ufeff北京\\r# note\\r\\n\\xff\\n上海"  ->  (1, "北京"), (4, "上海")      malformed: ["f.txt:3: not UTF-8 (byte 0 of
                                                                            the line)"]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from data_prep.inputs.streams import open_bytes

BLOCK_BYTES = 1 << 22
LONGEST_LINE = 1 << 24
SHOWN_ERRORS = 5
AT_LINE = re.compile(r":[0-9]+: ")


def lines_of(path: str, malformed: list[str], *, what: str, comments: bool = False) -> Iterator[tuple[int, str]]:
    """Numbered lines of a file, without empty ones and (unless wanted) comments; lines that are not UTF-8 are added to
    ``malformed``.

    Raises:
        FileNotFoundError: there is no such file; ``what`` says what was looked for.
        ValueError: its compressed data is damaged, or a line has no end.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what} {path}: no such file (looked from {Path.cwd()})")
    number = 0
    with open_bytes(Path(path)) as stream:
        while block := stream.read(BLOCK_BYTES):
            rest = stream.readline(LONGEST_LINE) if not block.endswith(b"\n") else b""
            if len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
                raise ValueError(
                    f"{what} {path}: line {number + block.count(bytes([10])) + 1} has more than {LONGEST_LINE:,} "
                    "bytes; this is no list of lines"
                )
            block = (block + rest).removesuffix(b"\n").removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            if number == 0:
                block = block.removeprefix(b"\xef\xbb\xbf")
            try:
                decoded: Sequence[str | bytes] = block.decode().split("\n")
            except UnicodeDecodeError:
                decoded = block.split(b"\n")
            for line in decoded:
                number += 1
                if isinstance(line, bytes):
                    if line.startswith(b"#") and not comments:
                        continue
                    try:
                        line = line.decode()
                    except UnicodeDecodeError as error:
                        malformed.append(f"{path}:{number}: not UTF-8 (byte {error.start} of the line)")
                        continue
                if line and (comments or line[0] != "#") and not line.isspace():
                    yield number, line


def refusal(what: str, malformed: Sequence[str], remedy: str) -> ValueError:
    """The error that shows the first malformed lines of each file, counts the rest and says what to do."""
    shown: list[str] = []
    for path, group in groupby(
        malformed, key=lambda line: line[: match.start() if (match := AT_LINE.search(line)) else 0]
    ):
        lines = list(group)
        more = (
            [f"... and {len(lines) - SHOWN_ERRORS} more{f' in {path}' if path else ''}"]
            if len(lines) > SHOWN_ERRORS
            else []
        )
        shown += [*lines[:SHOWN_ERRORS], *more]
    return ValueError(f"{what} with malformed lines:\n  " + "\n  ".join(shown) + f"\n{remedy}")
