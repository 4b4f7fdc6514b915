"""Tasks that encode a batch in another way: replaced tokens, a target behind its source, triples and their sentences."""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from data_prep.corpora.triples import MOST, Triples
from data_prep.documents import SEGMENT, Given, Place, Record, Rejected
from data_prep.engines import Engine
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.vocabularies.vocabulary import Vocabulary
from launch.settings.components import decode, load
from masking.keyed import mix
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.batch import Batch
from pretrain.feed.building import check_built
from pretrain.feed.loading import BatchMaker
from pretrain.feed.means import counted, scales, told_counts
from pretrain.feed.packed import Packed
from pretrain.feed.samples import NO_LABEL
from pretrain.feed.sampling import MicroBatchSpec, Sampler
from pretrain.feed.texts import Texts
from pretrain.forward.loss import Loss, minimised
from pretrain.metrics.sums import rows_of
from pretrain.model import PretrainingModel
from pretrain.network.encoder import encode
from pretrain.objectives.prefix_lm import PrefixLm
from pretrain.objectives.replaced_token_detection import ReplacedTokenDetection, narrower
from pretrain.objectives.universal_triples import UniversalTriples
from pretrain.setup import build_model

PEOPLE = ["anna", "boris", "clara", "david", "emil", "flora", "georg", "hanna"]
WORDS_ONLY = "masking.strategy.units=[word]"
FACTS = [
    ("lives in", "rome"),
    ("was born in", "paris"),
    ("works for", "a bank"),
    ("studied", "music"),
    ("owns", "a dog"),
]


@dataclass(frozen=True, kw_only=True)
class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


@dataclass(frozen=True)
class Made:
    """A run of one task and what it is made of."""

    run: Run
    corpus: Corpus
    maker: BatchMaker

    def spec(self, rows: int = 4) -> MicroBatchSpec:
        """The first rows of the run."""
        found, _ = Sampler(streams=self.maker.streams, rows_per_step=rows).step({})
        return MicroBatchSpec(0, found, 0.0)

    def model(self) -> PretrainingModel:
        """As the run begins with it."""
        return build_model(self.run, 0, self.corpus.tokenizer)

    def texts(self) -> Texts:
        """All windows of the first stream."""
        source = next(iter(self.maker.streams.values())).source
        return source.texts(next(source.all_windows()))


def made(file: Path, task: str, *overrides: str, **others: str) -> Made:
    """A run of the task ``probe``, written as YAML flow; ``others`` ride on its rows."""
    source = load(file, ["model.dropout=0", *overrides])
    tasks = {"probe": task, **others}
    loaded = load(file, [f"tasks={{{', '.join(f'{name}: {text}' for name, text in tasks.items())}}}"])
    source.value["tasks"] = {name: loaded.value["tasks"][name] for name in tasks}
    source.value["stages"] = [{"name": "one", "steps": 4, "tasks": {"probe": 1, **dict.fromkeys(others, 0)}}]
    corpus = Corpus(run=decode(Run, source))
    run = corpus.bound
    return Made(run, corpus, corpus.maker(run.stages[0], "train", run.masking))


def samples_of(packed: Packed) -> Iterator[tuple[int, int, int]]:
    """(number, first, last) of every sample in the batch."""
    for number, (start, length) in enumerate(zip(packed.sample_start_S, packed.samples.length_S, strict=True)):
        yield number, int(start), int(start + length)


