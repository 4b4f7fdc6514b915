"""Objectives over labelled pairs and dialogues: samples against a slow reading of the shards, balance, keys, refusals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pair_folders import folder_of
from tiny import TINY_RUN

from data_prep.shards import Prepared
from launch.settings.components import decode, load
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.batch import Batch
from pretrain.feed.loading import BatchMaker
from pretrain.feed.parts import NEAR, SLACK, fitted
from pretrain.feed.samples import NO_LABEL, NOWHERE, Sample, Samples
from pretrain.feed.sampling import MicroBatchSpec, RowSpec, Sampler
from pretrain.feed.texts import Text, Texts
from pretrain.metrics.sums import rows_of
from pretrain.objectives import SentencePrediction
from pretrain.objectives.dialogue import Dialogue
from pretrain.objectives.discourse_relation import DiscourseRelation
from pretrain.objectives.pair_classification import PairClassification
from pretrain.objectives.search_relevance import GRADES, SearchRelevance
from pretrain.setup import build_model

FOLDERS = {"pair_classification": "pairs", "search_relevance": "log", "dialogue": "dialogues"}
KINDS = sorted(FOLDERS)


@pytest.fixture(scope="module")
def folders(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Prepared folders by task."""
    base = tmp_path_factory.mktemp("folders")
    return {task: folder_of(kind, prepared, base / kind) for task, kind in FOLDERS.items()}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A configuration without its data."""
    file = tmp_path / "run.yaml"
    file.write_text(TINY_RUN.format(output=tmp_path / "run", data="somewhere"), encoding="utf-8")
    return file


def corpus_of(tiny: Path, folder: Path, kind: str, **fields: Any) -> tuple[Run, Corpus, BatchMaker]:
    """A run of one such task beside knowledge masking."""
    source = load(tiny, [])
    source.value["data"] = [{"path": str(folder), "name": "a"}]
    source.value["tasks"] = {"knowledge_masking": {"kind": "knowledge_masking"}, "probe": {"kind": kind, **fields}}
    source.value["stages"] = [{"name": "one", "steps": 4, "tasks": {"probe": 1, "knowledge_masking": 0}}]
    source.value["model"] |= {"layers": 2, "hidden": 64, "dropout": 0.0}
    run = decode(Run, source)
    corpus = Corpus(run=run)
    return corpus.bound, corpus, corpus.maker(run.stages[0], "train", run.masking)


def texts_of(maker: BatchMaker) -> Texts:
    source = maker.streams["a/probe"].source
    return source.texts(next(source.all_windows()))


def built(maker: BatchMaker, seed: int = 0) -> tuple[Texts, Samples]:
    texts = texts_of(maker)
    keys = np.random.default_rng(seed).integers(0, 1 << 63, len(texts)).astype(np.uint64)
    made = maker.objectives["probe"].build_all(texts, keys, "probe", maker.specials)
    assert (made.count_W == 1).all()
    return texts, made.samples


def parts(text: Text) -> list[list[int]]:
    """The parts of a text's document, as the shard has them."""
    ids, ends = text.shard.token_ids.row(text.document).tolist(), text.shard.segment_ends.row(text.document).tolist()
    return [ids[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def pieces(sample: Sample, sep: int) -> list[tuple[list[int], int]]:
    """The pieces between the special tokens, each with its segment."""
    found: list[tuple[list[int], int]] = []
    own: list[int] = []
    for token, segment in zip(sample.token_ids_T[1:].tolist(), sample.segment_ids_T[1:].tolist(), strict=True):
        if token == sep:
            found.append((own, segment))
            own = []
        else:
            own.append(token)
    assert not own
    return found


# --- labelled pairs
# --------------------------------------------------------------------------------------------------------------


def shortened(tokens: list[list[int]], room: int, units: list[list[tuple[int, int]]]) -> list[list[int]]:
    """Longest first, a token at a time; then back to the start of a unit."""
    kept = [list(part) for part in tokens]
    while sum(map(len, kept)) > room:
        longest = max(map(len, kept))
        kept[max(place for place, part in enumerate(kept) if len(part) == longest)].pop()
    for part, whole, spans in zip(kept, tokens, units, strict=True):
        least = len(part) - NEAR
        moved = len(part) < len(whole)
        while moved:
            divided = [s for s, e in spans if s < len(part) < e and s >= max(least, 1)]
            moved = bool(divided)
            del part[min(divided, default=len(part)) :]
    return kept


def units_of(text: Text) -> list[list[tuple[int, int]]]:
    """Units of all levels, relative to the parts."""
    ends = text.shard.segment_ends.row(text.document).tolist()
    found: list[list[tuple[int, int]]] = [[] for _ in ends]
    for start_U, end_U in text.units.values():
        for start, end in zip(start_U.tolist(), end_U.tolist(), strict=True):
            part = next(place for place, stop in enumerate(ends) if end <= stop)
            first = ([0, *ends])[part]
            found[part].append((start - first, end - first))
    return found


def test_a_pair_is_framed_cut_longest_first_and_labelled_as_the_shard_says(
    tiny: Path, folders: Mapping[str, Path]
) -> None:
    _, corpus, maker = corpus_of(tiny, folders["pair_classification"], "pair_classification")
    texts, samples = built(maker)
    specials, seen = corpus.specials, Counter[Any]()
    for text, sample in zip(texts, samples, strict=True):
        expected = shortened(parts(text), 64 - 3, units_of(text))
        assert pieces(sample, specials.sep) == [(expected[0], 0), (expected[1], 1)]
        label = int(text.shard.label[text.document])
        assert sample.labels.get("probe", NO_LABEL) == label
        seen[label] += 1
        seen["cut"] += expected != parts(text)
        seen["spared"] += sum(map(len, expected)) < 64 - 3 and expected != parts(text)
        assert sample.token_ids_T[0] == specials.cls and sample.segment_ids_T[0] == 0
        assert not sample.maskable_T[np.isin(sample.token_ids_T, [specials.cls, specials.sep])].any()
        ids = text.shard.token_ids.row(text.document)
        assert sample.place_T is not None
        inside = sample.place_T != NOWHERE
        assert np.array_equal(ids[sample.place_T[inside]], sample.token_ids_T[inside]) and inside.sum() == sum(
            map(len, expected)
        )
        for start_U, end_U in sample.units.values():
            assert all(inside[start:end].all() for start, end in zip(start_U, end_U, strict=True))
    assert seen[0] > 50 and seen[1] > 100 and seen[NO_LABEL] > 10 and seen["cut"] > 5 and seen["spared"]


def test_the_longer_part_is_cut_first() -> None:
    tokens_P = np.array([30, 5, 30, 20, 9, 8, 70])
    first_W, count_W = np.array([0, 2, 4, 6]), np.array([2, 2, 2, 1])
    assert fitted(tokens_P, first_W, count_W, 20).tolist() == [15, 5, 10, 10, 9, 8, 20]
    assert fitted(tokens_P, first_W, count_W, 21).tolist() == [16, 5, 11, 10, 9, 8, 21]


def test_single_texts_have_one_segment(tiny: Path, prepared: Path, tmp_path: Path) -> None:
    folder = folder_of("pairs", prepared, tmp_path / "single", 60, second_key="", allow_unlabelled=False)
    _, corpus, maker = corpus_of(tiny, folder, "pair_classification")
    texts, samples = built(maker)
    for text, sample in zip(texts, samples, strict=True):
        assert pieces(sample, corpus.specials.sep) == [(parts(text)[0], 0)]
        assert sample.labels == {"probe": int(text.shard.label[text.document])}


def test_documents_that_are_no_pairs_are_plain_samples_without_a_label(
    tiny: Path, prepared: Path, folders: Mapping[str, Path]
) -> None:
    for kind in ("pair_classification", "search_relevance"):
        _, corpus, maker = corpus_of(tiny, folders[kind], kind)
        texts = texts_of(maker)
        single = replace(Prepared.open(prepared), classes={"train": ("no", "yes")})
        source = replace(maker.streams["a/probe"].source, prepared=single)
        assert all("label" not in shard._batch.schema.names for shard in source.shards)  # plain shards are refused
        with pytest.raises(ValueError, match="holds no labelled pairs"):
            maker.objectives["probe"].build_all(
                source.texts(next(source.all_windows()).take(slice(0, 3))),
                np.arange(3, dtype=np.uint64),
                "p",
                corpus.specials,
            )
        assert len(texts)


def test_weights_scale_the_loss_of_a_class_and_leave_figures_alone(tiny: Path, folders: Mapping[str, Path]) -> None:
    found = []
    for weights in ({}, {"yes": 3.0}):
        run, corpus, maker = corpus_of(
            tiny, folders["pair_classification"], "pair_classification", class_weights=weights
        )
        batch = maker[MicroBatchSpec(0, Sampler(streams=maker.streams, rows_per_step=4).step({})[0], 0.0)]
        loss, stats = build_model(run, 0, corpus.tokenizer).eval()(batch, {"probe": 1.0})
        found.append((loss.item(), stats[0].tolist(), batch.targets["probe"]["label"]))
    (plain, figures, label_M), (weighted, again, _) = found
    assert figures == again and weighted > plain and set(label_M.tolist()) == {0, 1}
    with pytest.raises(
        ValueError, match=r"task 'probe' \(PairClassification\): class_weights: 'maybe' is no class; they are no"
    ):
        corpus_of(tiny, folders["pair_classification"], "pair_classification", class_weights={"maybe": 2.0})


def changed(folder: Path, **fields: Any) -> dict[str, Prepared]:
    return {"a": replace(Prepared.open(folder), **fields)}


def test_what_cannot_be_told_apart_is_refused(folders: Mapping[str, Path], prepared: Path, tmp_path: Path) -> None:
    folder, task = folders["pair_classification"], PairClassification()
    with pytest.raises(ValueError, match="split 'train' of a has the classes no; two are needed"):
        task.bind(changed(folder, classes={"train": ("no",), "heldout": ("no",)}))
    with pytest.raises(ValueError, match="split 'train' of a has the classes none"):
        task.bind(changed(folder, classes={}))
    with pytest.raises(ValueError, match="classes no, yes in 'train', but yes, no in 'heldout'"):
        task.bind(changed(folder, classes={"train": ("no", "yes"), "heldout": ("yes", "no")}))
    with pytest.raises(ValueError, match="names: 0, 1 were learned before, but its folders have no, yes"):
        replace(task, names=["0", "1"]).bind(changed(folder))
    with pytest.raises(ValueError, match="split: 'test' is not one of train, discourse"):
        PairClassification(split="test")
    with pytest.raises(ValueError, match=r"class_weights: {'no': 0} must be positive"):
        PairClassification(class_weights={"no": 0})
    alike = folder_of("pairs", prepared, tmp_path / "alike", 30, label_key="id", classes=["pairs-1", "never"])
    with pytest.raises(
        ValueError, match=r"split 'train' are all of class 'pairs-1' .* two classes at least must occur"
    ):
        task.bind(changed(alike))
    nothing = folder_of("pairs", prepared, tmp_path / "nothing", 30, label_key="nowhere")
    with pytest.raises(ValueError, match="split 'train' are without a label"):
        task.bind(changed(nothing))
    both = {
        **changed(folder),
        "b": replace(Prepared.open(folder), classes={"train": ("a", "b"), "heldout": ("a", "b")}),
    }
    with pytest.raises(ValueError, match="its folders have different classes"):
        task.bind(both)


def test_discourse_relations_read_the_splits_that_were_mined() -> None:
    feed = DiscourseRelation().feed()
    assert (feed.split, feed.heldout, feed.whole, feed.labelled) == ("discourse", "discourse_heldout", True, True)
    assert DiscourseRelation(split="train").feed().heldout == "heldout"


# --- queries and titles
# --------------------------------------------------------------------------------------------------------------


def test_an_irrelevant_title_is_one_of_another_query_about_as_long(tiny: Path, folders: Mapping[str, Path]) -> None:
    _, corpus, maker = corpus_of(tiny, folders["search_relevance"], "search_relevance")
    titles: dict[Any, set[tuple[int, ...]]] = defaultdict(set)
    everything: dict[Any, set[tuple[int, ...]]] = defaultdict(set)
    texts = texts_of(maker)
    for text in texts:
        query, title = map(tuple, parts(text))
        titles[text.shard.path, query].add(title)
        everything[text.shard.path].add(title)
    seen, shift = Counter[int](), []
    for seed in range(6):
        _, samples = built(maker, seed)
        for text, sample in zip(texts, samples, strict=True):
            query, title = map(tuple, parts(text))
            (first, zero), (second, one) = pieces(sample, corpus.specials.sep)
            label = sample.labels.get("probe", NO_LABEL)
            seen[label] += 1
            assert (tuple(first), zero, one) == (query, 0, 1)
            if label == 2:
                assert tuple(second) in everything[text.shard.path] - titles[text.shard.path, query]
                assert abs(len(second) - len(title)) <= SLACK
                shift.append(len(second) - len(title))
                assert sample.place_T is not None and (sample.place_T[len(first) + 2 : -1] == NOWHERE).all()
            else:
                assert tuple(second) == title
                assert label in (NO_LABEL, int(text.shard.label[text.document]))
    asked = sum(seen.values()) - seen[NO_LABEL]
    assert abs(seen[2] - asked / 3) < 5 * (asked * 2 / 9) ** 0.5 and seen[0] > 300 and seen[1] > 300
    assert seen[NO_LABEL] < 0.1 * asked and abs(np.mean(shift)) < 0.3 and len(set(shift)) == 2 * SLACK + 1


def test_whether_a_pair_is_asked_does_not_depend_on_its_class(tiny: Path, folders: Mapping[str, Path]) -> None:
    asked = {}
    for share in (0.01, 0.99):
        _, _, maker = corpus_of(tiny, folders["search_relevance"], "search_relevance", random=share)
        _, samples = built(maker)
        asked[share] = samples.labels["probe"] != NO_LABEL
        assert abs((samples.labels["probe"] == 2)[asked[share]].mean() - share) < 0.05
    assert np.array_equal(*asked.values()) and not asked[0.01].all()


def test_grades_translate_the_classes_of_a_folder(tiny: Path, folders: Mapping[str, Path]) -> None:
    folder = folders["pair_classification"]
    grades = {"no": "irrelevant", "yes": "strong"}
    _, _, maker = corpus_of(tiny, folder, "search_relevance", random=0, grades=grades)
    texts, samples = built(maker)
    for text, sample in zip(texts, samples, strict=True):
        assert sample.labels.get("probe", NO_LABEL) == {0: 2, 1: 0, -1: -1}[int(text.shard.label[text.document])]
    task = SearchRelevance()
    with pytest.raises(ValueError, match="grades: say what the class 'no' of its folders means, as no: strong"):
        task.bind(changed(folder))
    with pytest.raises(ValueError, match="grades: 'maybe' is no class of its folders; they have no, yes"):
        SearchRelevance(grades={**grades, "maybe": "weak"}).bind(changed(folder))
    with pytest.raises(ValueError, match="its pairs are all weak; two grades at least must occur"):
        SearchRelevance(grades=dict.fromkeys(grades, "weak"), random=0).bind(changed(folder))
    with pytest.raises(ValueError, match="grades: 'good' is not one of strong, weak, irrelevant"):
        SearchRelevance(grades={"no": "good"})
    with pytest.raises(ValueError, match=r"random: 1 must lie in \[0, 1\)"):
        SearchRelevance(random=1)
    bound = SearchRelevance(grades=grades).bind(changed(folder))
    assert (bound.names, bound.class_names, bound.classes) == (["no", "yes"], GRADES, 3)


# --- dialogues
# --------------------------------------------------------------------------------------------------------------


def windows_turns(text: Text) -> list[tuple[list[int], int, bool]]:
    """The turns that reach into a window: tokens there, role, and whether that is all of the turn."""
    ends = text.shard.segment_ends.row(text.document).tolist()
    roles = text.shard.segment_labels.row(text.document).tolist()
    ids, last = text.shard.token_ids.row(text.document).tolist(), text.start + len(text.token_ids_T)
    found = []
    for start, end, role in zip([0, *ends[:-1]], ends, roles, strict=True):
        low, high = max(start, text.start), min(end, last)
        if low < high:
            found.append((ids[low:high], role, (low, high) == (start, end)))
    return found


def test_one_turn_of_a_false_dialogue_is_from_another_one(tiny: Path, folders: Mapping[str, Path]) -> None:
    _, corpus, maker = corpus_of(tiny, folders["dialogue"], "dialogue", turns=4, least=3)
    texts = texts_of(maker)
    spoken: dict[Any, set[tuple[tuple[int, ...], int, str]]] = defaultdict(set)
    own: dict[Any, set[tuple[int, ...]]] = defaultdict(set)
    for shard in {id(text.shard): text.shard for text in texts}.values():
        for document in range(len(shard)):
            ends, ids = [0, *shard.segment_ends.row(document).tolist()], shard.token_ids.row(document).tolist()
            for start, end, role in zip(ends, ends[1:], shard.segment_labels.row(document).tolist(), strict=False):
                spoken[shard.path].add((tuple(ids[start:end]), role, shard.text_of("language", document)))
                own[shard.path, document].add(tuple(ids[start:end]))
    seen, place, shift = Counter[int](), Counter[tuple[int, int]](), []
    for seed in range(4):
        _, samples = built(maker, seed)
        for text, sample in zip(texts, samples, strict=True):
            turns = windows_turns(text)
            found = pieces(sample, corpus.specials.sep)
            label = sample.labels.get("probe", NO_LABEL)
            seen[label] += 1
            assert len(found) == min(len(turns), 4)
            runs = [turns[first : first + len(found)] for first in range(len(turns) - len(found) + 1)]
            differ = min(
                ([at for at, (new, old) in enumerate(zip(found, run, strict=True)) if new != old[:2]] for run in runs),
                key=len,
            )
            run = next(run for run in runs if [at for at, new in enumerate(found) if new != run[at][:2]] == differ)
            assert len(differ) == (label == 1)
            if len(turns) < 3:
                assert label == NO_LABEL
            if label == 1:
                (tokens, role), (old, old_role, whole) = found[differ[0]], run[differ[0]]
                assert whole and role == old_role and abs(len(tokens) - len(old)) <= SLACK
                assert (tuple(tokens), role, text.shard.text_of("language", text.document)) in spoken[text.shard.path]
                assert tuple(tokens) not in own[text.shard.path, text.document]
                shift.append(len(tokens) - len(old))
                place[len(found), differ[0]] += 1
    asked = seen[0] + seen[1]
    assert asked > 300 and abs(seen[1] - asked / 2) < 5 * (asked / 4) ** 0.5 and seen[NO_LABEL] > 50
    assert abs(np.mean(shift)) < 0.4 and len({at for count, at in place if count == 4}) == 4


def test_dialogues_need_roles_company_and_turns(folders: Mapping[str, Path]) -> None:
    folder = folders["dialogue"]
    with pytest.raises(ValueError, match="a holds no dialogues; prepare them with `kind: dialogues`"):
        Dialogue().bind(changed(folders["pair_classification"]))
    with pytest.raises(ValueError, match="roles: A were learned before, but its folders have Q, R"):
        Dialogue(roles=["A"]).bind(changed(folder))
    with pytest.raises(ValueError, match="its folders have different roles"):
        Dialogue().bind({**changed(folder), "b": replace(Prepared.open(folder), roles={"train": ("x", "y")})})
    one = tuple(
        entry._replace(documents=int(number == 0)) for number, entry in enumerate(Prepared.open(folder).entries)
    )
    with pytest.raises(ValueError, match="a holds one dialogue"):
        Dialogue().bind(changed(folder, entries=one))
    with pytest.raises(ValueError, match=r"least: 9 must lie between 2 and turns \(8\)"):
        Dialogue(least=9)
    assert Dialogue().bind(changed(folder)).roles == ["Q", "R"]


# --- all of them
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_a_pure_function_of_its_key(kind: str, tiny: Path, folders: Mapping[str, Path]) -> None:
    _, corpus, maker = corpus_of(tiny, folders[kind], kind)
    texts, samples = built(maker)
    _, others = built(maker, 1)
    differ = 0
    for number in range(0, len(texts), 7):
        task, key = maker.objectives["probe"], int(samples.key_S[number])
        alone = task.build(texts[number], key, "probe", corpus.specials)  # type: ignore[attr-defined]
        assert alone.token_ids_T.tolist() == samples[number].token_ids_T.tolist()
        assert alone.segment_ids_T.tolist() == samples[number].segment_ids_T.tolist()
        assert alone.labels == samples[number].labels
        differ += alone.token_ids_T.tolist() != others[number].token_ids_T.tolist()
    assert differ if kind != "pair_classification" else not differ


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_hidden_only_where_they_may_be(kind: str, tiny: Path, folders: Mapping[str, Path]) -> None:
    for hide in (True, False):
        _, _, maker = corpus_of(tiny, folders[kind], kind, hide=hide)
        _, samples = built(maker)
        assert samples.maskable_T.any() == hide


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_counted_and_reach_the_encoder_and_none_is_no_fault(
    kind: str, tiny: Path, folders: Mapping[str, Path]
) -> None:
    run, corpus, maker = corpus_of(tiny, folders[kind], kind)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    batch, (samples, _) = maker[MicroBatchSpec(0, rows, 0.0)], maker.samples(rows)
    asked = int((samples.labels["probe"] != NO_LABEL).sum())
    assert batch.counts["probe"] == asked == len(batch.targets["probe"]["label"]) > 0
    model = build_model(run, 0, corpus.tokenizer)
    loss, stats = model(batch, {"probe": 1.0})
    loss.backward()
    assert rows_of(stats, {"probe": ()})["probe"][0, 2] == asked
    assert model.ernie.embeddings.word_embeddings.weight.grad.abs().sum() > 0  # type: ignore[union-attr]
    assert all(item.grad is not None and item.grad.abs().sum() > 0 for item in model.heads["probe"].parameters())
    empty = {task: {name: value[:0] for name, value in group.items()} for task, group in batch.targets.items()}
    model.zero_grad()
    nothing, _ = model(type(batch)(**{**vars(batch), "targets": empty}), {"probe": 1.0})
    nothing.backward()
    assert nothing.item() == 0.0 and all(item.grad is not None for item in model.heads["probe"].parameters())


def accuracy(model: Any, batches: list[Batch]) -> float:
    """Share of targets that are right."""
    with torch.no_grad():
        sums = sum(rows_of(model(batch, {"probe": 1.0})[1], {"probe": ()})["probe"][0] for batch in batches)
    return float(sums[1] / sums[2])  # type: ignore[index]


def batches_of(maker: BatchMaker, least: int) -> list[Batch]:
    """Whole rows with so many samples that are asked."""
    found, asked = [], 0
    stream = next(iter(maker.streams.values()))
    for row in stream.rows(0, 0):
        if asked < least:
            found.append(maker[MicroBatchSpec(0, [RowSpec(stream.name, 0, row.windows)], 0.0)])
            asked += found[-1].counts["probe"]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_64_samples_are_learned_by_heart_and_tell_nothing_of_others(
    kind: str, tiny: Path, folders: Mapping[str, Path]
) -> None:
    """The clauses of these folders are drawn at random: labels of held-out samples cannot be known."""
    run, corpus, maker = corpus_of(tiny, folders[kind], kind, hide=False)
    batches = batches_of(maker, 64)
    assert sum(batch.counts["probe"] for batch in batches) >= 64
    torch.manual_seed(0)
    model = build_model(run, 0, corpus.tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(60):
        for batch in batches:
            loss, _ = model(batch, {"probe": 1.0 / max(batch.counts["probe"], 1)})
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if accuracy(model, batches) == 1:
            break
    assert accuracy(model, batches) >= 0.95
    (heldout,) = (maker for maker in corpus.heldout(["probe"]))
    others = batches_of(heldout, 10**9)
    labels = torch.cat([batch.targets["probe"]["label"] for batch in others])
    majority = labels.bincount().max() / len(labels)
    assert accuracy(model, others) < majority + 4 * (majority * (1 - majority) / len(labels)) ** 0.5
    assert isinstance(run.tasks["probe"], SentencePrediction)
