"""How texts become samples, and that samples packed without padding are read as each by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.encoding import Tokenizer
from pretrain.evaluation.inputs import encode, flat, groups


@pytest.fixture(scope="module")
def tokenizer(prepared: Path) -> Tokenizer:
    return Tokenizer(folder=prepared / "tokenizer")


def cut_as_bert(first: int, second: int, longest: int) -> tuple[int, int]:
    """The loop of run_classifier.py: one token at a time from the longer text, of equal ones from the second."""
    while first + second > longest - 3:
        if first > second:
            first -= 1
        else:
            second -= 1
    return first, second


@pytest.mark.parametrize("longest", [3, 4, 5, 8, 13, 14])
def test_of_a_pair_the_longer_text_is_cut_as_bert_cuts_it(tokenizer: Tokenizer, longest: int) -> None:
    for first in range(8):
        for second in range(8):
            found = encode(tokenizer, longest, "国" * first, "北" * second)
            kept = cut_as_bert(first, second, longest)
            assert (int((found.part_T == 0).sum()), int((found.part_T == 1).sum())) == kept, (first, second)
            assert len(found.ids_T) == len(found.segments_T) == len(found.characters_T2) == sum(kept) + 3
            assert found.segments_T.tolist() == [0] * (kept[0] + 2) + [1] * (kept[1] + 1)


def test_a_text_keeps_the_places_of_its_tokens(tokenizer: Tokenizer) -> None:
    text = "他在 Beijing 。"
    found = encode(tokenizer, 32, text)
    ids, special = tokenizer.ids_of(text), tokenizer.special_ids
    assert found.ids_T.tolist() == [special["[CLS]"], *ids, special["[SEP]"]]
    pieces = [text[start:end] for start, end in found.characters_T2[1:-1]]
    assert "".join(pieces) == text.replace(" ", "") and pieces[:2] == ["他", "在"]
    assert found.characters_T2[[0, -1]].tolist() == [[-1, -1]] * 2
    assert encode(tokenizer, 5, text).ids_T.tolist() == [special["[CLS]"], *ids[:3], special["[SEP]"]]
    assert encode(tokenizer, 5, "").ids_T.tolist() == [special["[CLS]"], special["[SEP]"]]


@pytest.mark.parametrize(("second", "longest"), [(None, 1), ("北", 2)])
def test_no_room_for_the_special_tokens_is_told(tokenizer: Tokenizer, second: str | None, longest: int) -> None:
    with pytest.raises(ValueError, match=f"longest: {longest}"):
        encode(tokenizer, longest, "国", second)


def test_a_flat_batch_holds_every_sample_from_its_first_position_on() -> None:
    samples = [np.array([2, 5, 3]), np.array([2, 3]), np.array([2, 6, 7, 8, 3])]
    batch = flat(samples, [np.zeros(3, np.int64), np.zeros(2, np.int64), np.array([0, 0, 1, 1, 1])])
    assert batch.input_ids[0].tolist() == [2, 5, 3, 2, 3, 2, 6, 7, 8, 3]
    assert batch.position_ids[0].tolist() == [0, 1, 2, 0, 1, 0, 1, 2, 3, 4]
    assert batch.token_type_ids[0].tolist() == [0] * 7 + [1] * 3
    assert batch.cu_seqlens.tolist() == [0, 3, 5, 10] and batch.cls_positions_S.tolist() == [0, 3, 5]
    assert (batch.max_seqlen, batch.real_tokens, batch.pairs) == (5, 10, 9 + 4 + 25)


@pytest.mark.parametrize("tokens", [1, 7, 20, 1000])
def test_groups_hold_every_sample_once_and_no_more_than_fits(tokens: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 20, 50)
    found = list(groups(lengths.tolist(), tokens))
    assert sorted(np.concatenate(found).tolist()) == list(range(50))
    assert all(len(one) == 1 or lengths[one].sum() <= tokens for one in found)
    order = lengths[np.concatenate(found)]
    assert (order[:-1] >= order[1:]).all()
    assert list(groups([])) == []
