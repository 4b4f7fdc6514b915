"""Fine-tuning: the same numbers as plain transformers, choices by dev, frozen features, seeds."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from launch.settings.components import decode, field_docs, plain
from launch.settings.kinds import find_kind, kinds
from launch.settings.yaml_files import Source
from pretrain.evaluation.heads import Head
from pretrain.evaluation.heads.crf import Crf
from pretrain.evaluation.heads.linear import Linear
from pretrain.evaluation.measures.fine_tuning import FineTuning
from pretrain.evaluation.results import Found
from pretrain.evaluation.subjects import Subject, open_subject
from pretrain.evaluation.tasks import Task
from pretrain.evaluation.tasks.classification import Classification
from pretrain.evaluation.tasks.pairs import Pairs
from pretrain.evaluation.tasks.reading import Reading, best_pair
from pretrain.evaluation.tasks.token_labels import TokenLabels
from pretrain.evaluation.tuning import trial as trials
from pretrain.evaluation.tuning.training import Training, depth_of, parameter_groups
from pretrain.evaluation.tuning.trial import Data, Trial, train
from pretrain.network.adapters import Adapter, is_own

CPU = torch.device("cpu")
WORDS = [
    "good",
    "fine",
    "bad",
    "poor",
    "a",
    "the",
    "film",
    "food",
    "ann",
    "bob",
    "in",
    "rome",
    "##s",
    "who",
    "where",
    "is",
]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT folder of two layers, and task files."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForPreTraining

    found = tmp_path_factory.mktemp("bert")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (found / "vocab.txt").write_text("\n".join([*special, *WORDS]) + "\n", encoding="utf-8")
    BertWordPieceTokenizer(str(found / "vocab.txt")).save(str(found / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(special) + len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=24,
        initializer_range=0.2,
    )
    BertForPreTraining(config).save_pretrained(found)
    draw = np.random.default_rng(0)
    lines, scored, tagged = [], [], []
    for _ in range(120):
        words = [str(word) for word in draw.choice(WORDS[4:8], draw.integers(1, 6))]
        kind = int(draw.integers(4))
        words.insert(int(draw.integers(len(words) + 1)), WORDS[kind])
        lines.append(f"{' '.join(words)}\t{'yes' if kind < 2 else 'no'}\n")
        count = int(draw.integers(5))
        scored.append(f"{'good ' * count}film\tthe food\t{count}\n")
        names = [("ann", "B-PER"), ("bobs", "B-PER"), ("in", "O"), ("the", "O"), ("rome", "B-LOC")]
        tagged.append("".join(f"{w} {t}\n" for w, t in (names[int(n)] for n in draw.integers(0, 5, 4))) + "\n")
    for name, content in (("a.tsv", lines), ("scores.tsv", scored), ("a.conll", tagged)):
        (found / name).write_text("".join(content), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def subject(folder: Path) -> Subject:
    return open_subject("tiny", folder)


def sentiment(folder: Path, **more: Any) -> FineTuning:
    task = Classification(train=str(folder / "a.tsv"), columns={"text": 0, "label": 1}, dev=0.2, test=0.2)
    settings = {"lr": 5e-3, "epochs": 6, "batch": 8, **more.pop("training", {})}
    return FineTuning(task=task, seeds=[1, 2], longest=16, training=Training(**settings), **more)


def measured(measure: FineTuning, subject: Subject, piece: str = "1") -> Found:
    return measure.measure(subject, piece, CPU, lambda text: None)


def value(found: Found) -> float:
    return next(iter(found.outcomes.values())).value


def data_of(measure: FineTuning, subject: Subject) -> tuple[Any, Data]:
    problem = measure.task.bind()
    return problem, Data(*(problem.samples(part, subject.tokenizer, measure.longest) for part in problem.splits[:3]))


def test_losses_are_those_of_transformers_on_padded_batches(folder: Path, subject: Subject) -> None:
    from transformers import BertForSequenceClassification

    measure = sentiment(folder, training={"dropout": 0.0, "lr": 1e-3, "weight_decay": 0.1})
    problem, data = data_of(measure, subject)
    trial = Trial(subject, Linear(), problem, measure.training, 1, CPU)
    plain = BertForSequenceClassification.from_pretrained(
        folder, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager"
    )
    plain.classifier.load_state_dict(trial.tuned.head.project.state_dict())
    named = list(plain.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for _, p in named if p.dim() > 1], "weight_decay": 0.1},
            {"params": [p for _, p in named if p.dim() == 1], "weight_decay": 0.0},
        ],
        lr=1e-3,
        eps=1e-6,
    )
    for step in range(6):
        chosen = data.train[step * 8 : step * 8 + 8]
        ids = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(sample.input.ids_T) for sample in chosen], batch_first=True
        )
        labels = torch.tensor([int(sample.target_N[0]) for sample in chosen])
        plain.train()
        loss = plain(input_ids=ids, attention_mask=(ids > 0).long(), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        assert trial.step(chosen, 1.0, step) == pytest.approx(float(loss.detach()), abs=1e-5)
    logits = np.concatenate(trial.predict(data.train[:8]))
    ids = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(sample.input.ids_T) for sample in data.train[:8]], batch_first=True
    )
    with torch.no_grad():
        expected = plain.eval()(input_ids=ids, attention_mask=(ids > 0).long()).logits
    np.testing.assert_allclose(logits, expected.numpy(), atol=2e-4)


def test_a_seed_says_everything_and_the_best_epoch_is_reported(folder: Path, subject: Subject) -> None:
    measure = sentiment(folder)
    before = {name: tensor.clone() for name, tensor in subject.encoder.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    found, again, other = (measured(measure, subject, piece) for piece in ("1", "1", "2"))
    assert torch.equal(torch.get_rng_state(), state)
    assert found.facts == again.facts and value(found) == value(again)
    assert found.facts["loss"] != other.facts["loss"]
    assert all(torch.equal(before[name], tensor) for name, tensor in subject.encoder.state_dict().items())
    assert value(found) > 0.9
    dev = found.facts["dev"]
    assert dev[found.facts["epoch"] - 1] == max(dev) and found.facts["epoch"] == dev.index(max(dev)) + 1
    assert found.facts["examples"]["train"] == len(measure.task.bind().splits.train)
    assert measure.pieces() == ["1", "2"] and measure.files() == [folder / "a.tsv"]


def test_the_weights_of_the_best_epoch_come_back(
    folder: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dev says epoch 2; what is reported is what training for 2 epochs under the same schedule would give."""
    measure = sentiment(folder, training={"schedule": "constant", "epochs": 4, "warmup": 0.0})
    problem, data = data_of(measure, subject)
    values = iter([0.1, 0.9, 0.5, 0.9])
    real = problem.outcomes

    def outcomes(examples: Any, samples: Any, logits: Any) -> Any:
        found = real(examples, samples, logits)
        if examples is problem.splits.dev:
            fixed = next(values)
            return {"accuracy": dataclasses.replace(found["accuracy"], rows=np.array([[fixed, 1.0]]))}
        return {"logits": logits}

    monkeypatch.setattr(problem, "outcomes", outcomes)
    four = train(Trial(subject, Linear(), problem, measure.training, 1, CPU), data, lambda text: None)
    assert (four.epoch, four.dev) == (2, [0.1, 0.9, 0.5, 0.9])
    values = iter([0.1, 0.2])
    two = dataclasses.replace(measure.training, epochs=2)
    direct = train(Trial(subject, Linear(), problem, two, 1, CPU), data, lambda text: None)
    assert all(map(np.array_equal, four.outcomes["logits"], direct.outcomes["logits"]))  # type: ignore[call-overload]
    values = iter([0.1, 0.9, 0.5, 0.4])
    patient = dataclasses.replace(measure.training, patience=1)
    stopped = train(Trial(subject, Linear(), problem, patient, 1, CPU), data, lambda text: None)
    assert (stopped.epoch, len(stopped.dev)) == (2, 3)
    values = iter([0.9, 0.5])
    last = dataclasses.replace(two, keep="last")
    assert train(Trial(subject, Linear(), problem, last, 1, CPU), data, lambda text: None).epoch == 2


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler"])
@pytest.mark.parametrize("layers", ["last", "mix"])
def test_frozen_features_are_computed_once_and_leave_the_encoder(
    folder: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch, pooling: str, layers: str
) -> None:
    if (pooling, layers) == ("pooler", "mix"):
        with pytest.raises(ValueError, match="layers: mix is a sum of layers"):
            Training(pooling=pooling, layers=layers)
        return
    settings = {"frozen": True, "pooling": pooling, "layers": layers, "head_lr": 0.05, "epochs": 3, "dropout": 0.0}
    measure = sentiment(folder, training=settings)
    problem, data = data_of(measure, subject)
    trial = Trial(subject, Linear(), problem, measure.training, 1, CPU)
    encoder = {name: tensor.clone() for name, tensor in trial.tuned.encoder.state_dict().items()}
    kept = train(trial, data, lambda text: None)
    assert all(torch.equal(encoder[name], tensor) for name, tensor in trial.tuned.encoder.state_dict().items())
    assert len(trial.known) == len(data.train) + len(data.dev)
    monkeypatch.setattr(trials, "FEATURE_BYTES", 0)
    anew = Trial(subject, Linear(), problem, measure.training, 1, CPU)
    assert train(anew, data, lambda text: None).loss == pytest.approx(kept.loss, abs=1e-5)
    assert not anew.known and kept.loss[-1] < kept.loss[0]


