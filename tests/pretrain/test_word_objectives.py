"""Token-level objectives about words: labels are those that a reader of the documents would write, asked of what they
promise."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import ROOT

from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.shards import Prepared
from launch.settings.components import decode, load
from launch.settings.yaml_files import Source as Settings
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.loading import BatchMaker
from pretrain.feed.packed import Packed
from pretrain.feed.sampling import MicroBatchSpec, Sampler
from pretrain.model import PretrainingModel
from pretrain.objectives import Objective
from pretrain.objectives.capitalization import Capitalization
from pretrain.objectives.token_classification import UnitClassification
from pretrain.objectives.token_document import TokenDocument
from pretrain.setup import build_model

NAMES = ["Ada", "Basel", "Kant", "Rhine", "Zoe", "Bern"]


def run_of(folder: Path, tasks: Mapping[str, Any], length: int = 40, **more: Any) -> Run:
    value = {
        "output": "unused",
        "data": [{"path": str(folder), "name": "demo"}],
        "model": {"layers": 2, "hidden": 64, "heads": 2, "max_positions": 64, "dropout": 0.0},
        "masking": {"strategy": {"kind": "whole_unit", "units": ["word"]}},
        "tasks": {"knowledge_masking": {"kind": "knowledge_masking"}, **tasks},
        "stages": [{"name": "one", "steps": 1, "tasks": {"knowledge_masking": 1, **dict.fromkeys(tasks, 0)}}],
        "batch": {"max_sample_tokens": length, "row_tokens": 8 * length, "rows_per_step": 8, "rows_per_process": 8},
        **more,
    }
    return decode(Run, Settings(value, {}))


def packed_of(run: Run, split: str = "train") -> tuple[Corpus, BatchMaker, Packed]:
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[0], split, run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=8).step({})
    return corpus, maker, maker.packed(MicroBatchSpec(0, rows, 0.0))


def labels(objective: Objective, packed: Packed) -> dict[int, int]:
    arrays, count = objective.targets(packed, "probe")
    assert count == len(arrays["position"]) == len(arrays["label"])
    return dict(zip(arrays["position"].tolist(), arrays["label"].tolist(), strict=True))


def words_of(sample: Any) -> list[tuple[int, int]]:
    """(first, last + 1) of every word of the sample's document, in order."""
    shard, document = sample.text.shard, sample.text.document
    column = shard.units["word"]
    own = range(column.offsets_D1[document], column.offsets_D1[document + 1])
    units = {int(column.start_U[unit]): int(column.length_U[unit]) for unit in own}
    words, place, total = [], 0, len(shard.token_ids.row(document))
    while place < total:
        words.append((place, place + units.get(place, 1)))
        place = words[-1][1]
    return words


def asked(packed: Packed) -> Any:
    """(sample, its first position in the batch, batch position by place) of every sample."""
    for number, sample in enumerate(packed.samples):
        begin = int(packed.sample_start_S[number])
        yield sample, {int(place): begin + index for index, place in enumerate(sample.place_T) if place >= 0}


@pytest.mark.parametrize(("every", "openings"), [(False, False), (True, True), (True, False)])
def test_capitals_are_those_of_the_raw_text(prepared: Path, every: bool, openings: bool) -> None:
    options = {"kind": "capitalization", "every_token": every, "sentence_starts": openings}
    corpus, _, packed = packed_of(run_of(prepared, {"probe": options}))
    tokens = corpus.tokenizer.tokens
    wanted: dict[int, int] = {}
    for sample, position in asked(packed):
        ids = sample.text.shard.token_ids.row(sample.text.document).tolist()
        flags = sample.text.shard.flags.row(sample.text.document).tolist()
        starts = [0, *sample.text.shard.sentence_ends.row(sample.text.document).tolist()]
        letters = [bool(re.match(r"(##)?[^\W\d_]", tokens[token])) for token in ids]
        cased = [held and tokens[token].upper() != tokens[token] for held, token in zip(letters, ids, strict=True)]
        for first, last in words_of(sample):
            sentence = max(start for start in starts if start <= first)
            if cased[first] and (openings or any(cased[sentence:first])):
                for place in range(first, last if every else first + 1):
                    if place in position:
                        wanted[position[place]] = flags[first]
    assert labels(corpus.objectives["probe"], packed) == wanted
    assert {0, 1} == set(wanted.values())