def seen_by(model: PretrainingModel, batch: Batch, seed: int = 3) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The loss of the task, and all ids that the main encoder was given."""
    calls: list[torch.Tensor] = []
    hook = model.ernie.embeddings.register_forward_pre_hook(  # type: ignore[union-attr, operator]
        lambda module, args, kwargs: calls.append(kwargs["input_ids"][0].clone()), with_kwargs=True
    )
    torch.manual_seed(seed)
    loss, _ = model(batch, {"probe": 1.0})
    hook.remove()
    return loss, calls


def learnt(one: Made, rows: int, steps: int, lr: float) -> dict[str, float]:
    """Accuracy of each group on the rows that it was trained on."""
    batch, model = one.maker[one.spec(rows)], one.model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    scale = scales(one.maker.objectives, batch.counts)
    for step in range(steps):
        torch.manual_seed(step)
        loss, stats = model(batch, scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    table = rows_of(stats, {name: task.groups for name, task in one.run.tasks.items()})["probe"]
    return {group: float(row[1] / row[2]) for group, row in zip(one.run.tasks["probe"].groups, table[1:], strict=True)}


# --- several means
# --------------------------------------------------------------------------------------------------------------------


def test_counts_and_scales_of_tasks_with_parts() -> None:
    tasks: Any = {"words": PrefixLm(weight=2.0), "electra": ReplacedTokenDetection(weight=0.5)}
    assert counted(tasks) == ["words", "electra", "electra/generator", "electra/detector"]
    parts = {"generator": 10, "detector": 80}
    assert told_counts("electra", tasks["electra"].means, parts) == {
        "electra": 90,
        "electra/generator": 10,
        "electra/detector": 80,
    }
    counts = {"words": 4.0, "electra": 90.0, "electra/generator": 10.0, "electra/detector": 0.0}
    assert scales(tasks, counts) == {
        "words": 0.5,
        "electra": 0.5 / 90,
        "electra/generator": 0.05,
        "electra/detector": 25.0,
    }


@pytest.mark.parametrize(
    ("means", "count", "message"),
    [
        ({"a": 1.0}, 3, "tells one count, and `means` names a"),
        ({}, {"a": 3}, "tells counts of a, and `means` names none"),
        ({}, {}, "tells counts of no part, and `means` names none"),
        ({"a": 1.0, "b": 1.0}, {"a": 3}, "tells counts of a, and `means` names a, b"),
    ],
)
def test_targets_must_count_the_parts_that_the_task_names(means: Any, count: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        told_counts("probe", means, count)


def test_a_loss_must_say_what_its_targets_count_in() -> None:
    loss = Loss(torch.ones(3), torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="gives its targets no mean, and `means` names a"):
        minimised("probe", loss, {"a": 1.0}, {"probe": 1.0})
    with pytest.raises(ValueError, match="gives its targets means, and `means` names none"):
        minimised("probe", loss._replace(mean=torch.zeros(3, dtype=torch.long)), {}, {"probe": 1.0})


def test_both_means_are_exact_over_batches_of_different_sizes(tiny_run: Path) -> None:
    one = made(tiny_run, "{kind: replaced_token_detection, detection_weight: 7, generator_weight: 3, weight: 2}")
    rows, _ = Sampler(streams=one.maker.streams, rows_per_step=4).step({})
    batches = [one.maker[MicroBatchSpec(0, part, 0.0)] for part in (rows[:1], rows[1:])]
    counts = {name: float(sum(batch.counts[name] for batch in batches)) for name in counted(one.maker.objectives)}
    model, total, table = one.model(), 0.0, torch.zeros(4, 3, dtype=torch.float64)
    for number, batch in enumerate(batches):
        torch.manual_seed(number)
        loss, stats = model(batch, scales(one.maker.objectives, counts))
        total, table = total + loss.item(), table + stats
    (generated, _, hidden), *detected = table[1:].tolist()
    assert hidden == counts["probe/generator"] and sum(row[2] for row in detected) == counts["probe/detector"]
    expected = 2 * (3 * generated / hidden + 7 * sum(row[0] for row in detected) / sum(row[2] for row in detected))
    assert total == pytest.approx(expected, rel=1e-5)


# --- replaced tokens
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_main_encoder_sees_the_text_with_drawn_tokens_and_never_a_mask(tiny_run: Path, shuffled: bool) -> None:
    others = {"order": "{kind: token_order}"} if shuffled else {}
    shuffle = ["masking.shuffle={}"] if shuffled else []
    one = made(tiny_run, "{kind: replaced_token_detection}", *shuffle, **others)
    packed, batch, model = one.maker.packed(one.spec()), one.maker[one.spec()], one.model()
    _, calls = seen_by(model, batch)
    (seen_T,) = (call.numpy() for call in calls)
    unlike = np.flatnonzero(seen_T != packed.original_T)
    assert len(unlike) and set(unlike) <= set(packed.hidden.position_M.tolist())
    assert one.corpus.specials.mask in packed.corrupted_T and one.corpus.specials.mask not in seen_T[: len(seen_T)]
    torch.manual_seed(3)
    _, stats = model(batch, {"probe": 1.0})
    assert stats[3, 2] == len(unlike)  # a token that was guessed right counts as original


def test_every_token_of_a_sample_in_which_something_may_be_hidden_is_judged(tiny_run: Path) -> None:
    one = made(tiny_run, "{kind: replaced_token_detection}")
    packed = one.maker.packed(one.spec())
    maskable_T = packed.units.maskable_T.copy()
    without = next(itertools.islice(samples_of(packed), 1, None))
    maskable_T[without[1] : without[2]] = False
    changed = replace(packed, units=replace(packed.units, maskable_T=maskable_T))
    arrays, count = one.run.tasks["probe"].targets(changed, "probe")
    expected = [
        place for number, first, last in samples_of(packed) if number != without[0] for place in range(first, last)
    ]
    assert arrays["real"].tolist() == expected
    assert count == {"generator": len(packed.hidden.position_M), "detector": len(expected)}
    assert np.array_equal(arrays["label"], packed.original_T[arrays["position"]])


def test_drawn_tokens_follow_the_softmax_at_its_temperature() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -30.0]])
    for temperature, disallow in ((1.0, False), (0.5, False), (2.0, True)):
        task = ReplacedTokenDetection(temperature=temperature, disallow_correct=disallow)
        torch.manual_seed(0)
        drawn = task._drawn(logits.expand(20_000, -1), torch.full((20_000,), 2))
        share = (logits[0] / temperature).exp()
        share[2] *= not disallow
        share /= share.sum()
        assert torch.allclose(drawn.bincount(minlength=4) / 20_000, share, atol=0.018)  # 5 standard deviations


def test_a_batch_is_drawn_anew_by_another_seed_and_equally_by_the_same(tiny_run: Path) -> None:
    one = made(tiny_run, "{kind: replaced_token_detection}")
    batch, model = one.maker[one.spec()], one.model()
    (first, a), (again, b), (other, c) = (seen_by(model, batch, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and torch.equal(a[0], b[0]) and not torch.equal(a[0], c[0]) and first != other


def test_where_the_original_is_never_drawn_every_hidden_token_is_replaced(tiny_run: Path) -> None:
    one = made(tiny_run, "{kind: replaced_token_detection, disallow_correct: true}")
    batch, model = one.maker[one.spec()], one.model()
    torch.nn.init.zeros_(model.heads["probe"].decoder.bias)  # type: ignore[union-attr, arg-type]
    _, stats = model(batch, {"probe": 1.0})
    assert stats[3, 2] == stats[1, 2] == batch.counts["probe/generator"]


@torch.no_grad()
def test_the_exported_generator_is_a_plain_encoder_with_the_same_states(tiny_run: Path) -> None:
    for size, width in ((0.5, 16), (1.0, 32)):
        one = made(tiny_run, f"{{kind: replaced_token_detection, generator_size: {size}}}")
        batch, model = one.maker[one.spec()], one.model().eval()
        head: Any = model.heads["probe"]
        assert head.decoder.weight is model.ernie.embeddings.word_embeddings.weight  # type: ignore[union-attr]
        assert head.generator.embeddings.word_embeddings.table.weight is head.decoder.weight
        (folded,) = one.run.tasks["probe"].companions(head).values()
        assert folded.embeddings.word_embeddings.weight.shape == (len(one.corpus.tokenizer.tokens), width)
        real = batch.real_tokens
        ours, plain = encode(head.generator, batch), encode(folded, batch)
        assert ours.shape[1] == width and torch.allclose(ours[:real], plain[:real], atol=1e-5)


@pytest.mark.parametrize(
    ("heads", "hidden", "size", "expected"),
    [(12, 768, 1 / 3, (4, 256, 1024)), (4, 256, 1 / 4, (1, 64, 256)), (12, 768, 0.3, (4, 232, 922))],
)
def test_generators_are_as_narrow_as_the_paper_says(
    tiny_run: Path, heads: int, hidden: int, size: float, expected: tuple[int, int, int]
) -> None:
    config = copy.deepcopy(made(tiny_run, "{kind: replaced_token_detection}").model().config)
    config.num_attention_heads, config.hidden_size, config.intermediate_size = heads, hidden, 4 * hidden
    small = narrower(config, size)
    assert (small.num_attention_heads, small.hidden_size, small.intermediate_size) == expected
    assert small.num_hidden_layers == config.num_hidden_layers and config.hidden_size == hidden


@pytest.mark.parametrize(
    ("task", "wrong", "message"),
    [
        (ReplacedTokenDetection, {"generator_size": 0}, r"generator_size: 0 must lie in \(0, 1\]"),
        (ReplacedTokenDetection, {"generator_size": 1.5}, "generator_size: 1.5"),
        (ReplacedTokenDetection, {"detection_weight": 0}, "detection_weight: 0 must be positive"),
        (ReplacedTokenDetection, {"generator_weight": -1}, "generator_weight: -1 must be positive"),
        (ReplacedTokenDetection, {"temperature": 0}, "temperature: 0 must be positive"),
        (PrefixLm, {"tokens": "all"}, "tokens: 'all' is not one of masked, next"),
        (UniversalTriples, {"relation_share": 1.1}, r"relation_share: 1.1 must lie in \[0, 1\]"),
    ],
)
def test_settings_without_sense_are_refused(task: Callable[..., Any], wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(**wrong)


# --- a target behind its source
# --------------------------------------------------------------------------------------------------------------------


def test_a_window_is_cut_at_a_drawn_end_of_a_sentence(tiny_run: Path) -> None:
    one = made(tiny_run, "{kind: prefix_lm}")
    task, texts, specials = one.run.tasks["probe"], one.texts(), one.corpus.specials
    cuts: Counter[int] = Counter()
    for epoch in range(3):
        keys = np.array([mix(number * 7919 + epoch) for number in range(len(texts))], np.uint64)
        built = task.build_all(texts, keys, "probe", specials)
        check_built(built, texts, task, "probe", one.run.batch.max_sample_tokens)
        for number, (text, sample) in enumerate(zip(texts, built.samples, strict=True)):
            tokens, ids = text.token_ids_T.tolist(), sample.token_ids_T.tolist()
            alone = task.build(text, int(keys[number]), "probe", specials)
            assert np.array_equal(alone.token_ids_T, sample.token_ids_T) and alone.labels == sample.labels
            ends = text.sentence_ends_S.tolist()[:-1]
            if not ends:
                assert ids == [specials.cls, *tokens, specials.sep] and not sample.labels
                continue
            cut = int((sample.segment_ids_T == 0).sum()) - 2
            assert sample.labels == {"probe": 0} and cut in ends
            cuts.update([ends.index(cut)] if len(ends) == 2 else [])
            assert ids == [specials.cls, *tokens[:cut], specials.sep, *tokens[cut:], specials.sep]
            assert sample.segment_ids_T.tolist() == [0] * (cut + 2) + [1] * (len(tokens) - cut + 1)
    assert set(cuts) == {0, 1} and abs(cuts[0] - cuts[1]) < 5 * cuts.total() ** 0.5


@pytest.mark.parametrize("tokens", ["masked", "next"])
def test_targets_are_hidden_tokens_of_both_segments_or_all_of_the_second(tiny_run: Path, tokens: str) -> None:
    one = made(tiny_run, f"{{kind: prefix_lm, tokens: {tokens}}}")
    packed = one.maker.packed(one.spec())
    arrays, count = one.run.tasks["probe"].targets(packed, "probe")
    expected = []
    hidden = dict(zip(packed.hidden.position_M.tolist(), packed.hidden.label_M.tolist(), strict=True))
    for number, first, last in samples_of(packed):
        sample = packed.samples[number]
        source = first + int((sample.segment_ids_T == 0).sum())
        assert arrays["prefix"][number] == (source if sample.labels else last) - first
        if not sample.labels:
            continue
        if tokens == "masked":
            expected += [
                (place, hidden[place], int(place >= source)) for place in range(first, last) if place in hidden
            ]
        else:
            expected += [(place - 1, int(packed.original_T[place]), 1) for place in range(source, last)]
    found = zip(*(arrays[name].tolist() for name in ("position", "label", "group")), strict=True)
    assert list(found) == expected and count == len(expected) > 0


@torch.no_grad()
@pytest.mark.parametrize("tokens", ["masked", "next"])
def test_no_prediction_sees_a_later_token_of_the_target(tiny_run: Path, tokens: str) -> None:
    one = made(tiny_run, f"{{kind: prefix_lm, tokens: {tokens}}}", "model.layers=2")
    packed, batch, model = one.maker.packed(one.spec()), one.maker[one.spec()], one.model().eval()
    targets = batch.targets["probe"]

    def logits(ids: Batch) -> torch.Tensor:
        taken: list[torch.Tensor] = []
        hook = model.heads["probe"].register_forward_hook(lambda module, given, found: taken.append(found))
        model(ids, {"probe": 1.0})
        hook.remove()
        return taken[0]

    before, tried = logits(batch), 0
    for number, first, last in samples_of(packed):
        prefix = int(targets["prefix"][number])
        position = targets["position"]
        for place in range(first + prefix, last - 1, 3):
            ids = batch.input_ids.clone()
            ids[0, place] = 9 if ids[0, place] != 9 else 10
            kept = {**targets, "original": torch.where(targets["changed"] == place, ids[0, place], targets["original"])}
            after = logits(replace(batch, input_ids=ids, targets={"probe": kept}))
            earlier = position < place
            assert torch.equal(after[earlier], before[earlier])
            mine = (position >= place) & (position < last)
            assert not mine.any() or not torch.equal(after[mine], before[mine])
            tried += int((earlier & (position >= first)).sum())
        if tried > 200:
            break
    assert tried


def test_next_tokens_are_read_from_the_text_as_it_is(tiny_run: Path) -> None:
    one = made(tiny_run, "{kind: prefix_lm, tokens: next}")
    packed, batch = one.maker.packed(one.spec()), one.maker[one.spec()]
    _, calls = seen_by(one.model(), batch)
    assert len(calls) == 1 and np.array_equal(calls[0].numpy(), packed.original_T)


def test_rows_of_another_task_are_not_asked(tiny_run: Path) -> None:
    one = made(tiny_run, "{kind: knowledge_masking}", prefix="{kind: prefix_lm}")
    batch = one.maker[one.spec()]
    assert batch.counts["probe"] and batch.counts["prefix"] == 0
    loss, _ = one.model()(batch, {"prefix": 1.0})
    assert loss.item() == 0.0


def test_targets_behind_their_sources_are_learnt_by_heart(tiny_run: Path) -> None:
    one = made(tiny_run, "{kind: prefix_lm}", "model.layers=2", "model.hidden=64")
    found = learnt(one, 8, 80, 3e-3)
    assert found["source"] >= 0.95 and found["target"] >= 0.95


# --- triples and their sentences
# --------------------------------------------------------------------------------------------------------------------


def record(tmp_path: Path, line: str) -> Record | Rejected:
    file = tmp_path / "t.jsonl"
    file.write_text(line + "\n", encoding="utf-8")
    corpus = Triples(paths=[str(file)])
    (found,) = (item for piece in corpus.survey(file, 1 << 20).slices for item in corpus.read(piece))
    return found


def test_the_worked_example_of_the_corpus(tmp_path: Path) -> None:
    found = record(tmp_path, '{"text": "鲁迅生于绍兴。", "triples": [["鲁迅", "出生地", "绍兴"]]}')
    assert isinstance(found, Record) and found.text == "鲁迅\n\n出生地\n\n绍兴\n\n鲁迅生于绍兴。"
    assert found.given == {SEGMENT: (Given(0, 2, ""), Given(4, 7, ""), Given(9, 11, ""), Given(13, 20, ""))}
    assert found.place == Place(str(tmp_path / "t.jsonl"), 1, 0)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"triples": [["a", "b", "c"]]}', "no text"),
        ('{"text": "a"}', "no triples"),
        ('{"text": "a", "triples": []}', "no triples"),
        ('{"text": "a", "triples": "b"}', "no triples"),
        ('{"text": "a", "triples": [["a", "b"]]}', "not a triple"),
        ('{"text": "a", "triples": [["a", "b", "c"], ["a", " ", "c"]]}', "not a triple"),
        ('{"text": "a", "triples": [["a", 1, "c"]]}', "not a triple"),
        ('{"text": "a", "triples": {"a": "b"}}', "no triples"),
        (json.dumps({"text": "a", "triples": [["a", "b", "c"]] * (MOST + 1)}), "too many triples"),
        ("[1]", "not a JSON object"),
        ("{", "not JSON"),
    ],
)
def test_a_line_that_is_no_text_with_triples_is_set_aside(tmp_path: Path, line: str, reason: str) -> None:
    found = record(tmp_path, line)
    assert isinstance(found, Rejected) and found.reason == reason and found.detail


@pytest.fixture(scope="module")
def triples(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people and what is known of them, two facts a line; one text is too long, one triple too."""
    folder = tmp_path_factory.mktemp("triples")
    lines = []
    for (number, name), (one, two) in itertools.product(enumerate(PEOPLE), itertools.combinations(FACTS, 2)):
        text = f"{name} {one[0]} {one[1]} and {two[0]} {two[1]}."
        lines.append({"text": text, "triples": [[name, *one], [name, *two]], "id": f"{number}-{one[1]}-{two[1]}"})
    lines[0]["text"] += " This is a long story about a small town in the mountains, where it rains all day." * 4
    lines[1]["triples"] = [["anna " * 40, "lives in", "rome"]]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    prepare(
        Preparation(
            output=str(folder / "data"),
            corpora=[Triples(paths=[str(folder / "t.jsonl")], language="en")],
            vocabulary=Vocabulary(path=str(prepared / "tokenizer")),
            engine=Here(),
            heldout=0,
        ),
        lambda progress: None,
    )
    return folder / "data"