def test_mean_and_mixed_features_are_those_of_every_text_alone(folder: Path, subject: Subject) -> None:
    from transformers import BertModel

    measure = sentiment(folder, training={"pooling": "mean", "layers": "mix"})
    problem, data = data_of(measure, subject)
    trial = Trial(subject, Linear(), problem, measure.training, 1, CPU)
    plain = BertModel.from_pretrained(folder).eval()
    assert trial.tuned.mix is not None
    with torch.no_grad():
        trial.tuned.mix.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
        found = trial.tuned.eval().mix(trial.tuned.features(data.train[:4], CPU))  # type: ignore[misc]
        for sample, state in zip(data.train[:4], found, strict=True):
            hidden = plain(
                input_ids=torch.from_numpy(sample.input.ids_T)[None], output_hidden_states=True
            ).hidden_states
            weights = torch.tensor([0.5, -1.0, 2.0]).softmax(0)
            mixed = sum(weight * layer[0] for weight, layer in zip(weights, hidden, strict=True))
            torch.testing.assert_close(state, mixed.mean(0), atol=1e-5, rtol=1e-4)  # type: ignore[union-attr]


def test_a_pooler_that_nobody_trained_is_not_read_frozen(folder: Path, subject: Subject) -> None:
    bare = dataclasses.replace(subject, pooler=False)
    with pytest.raises(ValueError, match=r"its pooler was never trained.*cls or mean"):
        sentiment(folder, training={"frozen": True}).check(bare)
    sentiment(folder, training={"frozen": True, "pooling": "cls"}).check(bare)
    sentiment(folder).check(bare)


