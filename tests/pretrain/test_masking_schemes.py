"""Every masking scheme from a configuration to a batch: on real shards, with the tables that it needs, and clear errors
without them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.shards import Prepared
from launch.settings.components import decode, kinds, load
from masking.corruption import Corruption
from masking.strategies import Strategy
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.corpus_counts import rarity, sampled, token_counts
from pretrain.feed.loading import BatchMaker
from pretrain.feed.packed import Packed
from pretrain.feed.sampling import Cursor, MicroBatchSpec, Sampler
from pretrain.feed.sources import Source

WORDS = "北京\t上海\n上海\t北京\n"


def configured(tiny_run: Path, masking: dict[str, Any]) -> Run:
    source = load(tiny_run, [])
    source.value["masking"] = masking
    source.value["tasks"] = {"knowledge_masking": {"kind": "knowledge_masking"}}
    if "shuffle" in masking:
        source.value["tasks"]["order"] = {"kind": "token_order"}
    source.value["stages"] = [{"name": "one", "steps": 40, "tasks": dict.fromkeys(source.value["tasks"], 1)}]
    return decode(Run, source)


def batches(run: Run, count: int, rows: int = 8) -> tuple[BatchMaker, list[Packed]]:
    maker = Corpus(run=run).maker(run.stages[0], "train", run.masking)
    sampler, cursors, found = Sampler(streams=maker.streams, rows_per_step=rows), dict[str, Cursor](), []
    for step in range(count):
        specs, cursors = sampler.step(cursors)
        found.append(maker.packed(MicroBatchSpec(step, specs, step / count)))
    return maker, found


def scheme(kind: str, folder: Path) -> dict[str, Any]:
    if kind == "macbert":
        table = folder / "similar.tsv"
        table.write_text(WORDS, encoding="utf-8")
        return {"kind": kind, "similar_words": str(table)}
    if kind == "mixture":
        return {
            "kind": kind,
            "strategies": [{"kind": "subword"}, {"kind": "whole_unit"}],
            "schedule": [{"until": 1.0, "weights": [1, 1]}],
        }
    return {"kind": kind}


@pytest.mark.parametrize("kind", kinds(Strategy))
def test_every_scheme_runs_from_its_name_alone_and_hides_about_the_rate_of_real_shards(
    kind: str, tiny_run: Path, tmp_path: Path
) -> None:
    """20 batches of about 1,800 maskable tokens each: between 12 and 18 % hidden (macbert counts words, of which it
    hides 15 %)."""
    run = configured(tiny_run, {"strategy": scheme(kind, tmp_path)})
    _, found = batches(run, 20)
    maskable, hidden = (
        sum(int(packed.units.maskable_T.sum()) for packed in found),
        sum(len(packed.hidden.position_M) for packed in found),
    )
    # Samples of 58 tokens at most, so the share of a sample has a standard deviation below .06 and the mean of 700 of
    # them below .003.
    assert 0.12 < hidden / maskable < 0.18
    assert all(packed.units.maskable_T[packed.hidden.position_M].all() for packed in found)
    actions = Counter(np.concatenate([packed.hidden.action_M for packed in found]).tolist())
    assert (0 in actions) == (kind != "macbert") and 1 in actions and 2 in actions


def test_macbert_puts_similar_words_where_it_knows_some_and_never_the_mask(tiny_run: Path, tmp_path: Path) -> None:
    run = configured(tiny_run, {"strategy": scheme("macbert", tmp_path), "budget": {"rate": 0.6, "rule": "units"}})
    assert run.masking.replacement == Corruption(
        mask=0.0, random=0.1, similar=0.8, similar_words=str(tmp_path / "similar.tsv")
    )
    corpus = Corpus(run=run)
    _, found = batches(run, 30)
    ids = {token: index for index, token in enumerate(corpus.tokenizer.tokens)}
    partner = {(ids["北"], ids["京"]): (ids["上"], ids["海"]), (ids["上"], ids["海"]): (ids["北"], ids["京"])}
    replaced = 0
    for packed in found:
        assert not (packed.corrupted_T == corpus.specials.mask).any()
        similar = packed.hidden.position_M[packed.hidden.action_M == 3]
        assert len(similar) % 2 == 0
        for first in similar[::2].tolist():
            assert (
                tuple(packed.corrupted_T[first : first + 2].tolist())
                == partner[tuple(packed.original_T[first : first + 2].tolist())]
            )
            replaced += 1
    assert replaced > 0


def test_macbert_without_a_table_says_how_to_get_one(tiny_run: Path) -> None:
    run = configured(tiny_run, {"strategy": {"kind": "macbert"}})
    with pytest.raises(ValueError, match=r"^similar_words: .*kmask lexicon similar"):
        _ = Corpus(run=run).specials


def test_random_tokens_of_the_corpus_are_those_that_occur_in_it(tiny_run: Path) -> None:
    run = configured(
        tiny_run,
        {
            "strategy": {"kind": "geometric_span"},
            "corruption": {"mask": 0, "random": 1, "per": "span", "pool": "corpus"},
        },
    )
    corpus = Corpus(run=run)
    counts = token_counts(corpus.prepared.values(), len(corpus.tokenizer.tokens))
    _, found = batches(run, 10)
    drawn = np.concatenate([packed.corrupted_T[packed.hidden.position_M] for packed in found])
    assert (counts[drawn] > 0).all()
    assert (counts == 0).sum() > 20  # or the test could not fail


def test_counts_equal_a_walk_over_the_documents(prepared: Path) -> None:
    folder = Prepared.open(prepared)
    tokens: Counter[int] = Counter()
    documents: Counter[tuple[int, ...]] = Counter()
    total = 0
    for shard in folder.shards("train"):
        for document in range(len(shard)):
            ids = shard.token_ids.row(document).tolist()
            tokens.update(ids)
            column = shard.units["entity"]
            first, last = int(column.offsets_D1[document]), int(column.offsets_D1[document + 1])
            pairs = zip(column.start_U[first:last].tolist(), column.length_U[first:last].tolist(), strict=True)
            documents.update({tuple(ids[start : start + length]) for start, length in pairs})
            total += 1
    counts = token_counts([folder], len(folder.tokenizer.tokens))
    assert {index: int(count) for index, count in enumerate(counts) if count} == dict(tokens)
    table = rarity([folder], "entity")
    for words, number in documents.most_common(20) + documents.most_common()[-20:]:
        ids_T = np.array(words, np.int64)
        found = table.idf(ids_T, np.array([0], np.int32), np.array([len(words)], np.int32))
        assert found[0] == pytest.approx(np.log((1 + total) / (1 + number)) + 1, rel=1e-6)
    unknown = table.idf(np.array([2, 3, 2], np.int64), np.array([0], np.int32), np.array([3], np.int32))
    assert unknown[0] == pytest.approx(np.log(1 + total) + 1, rel=1e-6)


def test_large_corpora_are_sampled_from_all_folders_in_turn(prepared: Path) -> None:
    folder = Prepared.open(prepared)
    assert len(folder.shards("train")) > 1
    assert len(list(sampled([folder, folder], 1))) == 1
    first = len(folder.shards("train")[0].token_ids.values)
    assert [shard.path for shard in sampled([folder, folder], first + 1)] == [folder.shards("train")[0].path] * 2


def test_rare_entities_are_hidden_more_often_than_common_ones_when_weighed_by_idf(tiny_run: Path) -> None:
    run = configured(tiny_run, {"strategy": {"kind": "salient", "weight": "idf", "favour": 2.0}})
    table = Corpus(run=run).specials.rarity["entity"]
    _, found = batches(run, 60)
    shares = []
    for packed in found:
        start_U, end_U = packed.units.level("entity")
        chosen = set(packed.spans.start_N.tolist())
        shares += [
            (float(weight), start in chosen)
            for weight, start in zip(table.idf(packed.original_T, start_U, end_U), start_U.tolist(), strict=True)
        ]
    rarest = max(weight for weight, _ in shares)
    rare, common = (
        np.mean([hit for weight, hit in shares if (weight > 0.9 * rarest) == side]) for side in (True, False)
    )
    assert rare > common
    assert common > 0.15  # both are favoured over other units


def test_rare_tokens_are_hidden_more_often_than_common_ones_where_single_tokens_are_salient(tiny_run: Path) -> None:
    strategy = {"kind": "salient", "salient": ["character"], "units": ["character"], "weight": "idf"}
    run = configured(tiny_run, {"strategy": strategy})
    corpus = Corpus(run=run)
    documents: Counter[int] = Counter()
    total = 0
    for folder in corpus.prepared.values():
        for shard in folder.shards("train"):
            for document in range(len(shard)):
                documents.update(set(shard.token_ids.row(document).tolist()))
                total += 1
    table = corpus.specials.rarity["character"]
    ids_T = np.array([token for token, _ in documents.most_common(50)], np.int64)
    place_T = np.arange(len(ids_T), dtype=np.int32)
    wanted = [np.log((1 + total) / (1 + documents[token])) + 1 for token in ids_T.tolist()]
    assert table.idf(ids_T, place_T, place_T + 1).tolist() == pytest.approx(wanted, rel=1e-6)
    _, found = batches(run, 20)
    shares = []
    for packed in found:
        assert (packed.spans.end_N - packed.spans.start_N == 1).all()
        start_U, end_U = packed.units.level("character")
        shares.append(np.stack([table.idf(packed.original_T, start_U, end_U), np.isin(start_U, packed.spans.start_N)]))
    weight, hit = np.concatenate(shares, axis=1)
    rare = weight > np.median(weight)
    assert hit[rare].mean() > 1.1 * hit[~rare].mean()


def test_a_row_holds_no_more_targets_than_allowed_and_what_is_given_up_is_counted(tiny_run: Path) -> None:
    free = configured(tiny_run, {"strategy": {"kind": "whole_unit"}})
    limited = configured(tiny_run, {"strategy": {"kind": "whole_unit"}, "budget": {"row_targets": 34}})
    (_, before), (maker, after) = batches(free, 10), batches(limited, 10)
    given_up = 0
    for full, packed in zip(before, after, strict=True):
        rows = packed.hidden.position_M // packed.row_tokens
        assert np.bincount(rows).max() <= 34
        kept = set(zip(packed.spans.start_N.tolist(), packed.spans.end_N.tolist(), strict=True))
        every = set(zip(full.spans.start_N.tolist(), full.spans.end_N.tolist(), strict=True))
        assert kept <= every and len(every - kept) == packed.given_up
        given_up += packed.given_up
    assert given_up > 0
    specs, _ = Sampler(streams=maker.streams, rows_per_step=8).step({})
    assert maker[MicroBatchSpec(0, specs, 0.0)].given_up_units == after[0].given_up


def test_a_rate_that_falls_is_the_one_of_the_planned_step(tiny_run: Path) -> None:
    """Batches of 16 rows at the beginning, half way and at the end of training: .5, .3 and .1 of the text are hidden,
    +- 0.03."""
    # 16 rows have about 60 samples of 50 tokens; a share of a sample has a standard deviation below .08, their mean of
    # .01: 3 of them (fixed keys: never).
    run = configured(tiny_run, {"strategy": {"kind": "whole_unit"}, "budget": {"rate": 0.5, "final_rate": 0.1}})
    maker = Corpus(run=run).maker(run.stages[0], "train", run.masking)
    specs, _ = Sampler(streams=maker.streams, rows_per_step=16).step({})
    for progress, rate in ((0.0, 0.5), (0.5, 0.3), (1.0, 0.1)):
        packed = maker.packed(MicroBatchSpec(0, specs, progress))
        assert abs(len(packed.hidden.position_M) / packed.units.maskable_T.sum() - rate) < 0.03
        assert packed.spans.tokens == len(packed.hidden.position_M)


def test_a_mixture_may_bring_a_budget_and_a_corruption_for_each_strategy(tiny_run: Path) -> None:
    """MacBERT as published for half of the samples, spans as published for the others: samples without [MASK] and
    samples without similar words."""
    table = tiny_run.parent / "similar.tsv"
    table.write_text(WORDS, encoding="utf-8")
    strategies = [{"kind": "macbert"}, {"kind": "geometric_span"}]
    mixture = {
        "kind": "mixture",
        "strategies": strategies,
        "schedule": [{"until": 1.0, "weights": [1, 1]}],
        "budgets": [{"rule": "units", "rate": 0.4}, {"rule": "cut"}],
        "corruptions": [
            {"mask": 0, "random": 0.1, "similar": 0.8, "similar_words": str(table)},
            {"per": "span", "pool": "corpus"},
        ],
    }
    _, found = batches(configured(tiny_run, {"strategy": mixture}), 10)
    kinds_S: Counter[bool] = Counter()
    for packed in found:
        sample_M = np.searchsorted(packed.sample_start_S, packed.hidden.position_M, "right") - 1
        for sample in range(len(packed.samples)):
            actions = packed.hidden.action_M[sample_M == sample]
            assert not (np.isin(0, actions) and np.isin(3, actions))
            kinds_S[bool(np.isin(0, actions))] += 1
    assert min(kinds_S.values()) > 0.3 * kinds_S.total(), kinds_S


def test_windows_have_the_units_of_one_type_or_language_where_asked(prepared: Path) -> None:
    folder = Prepared.open(prepared)
    source = Source(
        name="test",
        prepared=folder,
        split="train",
        max_tokens=58,
        parts=("entity:ORG", "word:NOTHING", "word@zh", "entity:ORG@zh"),
    )
    total, languages = 0, set()
    for text in (text for windows in source.all_windows() for text in source.texts(windows)):
        column, end = text.shard.units["entity"], text.start + len(text.token_ids_T)
        expected = []
        for place in range(column.offsets_D1[text.document], column.offsets_D1[text.document + 1]):
            first, last = int(column.start_U[place]), int(column.start_U[place]) + int(column.length_U[place])
            if folder.labels[column.label_U[place]].type == "ORG" and text.start <= first and last <= end:
                expected.append((first - text.start, last - text.start))
        assert list(zip(*(side.tolist() for side in text.units["entity:ORG"]), strict=True)) == expected
        assert len(text.units["word:NOTHING"][0]) == 0
        chinese = text.shard.text_of("language", text.document) == "zh"
        assert all(
            np.array_equal(part, whole[: len(whole) * chinese])
            for part, whole in zip(text.units["word@zh"], text.units["word"], strict=True)
        )
        assert list(zip(*(side.tolist() for side in text.units["entity:ORG@zh"]), strict=True)) == (
            expected if chinese else []
        )
        languages.add(chinese)
        total += len(expected)
    assert total > 20 and languages == {True, False}


def test_units_of_one_type_are_hidden_first_and_keep_their_kind(tiny_run: Path) -> None:
    """Only organisations are favoured: of the hidden units nearly all are theirs in samples that have enough; kinds are
    those of plain levels."""
    strategy = {
        "kind": "salient",
        "salient": ["entity:ORG"],
        "units": ["entity:ORG", "entity", "word"],
        "weight": "idf",
        "favour": 1e9,
    }
    _, found = batches(configured(tiny_run, {"strategy": strategy, "budget": {"rule": "units", "rate": 0.05}}), 10)
    _, plain = batches(configured(tiny_run, {"strategy": {"kind": "whole_unit"}}), 10)
    theirs = others = 0
    for packed, usual in zip(found, plain, strict=True):
        start_U, _ = packed.units.level("entity:ORG")
        sample_U = np.searchsorted(packed.sample_start_S, start_U, "right") - 1
        inside = np.isin(packed.spans.sample_N, sample_U)
        theirs += int(np.isin(packed.spans.start_N[inside], start_U).sum())
        others += int(inside.sum())
        assert np.array_equal(packed.kind_T, usual.kind_T)
    assert theirs > 30 and theirs / others > 0.5, (theirs, others)


def test_a_type_that_no_unit_has_is_refused_with_those_there_are(tiny_run: Path) -> None:
    run = configured(tiny_run, {"strategy": {"kind": "whole_unit", "units": ["entity:DATES", "word"]}})
    with pytest.raises(
        ValueError,
        match=r"masking\.strategy hides level 'entity:DATES', but no unit has that type; the types of the data are .*ORG",
    ):
        _ = Corpus(run=run).prepared


def test_shuffled_tokens_are_visible_ones_and_the_task_predicts_what_stood_there(tiny_run: Path) -> None:
    run = configured(tiny_run, {"strategy": {"kind": "whole_unit"}, "shuffle": {"share": 0.1}})
    maker, found = batches(run, 10)
    moved = 0
    for packed in found:
        place_M = packed.shuffled_M
        assert not np.isin(place_M, packed.hidden.position_M).any()
        windows = place_M.reshape(-1, 3)
        assert (np.diff(windows, axis=1) == 1).all()
        assert np.array_equal(np.sort(packed.corrupted_T[windows], 1), np.sort(packed.original_T[windows], 1))
        moved += int((packed.corrupted_T[place_M] != packed.original_T[place_M]).sum())
        targets, count = maker.objectives["order"].targets(packed, "order")
        assert count == len(place_M) and np.array_equal(targets["label"], packed.original_T[place_M])
    assert moved > 0


@pytest.mark.parametrize(
    ("masking", "message"),
    [
        (
            {"strategy": {"kind": "geometric_span"}, "budget": {"rule": "bernoulli"}},
            "the rule 'bernoulli' has no meaning for this strategy",
        ),
        ({"strategy": {"kind": "ngram", "law": "zipf"}}, "'zipf' is not one of inverse, longer, macbert"),
        (
            {"strategy": {"kind": "salient", "salient": ["person"]}},
            "must name at least one level, all of them among units",
        ),
        ({"corruption": {"similar": 0.1, "per": "token"}}, "cannot be combined with similar words"),
        ({"budget": {"rate": 1.5}}, "must lie between 0 and 1"),
        ({"budget": {"final_rate": 1.5}}, "must lie between 0 and 1, or be 0"),
        (
            {
                "strategy": {
                    "kind": "mixture",
                    "strategies": ["subword"],
                    "schedule": [{"until": 1.0, "weights": [1]}],
                    "budgets": [{}],
                },
                "budget": {},
            },
            "have `budgets` of their own; leave one of the two out",
        ),
        (
            {
                "strategy": {
                    "kind": "mixture",
                    "strategies": ["subword"],
                    "schedule": [{"until": 1.0, "weights": [1]}],
                    "corruptions": [{}],
                },
                "corruption": {},
            },
            "have `corruptions` of their own; leave one of the two out",
        ),
        (
            {
                "strategy": {
                    "kind": "mixture",
                    "strategies": ["whole_unit", "ernie1"],
                    "schedule": [{"until": 1.0, "weights": [1, 1]}],
                }
            },
            "published with different settings of `budget`; give masking.budget yourself",
        ),
    ],
)
def test_a_masking_that_cannot_be_is_refused_with_the_place_in_the_file(
    masking: dict[str, Any], message: str, tiny_run: Path
) -> None:
    with pytest.raises(ValueError, match="(?s).*" + message.replace("'", ".")):
        configured(tiny_run, masking)


def test_shuffling_and_the_task_that_undoes_it_need_each_other(tiny_run: Path) -> None:
    source = load(tiny_run, ["masking.shuffle={}"])
    with pytest.raises(ValueError, match="no task of kind token_order puts them back"):
        decode(Run, source)