@pytest.mark.parametrize(
    "options",
    [{"frequent": 0}, {"frequent": 30, "every_token": True}, {"level": "token", "frequent": 5}, {"reach": 25}],
)
def test_words_elsewhere_are_found_by_reading_the_document(prepared: Path, options: dict[str, Any]) -> None:
    run = run_of(prepared, {"probe": {"kind": "token_document", **options}})
    corpus, _, packed = packed_of(run)
    objective = corpus.objectives["probe"]
    assert isinstance(objective, TokenDocument) and len(objective.skipped) == options.get("frequent", 100)
    tokens, wanted, skipped = corpus.tokenizer.tokens, {}, 0
    for sample, position in asked(packed):
        row = sample.text.shard.token_ids.row(sample.text.document).tolist()
        if len(position) == len(row):
            continue
        words = [(n, n + 1) for n in range(len(row))] if options.get("level") == "token" else words_of(sample)
        spelled = [" ".join(tokens[row[place]] for place in range(*word)) for word in words]
        reach = options.get("reach") or len(row)
        near = range(min(position) - reach, max(position) + reach + 1)
        elsewhere = {
            text for (first, _), text in zip(words, spelled, strict=True) if first not in position and first in near
        }
        for (first, last), text in zip(words, spelled, strict=True):
            if all(place in position for place in range(first, last)) and re.search(
                r"[^\W_]", text.replace("[UNK]", "")
            ):
                skipped += text in objective.skipped
                if text not in objective.skipped:
                    for place in range(first, last if objective.every_token else first + 1):
                        wanted[position[place]] = int(text in elsewhere)
    assert labels(objective, packed) == wanted
    assert {0, 1} == set(wanted.values()) and bool(skipped) == bool(objective.skipped)


def test_shuffled_pieces_are_asked_about_what_lies_outside_of_all_of_them(prepared: Path) -> None:
    tasks = {"probe": {"kind": "token_document"}, "order": {"kind": "sentence_reordering"}}
    stages = [{"name": "one", "steps": 1, "tasks": {"order": 1, "probe": 0}}]
    plain = packed_of(run_of(prepared, {"probe": tasks["probe"]}, 38))[2]
    corpus, _, shuffled = packed_of(run_of(prepared, tasks, stages=stages))

    def by_place(packed: Packed) -> dict[tuple[str, int, int], int]:
        found = labels(corpus.objectives["probe"], packed)
        return {
            (sample.document_id, len(position), place): found[at]
            for sample, position in asked(packed)
            for place, at in position.items()
            if at in found
        }

    one, two = by_place(plain), by_place(shuffled)
    both = one.keys() & two.keys()
    assert len(both) > 50 and all(one[key] == two[key] for key in both)


def test_documents_that_lie_in_their_sample_are_not_asked(tmp_path: Path) -> None:
    folder = prepare_lines(tmp_path, [{"text": f"{name} saw {name} again ."} for name in NAMES * 20])
    corpus, _, packed = packed_of(run_of(folder, {"probe": {"kind": "token_document", "frequent": 0}}))
    assert labels(corpus.objectives["probe"], packed) == {}
    model = build_model(corpus.bound, 0, corpus.tokenizer)
    rows, _ = Sampler(streams=packed_of(corpus.run)[1].streams, rows_per_step=8).step({})
    loss, _ = model(packed_of(corpus.run)[1][MicroBatchSpec(0, rows, 0.0)], {"probe": 1.0})
    loss.backward()
    assert loss.item() == 0.0 and model.heads["probe"].weight.grad is not None


def prepare_lines(folder: Path, lines: list[dict[str, Any]], **settings: Any) -> Path:
    """A prepared folder of JSON lines; ``settings`` are those of the corpus."""
    file, output = folder / "lines.jsonl", folder / "prepared"
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    overrides = [f"output={output}", "engine.workers=1", "vocabulary.size=400", "annotators=[]", "heldout=0.1"]
    source = load(ROOT / "configs/data/demo.yaml", overrides)
    lower = settings.pop("lowercase", True)
    source.value["vocabulary"]["lowercase"] = lower
    source.value["corpora"] = [{"kind": "jsonl", "paths": [str(file)], **settings}]
    prepare(decode(Preparation, source), lambda progress: None)
    return output