def test_rates_by_depth_schedules_and_unfreezing() -> None:
    names = {
        "encoder.embeddings.word_embeddings.weight": 0,
        "encoder.encoder.layer.0.output.dense.weight": 1,
        "encoder.encoder.layer.11.output.dense.bias": 12,
        "encoder.pooler.dense.weight": 12,
        "head.project.weight": 13,
        "mix.weight": 13,
    }
    assert {name: depth_of(name, 12) for name in names} == names
    training = Training(lr=1.0, layer_decay=0.5, head_lr=3.0)
    named = [(name, torch.nn.Parameter(torch.zeros(2, *([2] * name.endswith("weight"))))) for name in names]
    rates = {id(p): group["peak"] for group in parameter_groups(named, training, 12) for p in group["params"]}
    assert [rates[id(p)] for _, p in named] == [0.5**13, 0.5**12, 0.5, 1.0, 3.0, 3.0]
    gradual = Training(gradual=True, frozen_epochs=2)
    assert [gradual.frozen_depth(epoch, 2) for epoch in range(7)] == [3, 3, 3, 2, 1, 0, 0]
    linear = Training(warmup=0.1)
    assert [linear.share(step, 20) for step in (0, 1, 2, 11, 19)] == [0, 0.5, 1, 0.5, 1 / 18]
    slanted = Training(schedule="triangular")
    shares = [slanted.share(step, 100) for step in range(101)]
    assert shares[10] == 1 and shares[0] == shares[100] == 1 / 32
    assert shares[5] == pytest.approx((1 + 0.5 * 31) / 32) and shares[55] == pytest.approx((1 + 0.5 * 31) / 32)


