"""Bytes of a document -> text or an object, or why there is none; what all readers need of it.

b'{"text": "one"}'  --json_object-->  {"text": "one"}           b"\\xff"
                    --decode-->  Rejected("invalid UTF-8", "byte 40: ...")
"""

from __future__ import annotations

import hashlib
from typing import Any

from data_prep.documents import Place, Rejected
from data_prep.inputs.text_encodings import likely_encoding

BOM = b"\xef\xbb\xbf"
INVALID = "invalid UTF-8"
"""Reason of a document that cannot be decoded."""


def decode(raw: bytes, place: Place, remedy: bool = True) -> str | Rejected:
    """UTF-8 text, or a rejection that names the first bad byte and what the text looks like (``remedy``: and how to say
    so)."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return Rejected(place, INVALID, f"byte {place.offset + error.start}: {error.reason}{_guess(raw, remedy)}")
    if "\0" in text and (guess := _guess(raw, remedy)):  # ASCII in UTF-16 is UTF-8 full of zeros
        return Rejected(place, INVALID, f"byte {place.offset + raw.index(0)}: zero{guess}")
    return text


def _guess(raw: bytes, remedy: bool) -> str:
    found = likely_encoding(raw)
    return f"; looks like {found.upper()}{f': set `encoding: {found}`' if remedy else ''}" if found else ""


def json_object(raw: bytes, place: Place) -> dict[str, Any] | Rejected:
    """The JSON object written in ``raw``, or why there is none."""
    import orjson

    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        decoded = decode(raw, place)
        return decoded if isinstance(decoded, Rejected) else Rejected(place, "not JSON", str(error))
    return value if isinstance(value, dict) else Rejected(place, "not a JSON object", f"found {type(value).__name__}")


def stand_in_id(raw: bytes, place: Place, source: str) -> str:
    """An id for a document without one: different for different documents of one source, equal wherever the files
    lie."""
    return f"{source}:{place.line}:{hashlib.blake2b(raw, digest_size=6).hexdigest()}"


def as_text(value: Any) -> str:
    """A metadata value as text; numbers are accepted, anything else counts as absent."""
    return (
        value
        if isinstance(value, str)
        else str(value)
        if isinstance(value, int) and not isinstance(value, bool)
        else ""
    )