def marked_lines() -> list[dict[str, Any]]:
    """Sentences with a person and a place each; every seventh has none."""
    lines: list[dict[str, Any]] = []
    for number in range(140):
        person, place = NAMES[number % 3], NAMES[3 + number % 2]
        text = f"Yesterday number {number} , {person} Meyerowitz saw the {place} and 鲁迅 went home ."
        named = [[text.index(person), text.index(" saw"), "PER"], [text.index(place), text.index(" and"), "LOC"]]
        named.append([text.index("鲁迅"), text.index(" went"), "PER"])
        lines.append(
            {"text": text if number % 7 else f"Nobody saw number {number} .", "spans": named if number % 7 else []}
        )
    return lines


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marked")
    return prepare_lines(folder, marked_lines(), kind="annotated_jsonl", kinds=["PER", "LOC"])


@pytest.mark.parametrize(("scheme", "unmarked", "length"), [("bio", True, 40), ("io", False, 40), ("bio", False, 16)])
def test_classes_of_marked_jsonl_reach_the_labels(marked: Path, scheme: str, unmarked: bool, length: int) -> None:
    options = {"kind": "token_classification", "scheme": scheme, "unmarked": unmarked}
    corpus, _, packed = packed_of(run_of(marked, {"probe": options}, length))
    objective = corpus.objectives["probe"]
    assert set(objective.class_names) == (
        {"O", "PER", "LOC"} if scheme == "io" else {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"}
    )
    found = labels(objective, packed)
    lines = {line["text"].split(" number ")[1].split()[0]: line for line in marked_lines()}
    tokens, seen = corpus.tokenizer.tokens, 0
    for sample, position in asked(packed):
        row = [tokens[token] for token in sample.text.shard.token_ids.row(sample.text.document)]
        line = lines["".join(row[row.index("number") + 1 : row.index("," if "," in row else ".")]).replace("#", "")]
        names, place, text = [], 0, line["text"].lower()
        for token in row:  # each token's characters in the text
            place = text.index(token.removeprefix("##"), place)
            name = "O"
            for start, end, kind in line["spans"]:
                if start <= place < end:
                    name = kind if scheme == "io" else f"{'B' if place == start else 'I'}-{kind}"
            names.append(name)
            place += len(token.removeprefix("##"))
        if not line["spans"] and not unmarked:
            assert not any(at in found for at in position.values())
            continue
        seen += 1
        assert [objective.class_names[found[at]] for at in position.values()] == [names[place] for place in position]
    assert seen > 5


def test_only_the_folders_of_a_task_are_asked(marked: Path, prepared: Path) -> None:
    run = run_of(marked, {"probe": {"kind": "token_classification", "folders": ["demo"]}})
    corpus, _, packed = packed_of(run)
    objective = corpus.objectives["probe"]
    assert labels(objective, packed)
    assert labels(replace(objective, folders=["other"]), packed) == {}
    assert labels(replace(objective, level="nothing"), packed) == {}


@pytest.mark.parametrize("kind", ["capitalization", "token_document", "token_classification"])
def test_a_sample_has_the_same_labels_in_any_batch(prepared: Path, kind: str) -> None:
    corpus, maker, packed = packed_of(run_of(prepared, {"probe": {"kind": kind}}))
    objective = corpus.objectives["probe"]
    rows, _ = Sampler(streams=maker.streams, rows_per_step=8).step({})
    alone = maker.packed(MicroBatchSpec(0, rows[3:4], 0.0))
    found, width = labels(objective, packed), maker.row_tokens
    assert labels(objective, alone) == {at - 3 * width: x for at, x in found.items() if 3 * width <= at < 4 * width}
    assert found


def test_a_file_adds_words_that_are_not_asked_as_the_tokenizer_cuts_them(prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("River\n\n北京大学\n", encoding="utf-8")
    found = TokenDocument(frequent=3, words_file=str(tmp_path / "words.txt")).bind({"demo": Prepared.open(prepared)})
    assert isinstance(found, TokenDocument)
    assert found.skipped[-2:] == ["river", "北 京 大 学"] and len(found.skipped) == 5


def test_what_cannot_be_trained_is_refused_with_the_reason(prepared: Path, marked: Path, tmp_path: Path) -> None:
    demo, names = {"demo": Prepared.open(prepared)}, {"names": Prepared.open(marked)}
    (tmp_path / "cased").mkdir()
    (tmp_path / "small").mkdir()
    cased = prepare_lines(tmp_path / "cased", [{"text": f"{name} saw Bern ."} for name in NAMES * 5], lowercase=False)
    small = prepare_lines(tmp_path / "small", [{"text": f"{name} saw bern .".lower()} for name in NAMES * 5])
    for objective, folders, message in (
        (Capitalization(), {"x": Prepared.open(cased)}, "vocabulary of x is cased"),
        (Capitalization(), {"x": Prepared.open(small)}, "words of one case only"),
        (Capitalization(), {"x": replace(demo["demo"], levels=("entity",))}, "no units of level 'word'"),
        (TokenDocument(), {"x": replace(demo["demo"], levels=("entity",))}, "no units of level 'word'"),
        (UnitClassification(level="term"), names, "names has no units of level 'term'; it has word, entity"),
        (UnitClassification(types=["DATE"]), names, "of the types DATE to learn from; found: PER, LOC"),
        (UnitClassification(), {"x": Prepared.open(small)}, "no units of level 'entity'"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            objective.bind(folders)  # type: ignore[attr-defined]
    for cls, options in (
        (TokenDocument, {"level": "entity"}),
        (TokenDocument, {"frequent": -1}),
        (TokenDocument, {"reach": -1}),
        (UnitClassification, {"scheme": "bioes"}),
        (UnitClassification, {"types": ["PER", "PER"]}),
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            cls(**options)  # type: ignore[arg-type]


def trained(run: Run, steps: int, shuffle: bool = False, enough: float = 2.0) -> tuple[float, float, float]:
    """Accuracy on the batch that is learned by heart (training ends when it is ``enough``), accuracy on held-out samples,
    and the share there of its most frequent class; dropout is 0 and nothing is hidden."""
    torch.manual_seed(0)
    corpus = Corpus(run=run)
    objective = corpus.objectives["probe"]
    model = PretrainingModel(
        run.model.config(len(corpus.tokenizer.tokens), 1, 0), {"probe": objective}, ["probe"], run.seed
    )
    batches = []
    for split in ("train", "heldout"):
        maker = replace(corpus.maker(run.stages[0], split, run.masking), objectives={"probe": objective})
        rows, _ = Sampler(streams=maker.streams, rows_per_step=8).step({})
        batches.append(maker[MicroBatchSpec(0, rows, 0.0)])
    batch, other = batches
    targets = dict(batch.targets["probe"])
    if shuffle:
        targets["label"] = targets["label"][torch.randperm(len(targets["label"]))]
    batch = replace(batch, targets={"probe": targets})
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        loss, stats = model(batch, {"probe": 1 / batch.counts["probe"]})
        if stats[0, 1] >= enough * stats[0, 2]:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _, heldout = model(other, {"probe": 1.0})
    label = other.targets["probe"]["label"]
    majority = label.bincount().max().item() / len(label)
    return (stats[0, 1] / stats[0, 2]).item(), (heldout[0, 1] / heldout[0, 2]).item(), majority


@pytest.mark.parametrize("kind", ["capitalization", "token_document", "token_classification"])
def test_64_samples_are_learned_by_heart_and_shuffled_labels_teach_nothing(
    kind: str, prepared: Path, marked: Path
) -> None:
    run = run_of(marked if kind == "token_classification" else prepared, {"probe": {"kind": kind}}, 32)
    run = replace(run, masking=replace(run.masking, budget=replace(run.masking.hidden_share, rate=0.01)))
    assert trained(run, 90, enough=0.95)[0] >= 0.95
    _, heldout, majority = trained(run, 30, shuffle=True)
    assert heldout <= majority + 0.1