def test_gradual_unfreezing_moves_only_what_it_should(folder: Path, subject: Subject) -> None:
    measure = sentiment(folder, training={"gradual": True, "epochs": 2, "keep": "last"})
    problem, data = data_of(measure, subject)
    trial = Trial(subject, Linear(), problem, measure.training, 1, CPU)
    before = {name: p.detach().clone() for name, p in trial.tuned.named_parameters()}
    train(trial, data, lambda text: None)
    depths = {trial.depths[name] for name, p in trial.tuned.named_parameters() if not torch.equal(before[name], p)}
    assert depths == {2, 3}


def test_scores_tokens_and_answers_are_learned(folder: Path, subject: Subject) -> None:
    training = Training(lr=5e-3, epochs=6, head_lr=2e-2)
    scores = Pairs(
        train=str(folder / "scores.tsv"), columns={"first": 0, "second": 1, "label": 2}, scores=True, dev=0.0, test="x"
    )
    scores = dataclasses.replace(scores, test=scores.train)
    assert value(measured(FineTuning(task=scores, longest=16, training=training), subject)) > 0.9
    tags = TokenLabels(train=str(folder / "a.conll"))
    for head in (Linear(), Crf()):
        found = measured(FineTuning(task=tags, longest=8, training=training, head=head), subject)
        assert value(found) > 0.9 and list(found.outcomes) == ["f1", "f1_strict"]
        assert found.facts["samples"]["train"] > found.facts["examples"]["train"], "no sentence was read in windows"


def test_words_and_sentences_that_vanish_in_the_tokenizer_are_missed_not_fatal(folder: Path, subject: Subject) -> None:
    file = folder / "vanishing.conll"
    lines = "".join(f"ann B-PER\n\u200b I-PER\n{word} O\n\n" for word in WORDS[:8]) + "\u200b B-PER\n\n"
    file.write_text(lines, encoding="utf-8")
    problem = TokenLabels(train=str(file), test=str(file), dev=0).bind()
    samples = problem.samples(problem.splits.train, subject.tokenizer, 16)
    assert len(problem.splits.train) == 9 and {sample.example for sample in samples} == set(range(8))
    perfect = [np.eye(problem.outputs, dtype=np.float32)[sample.target_N] for sample in samples]
    rows = problem.outcomes(problem.splits.train, samples, perfect)["f1"].rows
    assert rows[:8].tolist() == [[0, 1, 1]] * 8 and rows[8].tolist() == [0, 0, 1]


