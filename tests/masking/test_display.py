"""A masked sample as pieces to draw."""

from __future__ import annotations

import numpy as np
from toy_samples import Toy, lay_out

from masking.display import ACTIONS, Piece, pieces
from masking.spans import Spans

TOKENS = ["[CLS]", "他", "在", "北", "京", "大", "学", "[SEP]"]


def drawn(start: int = 0, end: int = 8) -> list[Piece]:
    """The entity 北京大学 hidden, its first token masked, then random, kept, masked; 他 visible."""
    units = lay_out([Toy(length=8, levels={"entity": [(3, 7)], "word": [(1, 3)]})])
    unit_end_T, kind_T = units.partition(["entity", "word"])
    spans = Spans(*(np.array([value], np.int32) for value in (0, 3, 7)))
    seen = ["[CLS]", "他", "在", "[MASK]", "水", "大", "[MASK]", "[SEP]"]
    return pieces(TOKENS, seen, unit_end_T, kind_T, spans, {3: 0, 4: 1, 5: 2, 6: 0}, start, end)


def test_hidden_tokens_carry_what_replaced_them_and_how() -> None:
    assert [(piece.token, piece.replaced_by, piece.action) for piece in drawn()[3:7]] == [
        ("北", "[MASK]", "mask"),
        ("京", "水", "random"),
        ("大", "大", "kept"),
        ("学", "[MASK]", "mask"),
    ]
    assert ACTIONS == ("mask", "random", "kept", "similar")


def test_a_similar_word_is_named_so() -> None:
    units = lay_out([Toy(length=8, levels={"entity": [(3, 7)]})])
    unit_end_T, kind_T = units.partition(["entity"])
    spans = Spans(*(np.array([value], np.int32) for value in (0, 3, 7)))
    seen = ["[CLS]", "他", "在", "南", "开", "大", "学", "[SEP]"]
    shown = pieces(TOKENS, seen, unit_end_T, kind_T, spans, dict.fromkeys(range(3, 7), 3), 3, 7)
    assert [(piece.replaced_by, piece.action) for piece in shown] == [(token, "similar") for token in "南开大学"]


def test_visible_tokens_carry_no_replacement() -> None:
    assert [(piece.replaced_by, piece.action) for piece in drawn()[:3]] == [("", "")] * 3


def test_units_of_several_tokens_open_and_close_and_single_tokens_do_not() -> None:
    assert [(piece.opens, piece.closes) for piece in drawn()] == [
        (False, False),
        (True, False),
        (False, True),
        (True, False),
        (False, False),
        (False, False),
        (False, True),
        (False, False),
    ]


def test_kinds_are_named() -> None:
    assert [piece.kind for piece in drawn()] == ["character", "word", "word", *["entity"] * 4, "character"]


def test_a_part_of_the_batch_can_be_drawn() -> None:
    assert drawn(1, 4) == drawn()[1:4]