def of_triples(tiny_run: Path, triples: Path, task: str, *overrides: str, **others: str) -> Made:
    return made(
        tiny_run,
        task,
        f"data=[{{path: {triples}, name: facts}}]",
        "evaluation.every=0",
        WORDS_ONLY,
        *overrides,
        **others,
    )


def parts(one: Made, texts: Texts, number: int) -> list[list[int]]:
    """The parts of a document, as ids."""
    text = texts[number]
    ends = text.shard.segment_ends.row(text.document).tolist()
    return [text.token_ids_T[a:b].tolist() for a, b in itertools.pairwise([0, *ends])]


def test_a_triple_stands_before_its_sentence_and_one_of_them_is_hidden(tiny_run: Path, triples: Path) -> None:
    one = of_triples(tiny_run, triples, "{kind: universal_triples}")
    task, texts, specials = one.run.tasks["probe"], one.texts(), one.corpus.specials
    drawn: Counter[tuple[int, bool]] = Counter()
    fallbacks = 0
    for epoch in range(8):
        keys = np.array([mix(number * 104729 + epoch) for number in range(len(texts))], np.uint64)
        built = task.build_all(texts, keys, "probe", specials)
        check_built(built, texts, task, "probe", one.run.batch.max_sample_tokens)
        for number, sample in enumerate(built.samples):
            alone = task.build(texts[number], int(keys[number]), "probe", specials)
            assert np.array_equal(alone.token_ids_T, sample.token_ids_T)
            assert np.array_equal(alone.maskable_T, sample.maskable_T)
            *facts, text = parts(one, texts, number)
            ids = sample.token_ids_T.tolist()
            if not sample.labels:
                fallbacks += 1
                assert sum(map(len, facts)) > 30 and ids[1:-1] == [*itertools.chain(*facts, text)][: len(ids) - 2]
                continue
            forms = {}
            for index in range(len(facts) // 3):
                head, relation, tail = facts[3 * index : 3 * index + 3]
                room = one.run.batch.max_sample_tokens - 3 - len(head + relation + tail)
                for hidden in (False, True):
                    middle = [specials.mask] * len(relation) if hidden else relation
                    known = [specials.cls, *head, *middle, *tail, specials.sep]
                    forms[index, hidden] = [*known, *text[:room], specials.sep], len(known)
            (form,) = (form for form, (wanted, _) in forms.items() if wanted == ids)
            first = forms[form][1]
            drawn[form] += 1
            assert sample.segment_ids_T.tolist() == [0] * first + [1] * (len(ids) - first)
            assert np.flatnonzero(sample.maskable_T).tolist() == ([] if form[1] else list(range(first, len(ids) - 1)))
    assert fallbacks == 8 and set(drawn) == set(itertools.product(range(2), (False, True)))
    assert all(abs(count - drawn.total() / 4) < 5 * (drawn.total() * 3 / 16) ** 0.5 for count in drawn.values())


def test_targets_are_whole_relations_and_hidden_words_of_sentences(tiny_run: Path, triples: Path) -> None:
    one = of_triples(tiny_run, triples, "{kind: universal_triples}")
    packed = one.maker.packed(one.spec())
    arrays, count = one.run.tasks["probe"].targets(packed, "probe")
    found = {place: (label, kind) for place, label, kind in zip(*(a.tolist() for a in arrays.values()), strict=True)}
    assert count == len(found) == len(arrays["position"])
    relations = 0
    for number, first, last in samples_of(packed):
        sample = packed.samples[number]
        mine = {place - first: target for place, target in found.items() if first <= place < last}
        if not sample.labels:
            assert not mine
        elif sample.maskable_T.any():
            hidden = [place - first for place in packed.hidden.position_M.tolist() if first <= place < last]
            assert mine == {place: (int(sample.token_ids_T[place]), 0) for place in hidden}
            assert all(sample.segment_ids_T[place] == 1 for place in hidden)
        else:
            assert sample.text is not None and sample.place_T is not None
            places = np.flatnonzero(sample.token_ids_T == one.corpus.specials.mask).tolist()
            true = {place: (int(sample.text.token_ids_T[sample.place_T[place]]), 1) for place in places}
            assert mine == true and places == list(range(places[0], places[-1] + 1))
            ends = sample.text.shard.segment_ends.row(sample.text.document).tolist()
            assert {int(sample.place_T[places[0]]), int(sample.place_T[places[-1]]) + 1} <= {0, *ends}
            relations += 1
    assert relations


@pytest.mark.parametrize(("share", "group"), [(0, "sentence"), (1, "relation")])
def test_a_share_of_one_kind_leaves_the_other_out(tiny_run: Path, triples: Path, share: int, group: str) -> None:
    one = of_triples(tiny_run, triples, f"{{kind: universal_triples, relation_share: {share}}}")
    arrays, count = one.run.tasks["probe"].targets(one.maker.packed(one.spec()), "probe")
    assert count and {one.run.tasks["probe"].groups[kind] for kind in arrays["kind"].tolist()} == {group}


def test_folders_without_triples_are_refused(tiny_run: Path) -> None:
    with pytest.raises(ValueError, match=r"task 'probe' \(UniversalTriples\): demo holds no triples; name the folders"):
        made(tiny_run, "{kind: universal_triples}")


def test_a_batch_of_triples_trains_head_and_encoder_and_one_without_targets_does_nothing(
    tiny_run: Path, triples: Path
) -> None:
    one = of_triples(tiny_run, triples, "{kind: universal_triples}")
    batch, model = one.maker[one.spec()], one.model()
    loss, stats = model(batch, {"probe": 1.0})
    loss.backward()
    assert stats[0, 2] == batch.counts["probe"] == stats[1:, 2].sum() and stats[1:, 2].all()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.heads.parameters())
    empty = {"probe": {name: value[:0] for name, value in batch.targets["probe"].items()}}
    model.zero_grad()
    nothing, _ = model(replace(batch, targets=empty), {"probe": 1.0})
    nothing.backward()
    assert nothing.item() == 0.0 and all(parameter.grad is not None for parameter in model.heads.parameters())


