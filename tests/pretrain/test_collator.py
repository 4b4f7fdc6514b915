"""The collator: whole units hidden and nothing else touched, by keys alone, in every layout and for any number of
workers."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from collating import CLS, FIRST, MASK, PAD, SEP, SIZE, UNK, feature, features, partition, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ROOT
from torch.utils.data import DataLoader

from masking.boundary import boundary_targets
from masking.budget import Budget
from masking.corruption import Corruption
from masking.keyed import hash_key
from masking.strategies.ernie1 import Ernie1, KnowledgeStage
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit
from pretrain.collating.collator import KnowledgeMaskingCollator
from pretrain.objectives.span_boundary import SpanBoundary

Made = KnowledgeMaskingCollator
ALL_MASK = Corruption(mask=1.0, random=0.0)


def collator(epoch: int | None = 0, **changes: Any) -> Made:
    made = KnowledgeMaskingCollator(**{"tokenizer": tokenizer(), **changes})
    if epoch is not None:
        made.set_epoch(epoch)
    return made


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    count=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    epoch=st.integers(0, 5),
    side=st.sampled_from(["left", "right"]),
    multiple=st.sampled_from([None, 8]),
)
def test_whole_units_are_hidden_labels_hold_what_stood_there_and_nothing_else_changes(
    count: int, seed: int, epoch: int, side: str, multiple: int | None
) -> None:
    given_features = features(count, seed)
    batch = collator(epoch, tokenizer=tokenizer(padding_side=side), pad_to_multiple_of=multiple)(given_features)
    longest = max(len(item["input_ids"]) for item in given_features)
    width = longest if multiple is None else -(-longest // multiple) * multiple
    assert {name: tuple(value.shape) for name, value in batch.items()} == dict.fromkeys(
        ("input_ids", "labels", "attention_mask", "token_type_ids"), (count, width)
    )
    for row, item in enumerate(given_features):
        ids = np.array(item["input_ids"])
        real = slice(0, len(ids)) if side == "right" else slice(width - len(ids), width)
        assert batch["attention_mask"][row].sum() == len(ids) and batch["attention_mask"][row, real].all()
        padding = np.delete(np.arange(width), np.arange(width)[real])
        assert (batch["input_ids"][row, padding] == PAD).all() and (batch["labels"][row, padding] == -100).all()
        seen, labels = batch["input_ids"][row, real].numpy(), batch["labels"][row, real].numpy()
        hidden = labels != -100
        assert (
            hidden.any() == bool(partition(item))
            and np.array_equal(labels[hidden], ids[hidden])
            and np.array_equal(seen[~hidden], ids[~hidden])
        )
        assert not hidden[np.isin(ids, [CLS, SEP])].any()
        assert not np.isin(seen[hidden & (seen != ids)], [PAD, UNK, CLS, SEP, 5]).any()
        assert {len(set(hidden[start:end].tolist())) for start, end in partition(item)} <= {1}


def test_an_unknown_token_is_text_and_a_special_tokens_mask_overrules_the_ids() -> None:
    item = {"input_ids": [CLS, UNK, UNK, SEP]}
    made = collator(strategy=Subword(), budget=Budget(rate=0.99), corruption=ALL_MASK)
    assert made([item])["labels"].tolist() == [[-100, UNK, UNK, -100]]
    assert made([{**item, "special_tokens_mask": [1, 1, 0, 1]}])["labels"].tolist() == [[-100, -100, UNK, -100]]


def test_a_token_that_is_unknown_and_the_end_at_once_is_special() -> None:
    made = collator(
        tokenizer=tokenizer(unk_token="[SEP]"), strategy=Subword(), budget=Budget(rate=0.99), corruption=ALL_MASK
    )
    assert made([{"input_ids": [CLS, 7, SEP, 8, SEP], "first_token": None, "sentence_ends": None}])[
        "labels"
    ].tolist() == [[-100, 7, -100, 8, -100]]


def test_a_mask_depends_on_seed_epoch_and_feature_only() -> None:
    items = features(8)
    whole = collator(3)(items)
    for row, item in enumerate(items):
        alone = collator(3)([item])
        length = len(item["input_ids"])
        assert torch.equal(whole["input_ids"][row, :length], alone["input_ids"][0]) and torch.equal(
            whole["labels"][row, :length], alone["labels"][0]
        )
    assert equal(collator(3)(items), whole)
    assert not torch.equal(collator(4)(items)["labels"], whole["labels"])
    assert not torch.equal(collator(3, seed=1)(items)["labels"], whole["labels"])


def test_a_feature_without_an_id_is_known_by_its_tokens() -> None:
    item = {name: value for name, value in feature(5, 50).items() if name != "id"}
    first, second = collator()([item, item])["labels"]
    assert torch.equal(first, second)
    assert torch.equal(first, collator()([{**item, "units": dict(item["units"])}])["labels"][0])
    parts = [{**item, "id": "one", "first_token": place} for place in (0, 50)]
    first, second = collator()(parts)["labels"]
    assert not torch.equal(first, second)


def test_twenty_epochs_hide_twenty_different_things_and_all_of_the_text() -> None:
    item, made = feature(1, 60), collator()
    seen = []
    for epoch in range(20):
        made.set_epoch(epoch)
        seen.append(tuple((made([item])["labels"][0] != -100).tolist()))
    assert len(set(seen)) == 20


def test_without_an_epoch_every_call_is_new_and_follows_the_generator_of_torch() -> None:
    items, made = features(4), collator(None)
    torch.manual_seed(0)
    first, second = made(items), made(items)
    torch.manual_seed(0)
    assert not torch.equal(first["labels"], second["labels"])
    assert equal(collator(None)(items), first)


@pytest.mark.parametrize("changes", [{}, {"span_boundary": True}], ids=["plain", "span boundary"])
def test_a_flattened_batch_holds_what_the_padded_one_holds(changes: dict[str, Any]) -> None:
    items = features(7)
    padded = collator(**changes)(items)
    flat = collator(flatten=True, return_flash_attn_kwargs=True, **changes)(items)
    real = padded["attention_mask"].bool()
    for name in ("input_ids", "labels", "token_type_ids"):
        assert flat[name].shape == (1, int(real.sum())) and torch.equal(flat[name][0], padded[name][real])
    lengths = real.sum(1).tolist()
    assert flat["position_ids"].tolist() == [[place for length in lengths for place in range(length)]]
    assert flat["cu_seq_lens_q"].tolist() == flat["cu_seq_lens_k"].tolist() == np.cumsum([0, *lengths]).tolist()
    assert flat["cu_seq_lens_q"].dtype == torch.int32 and flat["max_length_q"] == flat["max_length_k"] == max(lengths)
    assert "attention_mask" not in flat
    if changes:
        kept = padded["span_boundary_labels"] != -100
        begin = flat["cu_seq_lens_q"][:-1].long()[:, None]
        for name, moved in (("left", begin), ("right", begin), ("offset", 0), ("labels", 0)):
            assert torch.equal((padded[f"span_boundary_{name}"] + moved)[kept], flat[f"span_boundary_{name}"][0])
    assert collator(flatten=True, position_ids_start=2)(items)["position_ids"].min() == 2


def slow_boundaries(
    item: dict[str, Any], labels: list[int], longest: int, special: bool
) -> list[tuple[int, int, int, int]]:
    """(left, right, offset, token) of every hidden run of a sample."""
    ids, found, token = item["input_ids"], [], 0
    while token < len(ids):
        if labels[token] == -100:
            token += 1
            continue
        end = token
        while labels[end] != -100:
            end += 1
        if special or (ids[token - 1] not in (CLS, SEP) and ids[end] not in (CLS, SEP)):
            found += [
                (token - 1, end, place - token + 1, ids[place]) for place in range(token, min(end, token + longest))
            ]
        token = end
    return found


@pytest.mark.parametrize(("longest", "special"), [(20, False), (2, False), (20, True)])
def test_span_boundary_tensors_equal_a_slow_loop(longest: int, special: bool) -> None:
    items = features(12, seed=3)
    batch = collator(span_boundary=SpanBoundary(max_length=longest, special_boundaries=special))(items)
    names = [f"span_boundary_{name}" for name in ("left", "right", "offset", "labels")]
    total = 0
    for row, item in enumerate(items):
        expected = slow_boundaries(item, batch["labels"][row].tolist(), longest, special)
        found = list(zip(*(batch[name][row].tolist() for name in names), strict=True))
        assert found[: len(expected)] == expected and set(found[len(expected) :]) <= {(0, 0, 1, -100)}
        total = max(total, len(expected))
    assert batch[names[0]].shape == (12, total) and total > 2


def test_span_boundaries_with_padding_on_the_left_point_at_the_same_tokens() -> None:
    items = features(6, seed=4)
    right, left = (
        collator(span_boundary=True, tokenizer=tokenizer(padding_side=side))(items) for side in ("right", "left")
    )
    kept = right["span_boundary_labels"] != -100
    for name in ("left", "right"):
        found = [batch["input_ids"].gather(1, batch[f"span_boundary_{name}"])[kept].tolist() for batch in (right, left)]
        assert found[0] == found[1] and not set(found[0]) & {PAD, CLS, SEP}
    assert np.array_equal(
        boundary_targets((packed := collator().packed(items)).spans, packed.units, 20).offset_M,
        right["span_boundary_offset"][kept],
    )


def test_the_key_is_a_hash_of_seed_epoch_identity_and_place() -> None:
    packed = collator(7, seed=3).packed([feature(1, 20)])
    assert packed.keys_S.tolist() == [hash_key("collator", 3, 7, "text 1", 0)]


@pytest.mark.parametrize(
    ("workers", "context", "persistent"),
    [(1, "fork", False), (2, "fork", True), (2, "spawn", True), (1, "spawn", False)],
)
def test_any_number_of_workers_makes_the_same_batches_in_every_epoch(
    workers: int, context: str, persistent: bool, request: pytest.FixtureRequest
) -> None:
    if context == "spawn" and persistent:
        request.getfixturevalue("spawned_workers")
    items, made = features(24), collator(None)
    alone, many = DataLoader(items, batch_size=4, collate_fn=made), None
    many = DataLoader(
        items,
        batch_size=4,
        collate_fn=made,
        num_workers=workers,
        multiprocessing_context=context,
        persistent_workers=persistent,
    )
    first = None
    for epoch in (0, 1):
        made.set_epoch(epoch)
        expected, found = list(alone), list(many)
        assert len(found) == 6 and all(equal(one, other) for one, other in zip(expected, found, strict=True))
        assert first is None or not torch.equal(first["labels"], found[0]["labels"])
        first = found[0]


def test_other_forms_of_the_same_feature_give_the_same_batch() -> None:
    item = feature(2, 40)
    expected = collator()([item])
    arrays = {level: np.array(pairs).reshape(-1, 2) for level, pairs in item["units"].items()}
    structs = {
        f"units_{level}": [{"start": start, "length": end - start, "label": 0} for start, end in pairs]
        for level, pairs in item["units"].items()
    }
    columns = {
        f"units_{level}": {"start": [start for start, _ in pairs], "length": [end - start for start, end in pairs]}
        for level, pairs in item["units"].items()
    }
    plain = {"id": item["id"], "input_ids": item["input_ids"]}
    padded = {
        "input_ids": [*item["input_ids"], PAD, PAD],
        "attention_mask": [1] * 40 + [0, 0],
        "token_type_ids": [0] * 42,
        "special_tokens_mask": [0] * 42,
    }
    padded["special_tokens_mask"] = [int(number in (PAD, CLS, SEP)) for number in padded["input_ids"]]
    for other in (
        {**item, "input_ids": np.array(item["input_ids"], np.uint16), "units": arrays},
        {
            **item,
            "input_ids": torch.tensor(item["input_ids"]),
            "units": {level: torch.from_numpy(pairs) for level, pairs in arrays.items()},
        },
        {**item, "units": {level: pairs[::-1] for level, pairs in item["units"].items()}},
        {**plain, **structs},
        {**plain, **columns},
        {**item, **padded},
    ):
        assert equal(collator()([other]), expected)


def test_segments_are_kept_and_left_out_where_the_model_reads_none() -> None:
    item = feature(2, 10, token_type_ids=[0] * 5 + [1] * 5)
    assert collator()([item])["token_type_ids"].tolist() == [[0] * 5 + [1] * 5]
    assert "token_type_ids" not in collator(tokenizer=tokenizer(model_input_names=["input_ids", "attention_mask"]))(
        [item]
    )


def test_one_list_of_units_is_the_only_level_there_is() -> None:
    item = feature(3, 50)
    one = {**item, "units": item["units"]["word"]}
    expected = collator(strategy=WholeUnit(units=["word"]))([{**item, "units": {"word": item["units"]["word"]}}])
    assert equal(collator(strategy=WholeUnit(units=["word"]))([one]), expected)
    assert equal(collator(strategy=WholeUnit(units=["term"]))([one]), expected)
    assert equal(collator()([one]), expected)
    assert equal(collator()([{**item, "units": {"word": item["units"]["word"], "entity": None}}]), expected)


def test_progress_reaches_strategies_that_change_along_training() -> None:
    stages = [KnowledgeStage(until=0.5, units=[]), KnowledgeStage(until=1.0, units=["word"])]
    made = collator(strategy=Ernie1(stages=stages), budget=Budget(rate=0.5, rule="bernoulli"), corruption=ALL_MASK)
    item = {"input_ids": [CLS, *range(FIRST, FIRST + 100), SEP], "units": {"word": [(1, 101)]}}
    for progress, sizes in ((0.2, range(20, 80)), (0.7, (0, 100))):
        counts = []
        for epoch in range(8):
            made.set_epoch(epoch, progress)
            counts.append(int((made([item])["input_ids"] == MASK).sum()))
        assert set(counts) <= set(sizes)


def test_numpy_tensors_on_request() -> None:
    items = features(3)
    found = collator()(items, return_tensors="np")
    assert all(np.array_equal(found[name], value.numpy()) for name, value in collator()(items).items())
    assert isinstance(collator(return_tensors="np")(items)["labels"], np.ndarray)


def test_the_callback_tells_the_epochs_of_a_trainer_and_of_one_that_goes_on() -> None:
    made = collator(None)
    callback = made.callback()
    for begun, expected in ((0, [0, 1, 2]), (1.5, [1, 2])):
        state = SimpleNamespace(epoch=begun, num_train_epochs=4)
        callback.on_train_begin(None, state, None)
        for epoch in expected:
            callback.on_epoch_begin(None, state, None)
            assert made._clock.tolist() == [epoch, epoch / 4]


def test_it_is_imported_without_deepspeed_and_without_the_network() -> None:
    code = (
        "import socket, sys\n"
        "sys.modules['deepspeed'] = None\n"
        "socket.socket.connect = None\n"
        "sys.path.insert(0, 'tests/pretrain')\n"
        "import collating, pretrain.collating.collator\n"
        "made = pretrain.collating.collator.KnowledgeMaskingCollator(tokenizer=collating.tokenizer())\n"
        "print(len(made(collating.features(3))))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0 and run.stdout.strip() == "4", run.stderr


BAD: dict[str, tuple[Any, str]] = {
    "outside": (
        {"units": {"word": [(1, 3), (5, 11)]}},
        r"feature 1 of the batch \(id 'bad'\): unit \[5, 11\) of level 'word' is empty or leaves the 10 tokens",
    ),
    "negative": ({"units": {"word": [(-2, 3)]}}, r"\(id 'bad'\): unit \[-2, 3\) of level 'word' is empty or leaves"),
    "empty": ({"units": {"word": [(3, 3)]}}, r"unit \[3, 3\) of level 'word' is empty"),
    "overlap": (
        {"units": {"word": [(1, 4), (3, 5)]}},
        r"\(id 'bad'\): units \[1, 4\) and \[3, 5\) of level 'word' overlap",
    ),
    "overlap, unsorted": (
        {"units": {"word": [(3, 5), (1, 4)]}},
        r"units \[1, 4\) and \[3, 5\) of level 'word' overlap",
    ),
    "special": (
        {"units": {"word": [(0, 2)]}},
        r"\(id 'bad'\): unit \[0, 2\) of level 'word' contains the special token at 0",
    ),
    "special inside": (
        {"input_ids": [CLS, 7, 8, SEP, 9, 10, 11, 12, 13, SEP], "units": {"word": [(2, 6)]}},
        r"unit \[2, 6\) .* special token at 3",
    ),
    "triples": ({"units": {"word": [(1, 2, 3)]}}, r"\(id 'bad'\): the units of level 'word' must be pairs"),
    "ragged": ({"units": {"word": [(1, 2), (3,)]}}, "must be pairs"),
    "floats": ({"units": {"word": [(1.0, 2.5)]}}, "must be pairs"),
    "a number": ({"units": {"word": 5}}, r"\(id 'bad'\): the units of level 'word' must be pairs"),
    "numbers": ({"units": {"word": [1, 2]}}, "must be pairs"),
    "no length": ({"units": {"word": [{"start": 1}]}}, "must be pairs"),
    "too large": ({"units": {"word": [(1, 2**70)]}}, "must be pairs"),
    "units are a number": ({"units": 5}, "must be pairs"),
    "texts": ({"units": {"word": ["ab"]}}, "must be pairs"),
    "level": (
        {"units": {"wrod": [(1, 2)]}},
        r"\(id 'bad'\): unknown level 'wrod' in `units`; known are word, phrase, entity",
    ),
    "no level": ({"units": {}}, r"\(id 'bad'\) has no units of level 'entity', which the strategy hides; it has none"),
    "no units": ({"units": None}, r"\(id 'bad'\) has no `units`, .* remove_unused_columns=False"),
    "ids": (
        {"input_ids": [CLS, 7, SIZE, *[8] * 6, SEP]},
        rf"\(id 'bad'\): token id {SIZE} is not in the tokenizer's vocabulary, which ends at {SIZE - 1}",
    ),
    "negative ids": ({"input_ids": [CLS, -1, *[8] * 7, SEP]}, "token id -1 is not in"),
    "no ids": ({"input_ids": []}, r"\(id 'bad'\) has 0 tokens; 1 to max_length=64 are allowed"),
    "too long": (
        {"input_ids": [CLS, *[7] * 70, SEP]},
        r"\(id 'bad'\) has 72 tokens; 1 to max_length=64 are allowed: truncate",
    ),
    "words": ({"input_ids": ["a", "b"]}, r"\(id 'bad'\): `input_ids` must be a list of whole numbers"),
    "nested": ({"input_ids": [[CLS, 7, SEP]]}, "`input_ids` must be a list of whole numbers"),
    "special mask": ({"special_tokens_mask": [1, 0]}, r"\(id 'bad'\): 10 `input_ids`, but 2 in `special_tokens_mask`"),
    "padding": ({"attention_mask": [0] + [1] * 9}, r"`attention_mask` is 0 before its last 1"),
    "sentences": (
        {"sentence_ends": [4, 4, 10]},
        r"\(id 'bad'\): `sentence_ends` must rise from 1 or more to at most its 10 tokens",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_feature_that_cannot_be_used_is_named_with_what_is_wrong(name: str) -> None:
    changes, message = BAD[name]
    bad = {"id": "bad", "input_ids": [CLS, *range(7, 15), SEP], "units": {"word": [(1, 3)]}, **changes}
    with pytest.raises(ValueError, match=message):
        collator(max_length=64)([feature(1, 30), bad])


def test_features_that_lost_their_columns_and_no_features_at_all_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"feature 0 of the batch has neither `input_ids` nor `token_ids`, only text .*remove_unused_columns=False",
    ):
        collator()([{"text": "a"}])
    with pytest.raises(ValueError, match="feature 0 of the batch is a list; a mapping"):
        collator()([[1, 2]])
    with pytest.raises(ValueError, match="a batch without features"):
        collator()([])


def test_a_level_that_the_strategy_hides_must_be_there() -> None:
    item = {"input_ids": [CLS, 7, 8, SEP], "units": {"word": [(1, 3)]}}
    with pytest.raises(
        ValueError,
        match=r"feature 0 of the batch has no units of level 'entity', which the strategy hides; it has word\. Give an empty list",
    ):
        collator(strategy=WholeUnit())([item])
    with pytest.raises(ValueError, match="`units` is one list, but the strategy hides levels entity, phrase, word"):
        collator(strategy=WholeUnit())([{**item, "units": [(1, 3)]}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer": partial(tokenizer, mask_token=None)}, "tokenizer: it has no mask token"),
        ({"tokenizer": partial(tokenizer, pad_token=None)}, "tokenizer: it has no padding token"),
        ({"strategy": {"kind": "ngram"}}, r"strategy: \{'kind': 'ngram'\} is no Strategy object"),
        ({"budget": 0.15}, "budget: 0.15 is no Budget object"),
        ({"budget": Budget(row_targets=5)}, "budget: row_targets makes a mask depend on what shares its batch"),
        ({"max_length": 2}, "max_length: 2 leaves no room"),
        (
            {"flatten": True, "pad_to_multiple_of": 8},
            "pad_to_multiple_of: 8 must be at least 1, and flattened batches are not padded",
        ),
        ({"return_flash_attn_kwargs": True}, "return_flash_attn_kwargs: only flattened"),
        ({"return_tensors": "tf"}, "return_tensors: 'tf' is not one of pt, np"),
        ({"corruption": Corruption(pool="corpus")}, r"corruption: pool: `corpus` needs .* prepared=FOLDER"),
        (
            {"corruption": Corruption(mask=0.0, random=0.1, similar=0.8)},
            r"corruption: similar_words: .* replacements=Replacements",
        ),
    ],
)
def test_settings_without_a_meaning_are_refused_at_once(changes: dict[str, Any], message: str) -> None:
    made = {name: value() if isinstance(value, partial) else value for name, value in changes.items()}
    with pytest.raises(ValueError, match=message):
        collator(**made)


def test_weights_that_nobody_counted_are_refused_at_once() -> None:
    from masking.strategies.salient import Salient

    with pytest.raises(
        ValueError,
        match=r"strategy: it weighs units of level 'entity' by how rare they are, which nobody counted\. Give the collator prepared",
    ):
        collator(strategy=Salient())


def test_an_epoch_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="epoch: -1 must be 0 or more"):
        collator().set_epoch(-1)
