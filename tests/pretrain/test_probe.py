"""Probes of layers: states of every layer, closed-form classifiers against slow ones, controls, what is asked."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from bert_folders import write_bert

from launch.settings.components import read_config
from pretrain.evaluation.measures.probe import Probe
from pretrain.evaluation.probing.asked import Asked, Item, by_lot, of_task, of_units
from pretrain.evaluation.probing.fitting import Reader, answers, fit
from pretrain.evaluation.probing.ridge import Moments
from pretrain.evaluation.subjects import Subject, open_subject
from pretrain.evaluation.tasks.classification import Classification
from pretrain.evaluation.tasks.token_labels import TokenLabels
from pretrain.suite import Suite

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bert(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probed") / "bert"
    write_bert(folder, prepared / "tokenizer")
    return folder


@pytest.fixture(scope="module")
def subject(bert: Path) -> Subject:
    return open_subject("bert", bert)


def toy_items(count: int, seed: int) -> list[Item]:
    """Of which half are most tokens of this text? The embedding knows the half of its own token alone."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        half, length = number % 2, int(random.integers(8, 16))
        body_T = random.integers(10, 25, length) + 15 * (random.random(length) < (0.7 if half else 0.3))
        ids_T = np.array([2, *body_T, 3])
        positions_M = np.arange(1, len(ids_T) - 1)
        target_M = np.full(length, half)
        found.append(Item(ids_T, np.zeros(len(ids_T), np.int64), positions_M, target_M, number))
    return found


def toy(train: int, test: int) -> Asked:
    return Asked(
        train=toy_items(train, 0),
        test=toy_items(test, 1),
        rows=test,
        classes=("low", "high"),
        tokens=True,
        figure="accuracy",
        examples="toy",
    )


def test_states_of_all_layers_are_those_of_transformers(subject: Subject, bert: Path) -> None:
    from transformers import BertModel

    plain, items = BertModel.from_pretrained(bert).eval(), toy_items(9, 3)
    for mean in (False, True):
        seen = []
        for numbers, states_LMD in Reader(subject, CPU, mean).states(items):
            begin = 0
            for number in numbers:
                item = items[number]
                wanted = torch.cat(plain(torch.from_numpy(item.ids_T)[None], output_hidden_states=True).hidden_states)
                wanted = wanted.mean(1, keepdim=True) if mean else wanted[:, item.positions_M]
                here = states_LMD[:, begin : begin + wanted.shape[1]]
                assert here.shape[0] == 3 and torch.allclose(here, wanted, atol=1e-5)
                begin += wanted.shape[1]
                seen.append(number)
        assert sorted(seen) == list(range(9))


def test_the_closed_form_is_the_least_of_what_it_should_be_least_of() -> None:
    """A ridge regression on standardised columns, by torch's least squares with the ridge as rows of its own."""
    torch.manual_seed(0)
    states_LMD = torch.randn(3, 50, 6) * torch.tensor([1.0, 100, 0.01, 1, 1, 1]) + torch.tensor([0.0, 5, 5, 0, 0, 9])
    states_LMD[:, :, 4] = 7.0  # does not vary
    class_MK = torch.nn.functional.one_hot(torch.randint(0, 3, (50,)), 3)
    moments = Moments(3, 6, 3, CPU)
    for part in (slice(0, 20), slice(20, 50)):
        moments.add(states_LMD[:, part], class_MK[part])
    found = moments.solved(0.1).scores(states_LMD)
    for layer, states_MD in enumerate(states_LMD.double()):
        kept = states_MD[:, [0, 1, 2, 3, 5]]
        standard = (kept - kept.mean(0)) / kept.std(0, correction=0)
        left = torch.cat([standard, (0.1 * 50) ** 0.5 * torch.eye(5, dtype=torch.float64)])
        right = torch.cat([class_MK - class_MK.double().mean(0), torch.zeros(5, 3, dtype=torch.float64)])
        slow = standard @ torch.linalg.lstsq(left, right).solution + class_MK.double().mean(0)
        assert torch.allclose(found[layer], slow, atol=1e-8)


