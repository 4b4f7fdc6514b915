"""What is wrong with a sample is told before any compiled loop follows it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.shards import Prepared
from masking.corruption import Replacements
from pretrain.feed.hiding import Masking, Specials
from pretrain.feed.packed import lay_out, pack
from pretrain.feed.samples import Sample
from pretrain.feed.sources import Source
from pretrain.objectives.knowledge_masking import KnowledgeMasking

VOCABULARY = 50
SPECIALS = Specials(
    pad=0,
    cls=2,
    sep=3,
    vocabulary=VOCABULARY,
    replacements=Replacements(mask_id=4, unknown_id=1, ordinary_V=np.arange(5, VOCABULARY), count_V=None),
)
REASON = r"Either its shard is damaged \(`kmask prepare verify FOLDER` tells\), or the objective that built the sample is wrong"


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def sample(name: str, **changes: Any) -> Sample:
    """[CLS] and eight tokens and [SEP], with two sentences, two words and an entity."""
    maskable = np.ones(10, np.bool_)
    maskable[[0, -1]] = False
    values: dict[str, Any] = {
        "token_ids_T": ints(2, *range(10, 18), 3),
        "maskable_T": maskable,
        "segment_ids_T": np.zeros(10, np.int64),
        "units": {"word": (ints(1, 5), ints(3, 7)), "phrase": (ints(), ints()), "entity": (ints(2), ints(6))},
        **{
            "task": "probe",
            "labels": {},
            "key": 7,
            "document_id": name,
            "first_token": 0,
            "sentence_ends_S": ints(4, 9),
        },
    }
    return Sample(**{**values, **changes})


def packed(changed: Sample) -> None:
    """The sample between two good ones, in the second row."""
    pack([[sample("before")], [sample("left"), changed, sample("right")]], 40, Masking(), SPECIALS, 0.0)


def test_good_samples_of_any_shape_are_laid_out() -> None:
    packed(sample("good"))
    packed(sample("no units", units={}, sentence_ends_S=ints()))
    packed(sample("to the edges", units={"word": (ints(0, 9), ints(9, 10))}, sentence_ends_S=ints(1, 10)))
    assert len(lay_out([[], []], 8, 0).samples) == 0
    assert len(lay_out([[], [sample("alone")]], 16, 0, VOCABULARY).samples) == 1


UNITS = {
    "overlap": (ints(1, 2), ints(3, 7)),
    "fall": (ints(5, 1), ints(7, 3)),
    "are empty": (ints(1, 5), ints(1, 7)),
    "are turned round": (ints(3), ints(1)),
    "begin before": (ints(-1, 5), ints(3, 7)),
    "end behind": (ints(1, 5), ints(3, 11)),
    "lie in the next sample": (ints(1, 12), ints(3, 14)),
    "wrap around 32 bits": (ints(1, 1 << 32), ints(3, (1 << 32) + 2)),
    "lie at the end of 64 bits": (ints(1, (1 << 62)), ints(3, (1 << 62) + 1)),
}


@pytest.mark.parametrize("level", ["word", "entity"])
@pytest.mark.parametrize("what", UNITS)
def test_units_that_break_their_promise_are_named_with_document_and_level(what: str, level: str) -> None:
    wrong = sample("文-1", units={"word": (ints(1), ints(2)), level: UNITS[what]})
    with pytest.raises(
        ValueError,
        match=rf"^document '文-1', task 'probe': unit \[.*\) of level '{level}' .* sample of 10 tokens\. {REASON}",
    ):
        packed(wrong)


def test_the_first_unit_at_fault_is_shown_as_it_lies_in_its_sample() -> None:
    with pytest.raises(ValueError, match=r"unit \[4, 8\) of level 'word'"):
        packed(sample("x", units={"word": (ints(1, 4, 5), ints(5, 8, 7))}))


def test_more_starts_than_ends_are_named() -> None:
    with pytest.raises(
        ValueError, match="document 'x', task 'probe': its units of level 'word' do not have as many ends as starts"
    ):
        packed(sample("x", units={"word": (ints(1, 3), ints(2))}))


@pytest.mark.parametrize("ends", [(0, 9), (-3, 9), (4, 11), (4, 1 << 40)])
def test_a_sentence_that_ends_outside_its_sample_is_named(ends: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^document 'x', task 'probe': a sentence ends at -?\d+, outside its sample of 10 tokens\. {REASON}",
    ):
        packed(sample("x", sentence_ends_S=ints(*ends)))


@pytest.mark.parametrize("token", [-1, VOCABULARY, 1 << 40])
def test_an_id_outside_the_vocabulary_is_named(token: int) -> None:
    wrong = sample("x", token_ids_T=ints(2, 10, 11, token, *range(12, 17), 3))
    with pytest.raises(
        ValueError,
        match=rf"^document 'x', task 'probe': token 3 of its sample has the id {token}, the vocabulary has 50\. {REASON}",
    ):
        packed(wrong)


def test_without_a_vocabulary_only_negative_ids_are_refused() -> None:
    rows = [[sample("x", token_ids_T=ints(2, *range(100, 108), 3))]]
    assert lay_out(rows, 16, 0).original_T[1] == 100
    with pytest.raises(ValueError, match=r"has the id -7\. Either"):
        lay_out([[sample("x", token_ids_T=ints(2, *range(100, 107), -7, 3))]], 16, 0)


def test_a_sample_without_tokens_or_with_other_arrays_than_tokens_is_refused() -> None:
    nothing = ints()
    with pytest.raises(ValueError, match=rf"^document 'x', task 'probe': a sample without a token\. {REASON}"):
        packed(
            sample(
                "x",
                token_ids_T=nothing,
                maskable_T=nothing.astype(np.bool_),
                segment_ids_T=nothing,
                units={},
                sentence_ends_S=nothing,
            )
        )
    for changes in ({"maskable_T": np.ones(1, np.bool_)}, {"segment_ids_T": np.zeros(9, np.int64)}):
        with pytest.raises(
            ValueError,
            match=r"^document 'x', task 'probe': 10 tokens, \d+ of them said to be maskable or not, \d+ with a segment",
        ):
            packed(sample("x", **changes))


@pytest.mark.parametrize(
    ("column", "told"), [("units", r"unit \[.*\) of level 'word'"), ("ids", "has the id 65535, the vocabulary has")]
)
def test_a_damaged_value_in_a_shard_of_the_right_shape_stops_at_the_batch_that_reads_it(
    column: str, told: str, prepared: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    opened = Prepared.open(copy)
    shard = opened.shards("train")[0]
    good = shard.token_ids.values if column == "ids" else shard.units["word"].length_U
    bad = good.copy()
    bad[: len(bad) // 2] = 65535 if column == "ids" else 40
    content = shard.path.read_bytes()
    assert content.count(good.tobytes()) == 1
    shard.path.write_bytes(content.replace(good.tobytes(), bad.tobytes()))
    specials = replace(SPECIALS, vocabulary=len(opened.tokenizer.tokens))
    text = Source(name="demo", prepared=opened, split="train", max_tokens=58).read(0)
    built = KnowledgeMasking().build(text, 1, "knowledge_masking", specials)
    with pytest.raises(ValueError, match=rf"^document '{text.document_id}', task 'knowledge_masking': .*{told}"):
        pack([[built]], 64, Masking(), specials, 0.0)