def test_triples_are_learnt_by_heart(tiny_run: Path, triples: Path) -> None:
    one = of_triples(tiny_run, triples, "{kind: universal_triples}", "model.layers=2", "model.hidden=64")
    found = learnt(one, 4, 60, 3e-3)
    assert found["sentence"] >= 0.95 and found["relation"] >= 0.95


@pytest.mark.parametrize("task", ["prefix_lm", "replaced_token_detection"])
def test_samples_and_masks_are_equal_in_any_batch_and_unlike_under_another_seed(tiny_run: Path, task: str) -> None:
    one, other = (made(tiny_run, f"{{kind: {task}}}", f"seed={seed}") for seed in (1, 2))

    def by_window(found: Made, specs: Sequence[MicroBatchSpec]) -> dict[tuple[str, int], npt.NDArray[np.int64]]:
        result = {}
        for packed in map(found.maker.packed, specs):
            for number, first, last in samples_of(packed):
                place = packed.samples.document_ids[number], int(packed.samples.first_token_S[number])
                result[place] = np.stack([packed.original_T[first:last], packed.corrupted_T[first:last]])
        return result

    rows = one.spec().rows
    together = by_window(one, [one.spec()])
    apart = by_window(one, [MicroBatchSpec(0, [row], 0.0) for row in reversed(rows)])
    foreign = by_window(other, [MicroBatchSpec(0, rows, 0.0)])
    assert together.keys() == apart.keys() == foreign.keys()
    assert all(np.array_equal(together[place], apart[place]) for place in together)
    assert any(not np.array_equal(together[place], foreign[place]) for place in together)


def test_a_window_of_one_sentence_is_not_asked(tiny_run: Path) -> None:
    one = made(tiny_run, "{kind: prefix_lm}")
    texts = one.texts()
    single = np.flatnonzero(texts.sentence_ends.count_S == 1)
    assert len(single)
    built = one.run.tasks["probe"].build_all(
        texts.read(texts.windows.take(single)), np.arange(len(single), dtype=np.uint64), "probe", one.corpus.specials
    )
    assert (built.samples.labels["probe"] == NO_LABEL).all() and not built.samples.segment_ids_T.any()