def test_a_probe_finds_what_a_layer_has_and_no_lot_that_it_has_not(subject: Subject) -> None:
    """What stands around a token is no property of its embedding; the layers above have seen it."""
    asked, subject = toy(400, 100), replace(subject, encoder=copy.deepcopy(subject.encoder))
    with torch.no_grad():
        for name, parameter in subject.encoder.named_parameters():
            if "value.weight" in name or "attention.output.dense.weight" in name:
                parameter *= 6  # an untrained model hardly looks around
    found = answers(Reader(subject, CPU, False), asked, fit(Reader(subject, CPU, False), asked))
    right = [float(np.concatenate(one).mean()) for one in found.right]
    assert len(right) == 3 and 0.65 < right[0] < 0.75 and max(right[1:]) > right[0] + 0.05
    assert found.layer == int(np.argmax(right))
    by_heart = [float(np.concatenate(one).mean()) for one in found.by_heart]
    assert by_heart[0] > 0.9  # 30 tokens are learned by heart from their embeddings
    again = answers(Reader(subject, CPU, False), asked, fit(Reader(subject, CPU, False), asked))
    assert all(np.array_equal(a, b) for a, b in zip(found.scores[2], again.scores[2], strict=True))


def test_a_lot_is_of_the_token_alone_and_has_the_shares_of_the_classes() -> None:
    item = Item(np.arange(20_000), np.zeros(20_000, np.int64), np.arange(20_000), np.zeros(20_000, np.int64), 0)
    lots = by_lot(item, np.array([0.1, 0.7, 0.2]))
    assert np.bincount(lots) / 20_000 == pytest.approx([0.1, 0.7, 0.2], abs=0.013)  # four deviations
    other = item._replace(positions_M=np.array([5, 17, 5]))
    assert by_lot(other, np.array([0.1, 0.7, 0.2])).tolist() == lots[[5, 17, 5]].tolist()


def slow_words(prepared: Path, item: Item) -> list[int]:
    """The classes of a window by looking for its tokens in the files: 0 where a word begins, 1 inside one."""
    body = item.ids_T[1:-1].tolist()
    for file in prepared.glob("parts/*/heldout.arrow"):
        for row in pyarrow.ipc.open_stream(file).read_all().to_pylist():
            ids = row["token_ids"]
            for begin in range(len(ids) - len(body) + 1):
                if ids[begin : begin + len(body)] == body:
                    words = [(unit["start"], unit["start"] + unit["length"]) for unit in row["units_word"]]
                    inside = {place for start, end in words for place in range(start + 1, end)}
                    return [int(begin + place - 1 in inside) for place in item.positions_M.tolist()]
    raise AssertionError("the window is not in the held-out documents")


def test_words_are_asked_as_the_folder_has_them(prepared: Path) -> None:
    asked = of_units(prepared, "words", 600, 40)
    assert asked.classes == ["begins", "goes on"] and asked.rows == len(asked.test)
    assert 500 <= sum(len(item.target_M) for item in asked.train) <= 640  # [UNK] is not asked for
    assert {len(item.ids_T) <= 40 for item in asked.train} == {True}
    item = max(asked.test, key=lambda item: len(item.ids_T))
    assert item.target_M.tolist() == slow_words(prepared, item)
    assert (
        asked.examples == of_units(prepared, "words", 600, 40).examples != of_units(prepared, "kinds", 600, 40).examples
    )


def test_kinds_of_units_are_asked_too(prepared: Path) -> None:
    asked = of_units(prepared, "kinds", 2000, 64)
    assert set(asked.classes) <= {"character", "word", "phrase", "entity"} and len(asked.classes) > 2
    with pytest.raises(ValueError, match="no manifest"):
        Probe(data=str(prepared / "none")).files()


