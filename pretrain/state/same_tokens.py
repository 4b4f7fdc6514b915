"""Does an exported tokenizer cut text as the run's own does? Every runtime's way is asked about the same lines.

lines_like(tokens, 10_000)           ->  lines of every script, digits, punctuation, emoji, control characters and
                                         tokens of the vocabulary itself; always the same
compare(source, folder, lines)       ->  {"AutoTokenizer": 10000, "vocab.txt alone": 1000, ...}, or an error
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.encoding import Tokenizer
from pretrain.state.verifying import quiet

LINES = 10_000
OLD_LINES = 1_000
"""For the ways of older runtimes, one of which is in Python."""
OTHERS = (
    *(
        "京",
        "北",
        "日本語の",
        "カタカナ",
        "한국어",
        "العربية",
        "עברית",
        "हिन्दी",
        "ไทย",
        "Ελλάς",
        "Москва",
        "ﬁ",
        "ß",
        "İ",
        "ı",
    ),
    *(
        "é",
        "e\u0301",
        "ñ",
        "Ａ",
        "１",
        "½",
        "①",
        "²",
        "𠀀",
        "㐀",
        "豈",
        "々",
        "〇",
        "0",
        "1234567",
        "3.14",
        "1,000",
        "20%",
    ),
    *(
        "，",
        "。",
        "！",
        "？",
        "「",
        "」",
        "“",
        "”",
        "…",
        "—",
        "·",
        "~",
        "_",
        "'s",
        "don't",
        "a-b",
        "...",
        "--",
        "$",
        "€",
        "`",
        "^",
    ),
    *(
        "http://a.b/c?d=e&f",
        "#x",
        "@me",
        "😀",
        "👩‍🚀",
        "🇨🇳",
        "❤️",
        "\u200b",
        "\u200d",
        "\u00ad",
        "\ufeff",
        "\ufffd",
        "\x07",
    ),
    *("\x00", "\x7f", "\x85", "\t", "\n", "\r\n", "\xa0", "\u2028", "\u3000", "\U000e0001", "\ue000"),
    *("[MASK]", "[UNK]", "[PAD]", "[SEP]", "[X]", "##a", "a" * 101, "İstanbul", "ﷺ", "Å", "A\u030a"),
)
"""What vocabularies have seldom, and what cleaning, lower-casing and accents do something to."""
PIECES = 4
"""In a line."""


def lines_like(tokens: Sequence[str], count: int) -> list[str]:
    """``count`` lines, a third of whose pieces are OTHERS and the rest tokens."""
    draw = random.Random(1)
    known = [token.removeprefix("##") for token in tokens if token]
    pieces = draw.choices(known, k=PIECES * count)
    for index in draw.sample(range(len(pieces)), len(pieces) // 3):
        pieces[index] = draw.choice(OTHERS)
    gaps = draw.choices(("", " "), k=len(pieces))
    return [
        "".join(gap + piece for gap, piece in zip(gaps[at : at + PIECES], pieces[at : at + PIECES], strict=True))
        for at in range(0, len(pieces), PIECES)
    ]


def compare(source: Path, folder: Path, lines: Sequence[str]) -> dict[str, int]:
    """Lines that each way of loading an exported tokenizer cuts exactly as tokenizer.json of ``source``.

    Raises:
        ValueError: one cuts a line otherwise, or vocab.txt lists other tokens; names the first.
    """
    from tokenizers import Tokenizer as Backend
    from transformers import AutoTokenizer

    backend = Backend.from_file(str(source / "tokenizer.json"))
    backend.no_truncation()
    backend.no_padding()
    expected = [item.ids for item in backend.encode_batch_fast(list(lines))]
    with quiet():
        found = {"AutoTokenizer": _ids(AutoTokenizer.from_pretrained(folder), lines)}
        if (folder / "vocab.txt").is_file():
            listed = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
            if listed != Tokenizer(folder=source).tokens:
                raise ValueError("export refused: vocab.txt lists other tokens than tokenizer.json")
            found |= _without_rules(folder, lines[:OLD_LINES])
    for name, ids in found.items():
        wrong = next((at for at, one in enumerate(ids) if one != expected[at]), None)
        if wrong is not None:
            raise ValueError(
                f"export refused: {name} cuts {lines[wrong]!r} into {ids[wrong]}, the run's tokenizer into "
                f"{expected[wrong]}"
            )
    return {name: len(ids) for name, ids in found.items()}


def _without_rules(folder: Path, lines: Sequence[str]) -> dict[str, list[list[int]]]:
    """What runtimes give that know vocab.txt and tokenizer_config.json, not tokenizer.json."""
    import transformers

    slow = getattr(transformers, "BertTokenizerLegacy", None)
    with tempfile.TemporaryDirectory() as name:
        for file in ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json"):
            shutil.copyfile(folder / file, Path(name) / file)
        found = {"vocab.txt alone": _ids(transformers.BertTokenizer.from_pretrained(name), lines)}
        if slow is not None:
            tokenizer = slow.from_pretrained(name)
            found["BertTokenizer in Python"] = [tokenizer.encode(line) for line in lines]
        return found


def _ids(tokenizer: Any, lines: Sequence[str]) -> list[list[int]]:
    ids: list[list[int]] = tokenizer(list(lines), return_attention_mask=False, return_token_type_ids=False)["input_ids"]
    return ids