def test_windows_of_sentences_hold_every_unit_once(folder: Path, subject: Subject) -> None:
    problem = TokenLabels(train=str(folder / "a.conll")).bind()
    for longest in (4, 5, 6, 9, 64):
        samples = problem.samples(problem.splits.train, subject.tokenizer, longest)
        assert max(len(sample.input.ids_T) for sample in samples) <= longest
        targets: dict[int, list[int]] = {}
        for sample in samples:
            assert len(sample.positions_M) == len(sample.target_N)
            targets.setdefault(sample.example, []).extend(sample.target_N.tolist())
        words = [len(example.units) for example in problem.splits.train]
        assert [len(targets[number]) for number in range(len(words))] == words
        perfect = [np.eye(problem.outputs, dtype=np.float32)[sample.target_N] for sample in samples]
        rows = problem.outcomes(problem.splits.train, samples, perfect)["f1"].rows
        assert rows[:, 1:].sum() == 0 and rows[:, 0].sum() > 0


def test_the_best_pair_is_the_best_of_all_pairs() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        scores, longest = draw.normal(size=(int(draw.integers(1, 9)), 2)).astype(np.float32), int(draw.integers(1, 5))
        pairs = [(a, b) for a, b in itertools.product(range(len(scores)), repeat=2) if 0 <= b - a < longest]
        expected = max(pairs, key=lambda pair: scores[pair[0], 0] + scores[pair[1], 1])
        assert best_pair(scores, longest)[:2] == expected


def test_answers_are_read_in_windows(folder: Path, subject: Subject) -> None:
    import json

    context = "the film is a the food in rome a the film is ann " + "a the " * 6
    one = {"id": "1", "question": "who is", "answers": [{"text": "ann", "answer_start": context.index("ann")}]}
    file = folder / "squad.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": [one]}]}]}), encoding="utf-8")
    task = Reading(train=str(file), test=str(file), dev=0, stride=4)
    found = measured(FineTuning(task=task, longest=16, training=Training(lr=2e-2, epochs=12, dropout=0.0)), subject)
    assert found.facts["samples"]["test"] > 3
    assert {name: outcome.value for name, outcome in found.outcomes.items()} == {"f1": 1.0, "exact": 1.0}


def test_a_grid_says_that_it_is_the_best_of_several(folder: Path, subject: Subject) -> None:
    measure = sentiment(folder, grid={"lr": [1e-7, 5e-3], "batch": [8]}, training={"epochs": 5})
    found = measured(measure, subject)
    assert list(found.outcomes) == ["accuracy (best of 2 by dev)", "macro_f1 (best of 2 by dev)"]
    assert found.facts["chosen"] == {"lr": 5e-3, "batch": 8} and value(found) > 0.8
    assert [sorted(point) for point in found.facts["grid"]] == [["batch", "dev", "lr"]] * 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"seeds": [1, 1]}, "seeds: .* different"),
        ({"longest": 4}, "longest: 4 must be at least 8"),
        ({"grid": {"rate": [1]}}, "grid: 'rate' is not a setting of training: epochs, batch, lr"),
        ({"grid": {"lr": ["big"]}}, "grid: lr: .* different values of float"),
        ({"grid": {"batch": [0]}}, "grid: batch: 0 must be at least 1"),
        ({"grid": {"lr": []}}, "grid: lr"),
    ],
)
def test_settings_that_make_no_sense_are_refused(folder: Path, more: dict[str, Any], message: str) -> None:
    task = Classification(train=str(folder / "a.tsv"), columns={"text": 0, "label": 1})
    with pytest.raises(ValueError, match=message):
        FineTuning(**{"task": task, **more})


def test_a_crf_is_for_tags_and_files_must_be_there(folder: Path) -> None:
    with pytest.raises(ValueError, match="head: a CRF judges sequences of tags"):
        sentiment(folder, head=Crf()).files()
    missing = Classification(train="none.tsv", columns={"text": 0, "label": 1})
    with pytest.raises(ValueError, match=r"train: none\.tsv: no such file"):
        FineTuning(task=missing).files()
    with pytest.raises(ValueError, match="frozen: true trains the head alone"):
        Training(frozen=True, layer_decay=0.9)


