"""JSON objects of a file, with the line on which each begins: one a line, one after another in any layout, or a list.

{"text": "a", "label": 1}
{"text": "b",
 "label": 0}                ->   (1, {...}), (2, {...})
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain.evaluation.readers.lines import text_lines

BLANK = re.compile(r"[ \t\n]*")


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and content of each object.

    Raises:
        ValueError: a value is no JSON, or no object.
    """
    text = "\n".join(line for _, line in text_lines(path))
    decoder, line, seen = json.JSONDecoder(), 1, 0
    place = BLANK.match(text).end()  # type: ignore[union-attr]
    while place < len(text):
        line, seen = line + text.count("\n", seen, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except (json.JSONDecodeError, RecursionError) as error:
            told = f"{error.msg}, line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "nested too deep"
            raise ValueError(f"{path}:{line}: not JSON ({told})") from None
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, dict):
                raise ValueError(f"{path}:{line}: a JSON object is expected, found {type(item).__name__}")
            yield line, item
        place = BLANK.match(text, place).end()  # type: ignore[union-attr]