def test_a_folder_gives_a_curve_with_selectivity(prepared: Path, subject: Subject) -> None:
    measure = Probe(data=str(prepared), tokens=2000, longest=64)
    measure.check(subject)
    found = measure.measure(subject, "all", CPU, print)
    layers = range(3)
    assert list(found.outcomes) == [
        "accuracy",
        *(f"accuracy/layer {n}" for n in layers),
        *(f"selectivity/layer {n}" for n in layers),
    ]
    assert found.outcomes["accuracy"].value == found.facts["curve"][found.facts["layer"]]
    for n in layers:
        value = found.outcomes[f"accuracy/layer {n}"].value - found.outcomes[f"selectivity/layer {n}"].value
        assert value == pytest.approx(found.facts["control"][n])
    assert found.outcomes["accuracy"].value > max(found.facts["shares"]) - 0.05
    assert found.outcomes["accuracy"].rows[:, 1].sum() == found.facts["positions"]["test"]


def write_task(folder: Path, labels: tuple[str, ...]) -> Path:
    random, file = np.random.default_rng(0), folder / "task.tsv"
    lines = [f"{'国' * random.integers(1, 9)}\t{labels[number % len(labels)]}" for number in range(60)]
    file.write_text("\n".join(["text\tlabel", *lines]) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_classes_of_texts_are_probed_without_a_control(subject: Subject, tmp_path: Path, pooling: str) -> None:
    task = Classification(train=str(write_task(tmp_path, ("a", "b"))), test=0.3, dev=0)
    found = Probe(task=task, pooling=pooling, longest=16).measure(subject, "all", CPU, print)
    assert list(found.outcomes) == ["accuracy", *(f"accuracy/layer {n}" for n in range(3))]
    assert len(found.outcomes["accuracy"].rows) == found.facts["samples"]["test"]


def test_labels_of_tokens_are_probed_by_their_own_figure(subject: Subject, tmp_path: Path) -> None:
    file = tmp_path / "tags.txt"
    file.write_text("他 O\n在 O\n北 B-LOC\n京 I-LOC\n\n国 B-LOC\n人 O\n\n" * 20, encoding="utf-8")
    task = TokenLabels(train=str(file), dev=0, test=str(file))
    found = Probe(task=task, longest=16).measure(subject, "all", CPU, print)
    assert list(found.outcomes)[:2] == ["f1", "f1/layer 0"] and "selectivity/layer 2" in found.outcomes
    assert found.outcomes["f1/layer 2"].value == 1.0  # it was fitted to the same sentences
    asked = of_task(task.bind(), subject.tokenizer, 16)
    assert asked.tokens and asked.classes == ["O", "B-LOC", "I-LOC"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{kind: probe}", "give a prepared folder or a `task`"),
        ("{kind: probe, data: x, question: letters}", "'letters' is not one of words, kinds"),
        ("{kind: probe, data: x, pooling: max}", "'max' is not one of mean, cls"),
        ("{kind: probe, data: x, tokens: 10}", "tokens: 10 must be at least 100"),
        ("{kind: probe, data: x, task: {kind: classification, train: x}}", "one of the two"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, settings: str, said: str) -> None:
    (tmp_path / "suite.yaml").write_text(f"output: out\nmodels: {{a: b}}\nmeasures: {{m: {settings}}}\n")
    with pytest.raises(ValueError, match=said):
        read_config(Suite, tmp_path / "suite.yaml", [])


def test_a_task_without_classes_and_a_model_that_is_too_short_are_refused(
    subject: Subject, tmp_path: Path, prepared: Path
) -> None:
    from pretrain.evaluation.tasks.pairs import Pairs

    (tmp_path / "pairs.tsv").write_text("".join(f"{n}\tb\t{n}\n" for n in range(30)))
    task = Pairs(
        train=str(tmp_path / "pairs.tsv"), columns={"first": 0, "second": 1, "label": 2}, scores=True, dev=0, test=0.3
    )
    with pytest.raises(ValueError, match="task: it has no classes"):
        Probe(task=task).files()
    with pytest.raises(ValueError, match="longest: 128 is more than the 64 positions of bert"):
        Probe(data=str(prepared)).check(subject)