CHOICES: dict[str, dict[str, Any]] = {
    "classification": {},
    "pairs": {"scores": True},
    "token_labels": {"scheme": "bmes"},
    "reading": {"compare": "characters"},
    "linear": {},
    "crf": {},
    "bilstm_crf": {"size": 4},
}
"""Settings of every task and head; a new file asks for a line here."""


@pytest.mark.parametrize("base", [Task, Head])
def test_every_task_and_head_is_a_choice_with_documented_settings(base: type) -> None:
    for kind in kinds(base):
        cls = find_kind(base, kind)
        assert cls is not None and dataclasses.is_dataclass(cls) and cls.__doc__
        assert set(field_docs(cls)) >= {item.name for item in dataclasses.fields(cls)}
        built = cls(**({"train": "a.tsv"} if base is Task else {}), **CHOICES[kind])
        assert decode(base, Source(plain(built), {})) == built


@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
def test_beside_an_adapter_the_encoder_stays_and_the_task_is_learned(folder: Path, subject: Subject, kind: str) -> None:
    if kind == "lora":
        pytest.importorskip("peft")
    adapter = decode(Adapter, Source({"kind": kind}, {}))  # type: ignore[type-abstract]
    measure = sentiment(folder, training={"lr": 2e-2, "epochs": 3, "dropout": 0.0})
    problem, data = data_of(measure, subject)
    trial = Trial(subject, Linear(), problem, measure.training, 1, CPU, adapter)
    before = {name: p.detach().clone() for name, p in trial.tuned.named_parameters()}
    losses = train(trial, data, lambda text: None).loss
    moved = {name for name, p in trial.tuned.named_parameters() if not torch.equal(before[name], p)}
    assert {name.partition(".")[0] for name in moved} == {"head", "encoder"}
    assert all(is_own(name) for name in moved if name.startswith("encoder."))
    assert losses[-1] < losses[0] - 0.05
    with pytest.raises(ValueError, match=r"adapter: training\.frozen trains the head alone"):
        sentiment(folder, training={"frozen": True}, adapter=adapter)


@pytest.mark.parametrize("kind", ["electra", "modernbert"])
def test_other_architectures_are_tuned_and_read_layer_by_layer(folder: Path, tmp_path: Path, kind: str) -> None:
    import shutil

    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

    shape: dict[str, Any] = {
        "vocab_size": len(WORDS) + 5,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 32,
        "pad_token_id": 0,
        **({"embedding_size": 16} if kind == "electra" else {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2}),
    }
    torch.manual_seed(0)
    AutoModelForMaskedLM.from_config(AutoConfig.for_model(kind, **shape)).save_pretrained(tmp_path)
    shutil.copy(folder / "tokenizer.json", tmp_path)
    subject = open_subject(kind, tmp_path)
    measure = sentiment(folder, training={"layers": "mix", "pooling": "cls", "epochs": 1, "layer_decay": 0.9})
    problem, data = data_of(measure, subject)
    trial = Trial(subject, Linear(), problem, measure.training, 1, CPU)
    plain = AutoModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        found = trial.tuned.eval().features(data.train[:2], CPU)
        for number, sample in enumerate(data.train[:2]):
            ids = torch.from_numpy(sample.input.ids_T)[None]
            output = plain(input_ids=ids, output_hidden_states=True)
            expected = [*output.hidden_states[:-1], output.last_hidden_state]
            torch.testing.assert_close(
                found[:, number], torch.stack([layer[0, 0] for layer in expected]), atol=1e-5, rtol=1e-4
            )
    assert len({group["peak"] for group in trial.optimizer.param_groups}) == 4
    dropped = [module.p for module in trial.tuned.encoder.modules() if isinstance(module, torch.nn.Dropout)]
    assert 0.1 in dropped
    assert np.isfinite(train(trial, data, lambda text: None).loss).all()
