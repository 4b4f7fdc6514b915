"""Text in other encodings as a stream of UTF-8, and a guess at the encoding of what is not UTF-8.

    b"\\xb1\\xb1\\xbe\\xa9" (北京 in GB18030)  --Transcoded-->  b"\\xe5\\x8c\\x97\\xe4\\xba\\xac"
        --likely_encoding-->  "gb18030"

Everything behind the stream counts bytes of UTF-8: offsets, slices, hashes. A sequence of bytes that the encoding does
not know becomes ``BAD``, which no UTF-8 decoder takes: so the one document it stands in is set aside, and not the file.
"""

from __future__ import annotations

import codecs
import io
from typing import IO, Any

from data_prep.code_points import HAN

ENCODINGS = {
    "utf-8": "utf-8",
    "gb18030": "gb18030",
    "big5": "cp950",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
}
"""The names in a configuration, and the codec behind each: GB18030 holds GBK and GB2312; Big5 is read as Windows writes
it."""
BAD = "\udcff"
BLOCK, PROBED = 1 << 16, 1 << 16
FEWEST_CHARACTERS = 16
"""Valid UTF-8 of so many characters beyond ASCII is UTF-8."""
SURE, MOSTLY, FEWEST_PAIRS = 0.7, 0.6, 4
"""Share of usual characters from which an encoding is named, share of ASCII in ASCII text, characters without which
nothing is named."""
FREQUENT = {"gb18030": (0xB0, 0xD7, 0xA1), "big5": (0xA4, 0xC6, 0x40)}
"""First and last leading byte of the frequent Han characters, and the least byte that follows."""

codecs.register_error("kmask-bad", lambda error: (BAD, getattr(error, "end", 0)))


class Transcoded(io.RawIOBase):
    """UTF-8 from an open file in another encoding."""

    def __init__(self, raw: IO[bytes], encoding: str, name: object) -> None:
        """``encoding`` is one of ENCODINGS, ``name`` what the file is called in messages."""
        self._raw, self._encoding, self._name = raw, encoding, name
        self._decoder = codecs.getincrementaldecoder(ENCODINGS[encoding])("kmask-bad")
        self._ready = memoryview(b"")
        self._begun = self._ended = False

    def readable(self) -> bool:
        """Yes; io.BufferedReader asks."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill ``target`` with UTF-8 and return the number of bytes; 0 at the end.

        Raises:
            ValueError: the file is UTF-8 already.
        """
        while not self._ready and not self._ended:
            block = self._raw.read(BLOCK)
            if not self._begun and is_utf8(block):
                raise ValueError(
                    f"{self._name} is UTF-8, not {self._encoding}. Leave `encoding` out, or give such files an entry "
                    "of their own."
                )
            self._begun, self._ended = True, not block
            self._ready = memoryview(self._decoder.decode(block, final=not block).encode("utf-8", "surrogatepass"))
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def is_utf8(block: bytes) -> bool:
    """Is the beginning of a file surely UTF-8, by its mark or by what it holds beyond ASCII?"""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(block)
    except UnicodeDecodeError:
        return False
    return block.startswith(codecs.BOM_UTF8) or sum(not character.isascii() for character in text) >= FEWEST_CHARACTERS


def likely_encoding(raw: bytes) -> str:
    """What text that is not UTF-8 looks like: `gb18030`, `big5`, `utf-16`, or nothing.

    GB2312 and Big5 both begin with a block of frequent characters; text in one, read as the other, falls outside that
    block.
    """
    probe = raw[:PROBED]
    if probe.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _is_utf16(probe):
        return "utf-16"
    texts = {name: text for name in FREQUENT if (text := _decoded(probe, name))}
    shares = {name: _frequent_share(probe, name) for name in texts}
    best = max(shares, key=shares.__getitem__, default="")
    # Rare characters (traditional ones in GBK): nearly only Han, and impossible in the other encoding.
    return best if best and (shares[best] >= SURE or (len(texts) == 1 and _han_share(texts[best]) >= SURE)) else ""


def _is_utf16(probe: bytes) -> bool:
    """Is one half of the bytes zeros (of ASCII) and what Han characters and their punctuation begin with, and the other
    half no ASCII text?"""
    for high, low in ((probe[1::2], probe[::2]), (probe[::2], probe[1::2])):
        usual = sum(byte == 0 or 0x4E <= byte <= 0x9F or byte in (0x30, 0xFF) for byte in high)
        ascii_text = sum(32 <= byte < 127 for byte in low) > MOSTLY * len(low) and high.count(0) * 20 < len(high)
        if len(high) >= FEWEST_PAIRS and usual >= SURE * len(high) and not ascii_text:
            return True
    return False


def _decoded(probe: bytes, name: str) -> str:
    """The text when it is read in an encoding (its end may be cut), empty where it cannot be."""
    try:
        return codecs.getincrementaldecoder(ENCODINGS[name])().decode(probe)
    except UnicodeDecodeError:
        return ""


def _han_share(text: str) -> float:
    """Share of Han characters and their punctuation beyond ASCII; 0 where nearly all is ASCII."""
    beyond = [character for character in text if not character.isascii()]
    han = sum(
        0x3000 <= ord(character) <= 0x303F or 0xFF00 <= ord(character) <= 0xFFEF or HAN.match(character) is not None
        for character in beyond
    )
    return han / len(beyond) if len(beyond) >= max(FEWEST_PAIRS, len(text) // 6) else 0.0


def _frequent_share(probe: bytes, name: str) -> float:
    """Share of frequent Han characters and punctuation among all pairs of bytes, read as GB18030 or Big5; 0 where there
    is hardly a Han character."""
    first, last, least = FREQUENT[name]
    pairs = han = signs = at = 0
    while at + 1 < len(probe):
        lead, trail = probe[at], probe[at + 1]
        if lead >= 0x80:
            pairs += 1
            han += first <= lead <= last and trail >= least
            signs += 0xA1 <= lead <= 0xA3 and trail >= least
        at += 2 if lead >= 0x80 else 1
    return (han + signs) / pairs if han >= FEWEST_PAIRS and han * 2 >= pairs else 0.0
