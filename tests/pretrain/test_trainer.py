"""Whole runs in this process: bad numbers, stage changes, pauses, resumes, full disks. One rank; several ranks are in
test_training.py."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from launch.settings.components import Source, decode, load, plain
from pretrain import trainer as trainer_module
from pretrain.config import Run
from pretrain.forward.loss import Loss
from pretrain.objectives.knowledge_masking import KnowledgeMasking
from pretrain.processes.world import World
from pretrain.state.checkpoint import latest
from pretrain.state.store import Store
from pretrain.trainer import Trainer

Events = list[tuple[str, int, Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Faulty(KnowledgeMasking):
    """Knowledge masking whose loss is multiplied by a factor in some of its training steps."""

    factors: dict[int, float] = dataclasses.field(default_factory=dict)
    """Factor of the n-th call of `loss` in training."""

    def loss(self, encoding: Any, batch: Any, targets: Any, head: Any) -> Loss:
        found = super().loss(encoding, batch, targets, head)
        if not found.per_target.requires_grad:
            return found
        call = next(CALLS)
        return found._replace(per_target=found.per_target * self.factors.get(call, self.factors.get(-1, 1.0)))


CALLS: Iterator[int] = itertools.count()


class Runs:
    """Runs of the tiny configuration in two micro-batches a step, each from its own settings."""

    def __init__(self, file: Path, folder: Path, world: World) -> None:
        self.file, self.folder, self.world = file, folder, world

    def decoded(self, name: str, *overrides: str) -> Run:
        settings = [f"output={self.folder / name}", "batch.rows_per_process=2", *overrides]
        return decode(Run, load(self.file, settings))

    def train(
        self,
        name: str,
        *overrides: str,
        stop_after: int = -1,
        faulty: Mapping[int, float] | None = None,
        hook: Callable[..., None] | None = None,
    ) -> Events:
        """Train; ``stop_after``: ask to stop during the step after this one."""
        global CALLS
        CALLS = itertools.count()
        run = self.decoded(name, *overrides)
        resolved = plain(run)
        if faulty is not None:
            run = dataclasses.replace(run, tasks={**run.tasks, "knowledge_masking": Faulty(factors=dict(faulty))})
        events: Events = []

        def report(event: str, step: int, values: Mapping[str, Any]) -> None:
            events.append((event, step, values))
            if hook:
                hook(event, step, values)

        made = Trainer(run, resolved, self.world, report, asked=lambda: made.progress.step >= stop_after >= 0)
        finished = made.train()
        assert finished == (stop_after < 0)
        return events

    def tensors(self, name: str) -> dict[str, torch.Tensor]:
        found = latest(self.folder / name / "checkpoints", print)
        assert found is not None
        return found.tensors()

    def lines(self, name: str, file: str = "metrics.jsonl") -> list[dict[str, Any]]:
        ours = [
            json.loads(line, parse_constant=refuse) for line in (self.folder / name / file).read_text().splitlines()
        ]
        return [
            {
                key: value
                for key, value in line.items()
                if key not in ("time", "seconds", "tokens_per_second", "loader_wait", "tflops", "memory_gib")
            }
            for line in ours
            if line.get("event") != "checkpoint"  # how long saving took, and where a run was stopped
        ]


def refuse(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, world: World) -> Runs:
    return Runs(tiny_run, tmp_path, world)


def equal(one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def notes(events: Events) -> str:
    return "\n".join(str(values["text"]) for event, _, values in events if event == "note")


@pytest.mark.parametrize(
    ("stage", "precision"), [(0, "fp32"), (1, "fp32"), (2, "fp32"), (3, "fp32"), (1, "bf16_parameters")]
)
def test_steps_with_bad_numbers_are_left_out_written_down_and_survive_a_resume(
    runs: Runs, stage: int, precision: str
) -> None:
    """Not a number in step 3, infinite in step 6."""
    settings = (
        f"engine.zero_stage={stage}",
        f"engine.precision={precision}",
        "batch.rows_per_process=4",
        "evaluation.every=0",
    )
    nan, inf = float("nan"), float("inf")
    runs.train("whole", *settings, faulty={2: nan, 5: inf})
    tensors = runs.tensors("whole")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    assert int(tensors["ernie.embeddings.word_embeddings.weight#step"]) == 6  # Adam took six of eight steps
    lines = runs.lines("whole")
    skipped = [line for line in lines if line["event"] == "skipped"]
    assert [line["step"] for line in skipped] == [3, 6]
    assert all("knowledge_masking" in line["reason"] for line in skipped)
    assert [line["skipped"] for line in lines if line["event"] == "train"] == [0, 0, 1, 0, 0, 1, 0, 0]
    listed = runs.lines("whole", "skipped.jsonl")
    assert [line["step"] for line in listed] == [3, 6] and all(len(line["rows"]) == 4 for line in listed)
    assert all(row["windows"] and row["documents"] for line in listed for row in line["rows"])
    # the same with a stop just after each: Adam's real count is restored, not the number of the step
    runs.train("parts", *settings, faulty={2: nan}, stop_after=2)
    runs.train("parts", *settings, faulty={2: inf}, stop_after=5)
    runs.train("parts", *settings, faulty={})
    assert equal(runs.tensors("parts"), tensors) and runs.lines("parts") == lines
    assert runs.lines("parts", "skipped.jsonl") == listed


def test_weights_are_those_of_before_when_every_step_is_bad_and_the_run_ends_with_a_diagnosis(runs: Runs) -> None:
    settings = ("stability.bad_steps=3", "evaluation.every=0", "batch.rows_per_process=4", "stages.0.steps=20")
    with pytest.raises(ValueError, match="3 steps in a row had no finite loss") as caught:
        runs.train("run", *settings, faulty={0: 1.0, 1: 1.0, -1: float("nan")})
    assert "step-00000004" in str(caught.value) and "skipped.jsonl" in str(caught.value)
    good = runs.tensors("run")
    runs.train("two", *settings, stop_after=1)
    assert torch.equal(good["ernie.pooler.dense.weight"], runs.tensors("two")["ernie.pooler.dense.weight"])
    assert torch.equal(
        good["ernie.encoder.layer.0.output.dense.weight#exp_avg"],
        runs.tensors("two")["ernie.encoder.layer.0.output.dense.weight#exp_avg"],
    )


def test_weights_that_are_not_finite_are_never_saved(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrain.optimizer_state import Memory

    collect = Memory.collect

    def broken(self: Memory, everywhere: bool) -> dict[str, torch.Tensor]:
        tensors = collect(self, everywhere)
        if self.applied >= 4:
            tensors["ernie.pooler.dense.bias"][0] = float("nan")
        return tensors

    monkeypatch.setattr(Memory, "collect", broken)
    with pytest.raises(ValueError, match=r"not finite.*last good checkpoint is .*step-00000002"):
        runs.train("run", "evaluation.every=0")
    assert sorted(path.name for path in (runs.folder / "run/checkpoints").iterdir()) == ["step-00000002"]


def test_a_loss_that_jumps_is_reported_or_sends_the_run_back(runs: Runs) -> None:
    settings = (
        "stages.0.steps=28",
        "stability.spike=10",
        "evaluation.every=0",
        "batch.rows_per_process=4",
        "optimization.lr=1e-6",
        "checkpoints.every=10",
    )
    events = runs.train("report", *settings, faulty={23: 50.0})
    assert "jumps to" in notes(events) and [
        line["step"] for line in runs.lines("report") if line["event"] == "spike"
    ] == [24]
    events = runs.train("back", *settings, "stability.on_spike=rollback", faulty={23: 50.0})
    assert "back from step 24 to step-00000020" in notes(events)
    lines = runs.lines("back")
    assert [line["step"] for line in lines if line["event"] == "train"] == list(range(1, 33))
    (listed,) = runs.lines("back", "skipped.jsonl")
    assert listed["event"] == "rollback" and listed["from"] == 24 and listed["left_out_from"] != listed["to"]
    runs.train(
        "parts", *settings, "stability.on_spike=rollback", faulty={23: 50.0}, stop_after=23
    )  # stopped in the very step
    runs.train("parts", *settings, "stability.on_spike=rollback", faulty={3: 50.0})
    assert (
        runs.lines("parts") == lines
        and runs.lines("parts", "skipped.jsonl") == [listed]
        and equal(runs.tensors("parts"), runs.tensors("back"))
    )
    with pytest.raises(ValueError, match="jumps again after 1 rollbacks"):
        runs.train(
            "again", *settings, "stability.on_spike=rollback", "stability.rollbacks=1", faulty={23: 50.0, 27: 50.0}
        )


def test_a_stage_goes_on_from_what_it_holds_even_when_its_checkpoint_is_damaged_at_once(runs: Runs) -> None:
    runs.train("whole")

    def damage(event: str, step: int, values: Mapping[str, Any]) -> None:
        if event == "checkpoint" and step == 4:
            file = Path(values["path"]) / "optimizer.safetensors"
            content = bytearray(file.read_bytes())
            content[-3] ^= 4
            file.write_bytes(content)

    runs.train("damaged", hook=damage)
    assert equal(runs.tensors("damaged"), runs.tensors("whole")) and runs.lines("damaged") == runs.lines("whole")


def test_a_task_that_pauses_keeps_its_head_and_what_adam_knew_of_it(runs: Runs) -> None:
    both, one = "{knowledge_masking: 1, sentence_reordering: 1}", "{knowledge_masking: 1, span_boundary: 0}"
    stages = f"stages=[{{name: a, steps: 4, tasks: {both}}}, {{name: b, steps: 4, tasks: {one}}}, {{name: c, steps: 2, tasks: {both}}}]"
    runs.train("run", stages, "checkpoints.keep=10", "evaluation.every=0")
    saved = {step: Store(runs.folder / "run/checkpoints", 1, print).folder / f"step-{step:08d}" for step in (4, 8, 10)}
    from pretrain.state.checkpoint import load as read

    a, b, c = (read(folder) for folder in saved.values())
    assert a.state.learned == ["knowledge_masking", "sentence_reordering"] and b.state.learned[-1] == "span_boundary"
    names = [name for name in a.tensors() if name.startswith(("heads.sentence_reordering", "ernie.pooler"))]
    assert len(names) == 16 and all(torch.equal(a.tensors()[name], b.tensors()[name]) for name in names)
    steps = [
        {name: int(value) for name, value in item.tensors().items() if name.endswith("#step")} for item in (a, b, c)
    ]
    assert [count["heads.sentence_reordering.weight#step"] for count in steps] == [4, 4, 6]
    assert [count.get("heads.span_boundary.first.weight#step") for count in steps] == [None, 4, 4]
    assert [count["ernie.encoder.layer.0.output.dense.weight#step"] for count in steps] == [4, 8, 10]


def test_adam_corrects_the_bias_of_a_new_head_from_its_own_first_step(runs: Runs) -> None:
    """The first update of a parameter under Adam is the learning rate in every entry, whatever the rest of the model
    has seen."""
    settings = (
        "optimization.weight_decay=0",
        "optimization.warmup=0",
        "optimization.final_share=1",
        "optimization.clip=0",
        "optimization.eps=1e-12",
        "evaluation.every=0",
    )
    runs.train(
        "run",
        *settings,
        "stages.0.steps=6",
        "stages.1.steps=1",
        "checkpoints.keep=10",
        "stages.1.tasks.sentence_reordering=9",
    )
    from pretrain.setup import build_model

    run = runs.decoded("run", *settings)
    from data_prep.encoding import Tokenizer

    fresh = dict(build_model(run, 1, Tokenizer(folder=runs.folder / "run/tokenizer")).named_parameters())
    moved = (runs.tensors("run")["heads.sentence_reordering.weight"] - fresh["heads.sentence_reordering.weight"]).abs()
    touched = moved[moved > 0]
    assert len(touched) and torch.allclose(touched, torch.full_like(touched, 1e-3), rtol=2e-2)


def test_lines_of_a_run_that_was_stopped_anywhere_are_those_of_an_undisturbed_one(runs: Runs) -> None:
    """Sums between two lines are part of a checkpoint; evaluations are written once, also at a stage change."""
    settings = ("tracking.every=3", "evaluation.every=2")
    runs.train("whole", *settings)
    for stop in (1, 3, 4, 6):
        name = f"stopped-after-{stop}"
        runs.train(name, *settings, stop_after=stop)
        runs.train(name, *settings)
        assert runs.lines(name) == runs.lines("whole"), name
        assert equal(runs.tensors(name), runs.tensors("whole")), name


def test_a_full_disk_lets_training_go_on_and_ends_it_only_at_the_last_save(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.train("whole", "evaluation.every=0")
    save = Store.save
    full = {2, 4}

    def sometimes(self: Store, snapshot: Any) -> Path:
        if snapshot.state.step in full:
            raise OSError(28, "No space left on device", str(self.folder))
        return save(self, snapshot)

    monkeypatch.setattr(Store, "save", sometimes)
    events = runs.train("run", "evaluation.every=0")
    assert "Training goes on" in notes(events) and "No space left" in notes(events)
    assert [line["step"] for line in runs.lines("run") if line["event"] == "not_saved"] == [2, 4]
    assert equal(runs.tensors("run"), runs.tensors("whole"))
    full |= {8}
    with pytest.raises(ValueError, match=r"step 8 could not be written.*No space left.*step 6.*run again"):
        runs.train("last", "evaluation.every=0")
    full.clear()
    runs.train("last", "evaluation.every=0")
    assert equal(runs.tensors("last"), runs.tensors("whole"))


def test_two_trainings_into_one_folder_are_refused_by_name(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from pretrain.processes.lock import held, holder

    monkeypatch.setattr(trainer_module, "LOCK_SECONDS", 0.3)
    folder = runs.folder / "run"
    with held(folder, 0, print):
        assert holder(folder) is not None
        with pytest.raises(ValueError, match=f"another training .*process {os.getpid()} on {socket.gethostname()}"):
            runs.train("run")
    assert holder(folder) is None and not (folder / "checkpoints").exists()


def test_asked_before_the_first_step_nothing_is_begun(runs: Runs) -> None:
    runs.train("run", stop_after=0)
    assert not (runs.folder / "run/metrics.jsonl").exists() and not (runs.folder / "run/checkpoints").exists()


def test_changed_shares_begin_to_count_from_where_they_change(runs: Runs) -> None:
    shares = "stages.1.tasks={knowledge_masking: 1, span_boundary: 0, sentence_reordering: 1}"
    settings = ("stages.1.steps=20", "evaluation.every=0", "stages.0.steps=1", "batch.rows_per_process=4")
    runs.train(
        "run",
        *settings,
        "stages.1.tasks={knowledge_masking: 9, span_boundary: 0, sentence_reordering: 1}",
        stop_after=10,
    )
    events = runs.train("run", *settings, shares)
    assert "shares of rows are counted from here" in notes(events) and "stages.1.tasks.knowledge_masking: 9" in notes(
        events
    )
    last = latest(runs.folder / "run/checkpoints", print)
    assert last is not None
    served = {name: cursor.served for name, cursor in last.state.cursors.items()}
    assert abs(served["demo/knowledge_masking"] - served["demo/sentence_reordering"]) <= 1


def test_processes_with_another_configuration_are_told_apart(runs: Runs) -> None:
    from pretrain.agreement import check_agreement

    class Torn(World):
        def different(self, numbers: Any) -> list[bool]:
            assert len(numbers) == 4 and all(abs(number) < 2**63 for number in numbers)
            return [True, False, False, False]

    run = runs.decoded("run")
    with pytest.raises(ValueError, match="do not have the same configuration: this one"):
        check_agreement(run, plain(run), {}, Torn(1, 2, torch.device("cpu")))


def test_held_out_rows_are_the_same_for_every_seed_and_stage(runs: Runs) -> None:
    from pretrain.corpus import Corpus
    from pretrain.evaluation.heldout import heldout_rows

    found = []
    for seed in (1, 2):
        run = runs.decoded("run", f"seed={seed}")
        makers = Corpus(run=run).heldout(list(run.tasks))
        assert [list(maker.objectives) for maker in makers] == [
            ["knowledge_masking", "span_boundary"],
            ["sentence_reordering"],
        ]
        found.append([heldout_rows(stream, 3) for maker in makers for stream in maker.streams.values()])
        plain_only = Corpus(run=run).heldout(["knowledge_masking"])
        assert [heldout_rows(stream, 3) for stream in plain_only[0].streams.values()] == found[-1][:1]
    assert found[0] == found[1] and len(found[0]) == 2


def test_a_configuration_source_is_decoded_from_the_checkpoint(runs: Runs) -> None:
    runs.train("run", "evaluation.every=0", stop_after=1)
    found = latest(runs.folder / "run/checkpoints", print)
    assert found is not None and plain(decode(Run, Source(dict(found.state.config), {}))) == found.state.config


@pytest.mark.parametrize("stage", [1, 3])
def test_the_loss_scale_of_fp16_is_part_of_a_checkpoint(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, stage: int
) -> None:
    """fp16 needs a GPU for its speed alone: here the processor computes it."""
    from deepspeed.accelerator import get_accelerator

    monkeypatch.setattr(type(get_accelerator()), "is_fp16_supported", lambda self: True)
    settings = (f"engine.zero_stage={stage}", "engine.precision=fp16", "evaluation.every=0", "batch.rows_per_process=4")
    overflows = {1: 1e8, 2: 1e8}
    events = runs.train("whole", *settings, faulty=overflows)
    assert "gradient norm is inf" in notes(events)
    found = latest(runs.folder / "whole/checkpoints", print)
    assert found is not None and found.state.loss_scale["cur_scale"] == 2**15 and found.state.seen["skipped"] == 2
    runs.train("parts", *settings, faulty=overflows, stop_after=3)
    runs.train("parts", *settings, faulty={})
    assert runs.lines("parts") == runs.lines("whole") and equal(runs.tensors("parts"), runs.tensors("whole"))


def bert_folder(folder: Path, tokens: list[str]) -> Path:
    """A small BERT with masked-LM head and the vocabulary of the prepared folder."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in tokens), encoding="utf-8")
    return folder


def test_a_start_checkpoint_is_read_once_and_what_was_read_is_told(runs: Runs, prepared: Path, tmp_path: Path) -> None:
    from data_prep.encoding import Tokenizer

    start = bert_folder(tmp_path / "bert", Tokenizer(folder=prepared / "tokenizer").tokens)
    settings = (f"model.path={start}", "evaluation.every=0", "batch.rows_per_process=4")
    told = notes(runs.train("whole", *settings))
    assert (
        "tensors of the model read; new: " in told
        and "heads.span_boundary" in told
        and "the checkpoint has no pooler" in told
    )
    assert "embeddings.task_type_embeddings" in told
    runs.train("moved", *settings, stop_after=1)
    start.rename(tmp_path / "elsewhere")
    told = notes(runs.train("moved", *settings))
    assert equal(runs.tensors("moved"), runs.tensors("whole")) and "tensors of the model read" not in told
    with pytest.raises(ValueError, match=r"no config\.json"):
        runs.train("fresh", *settings)
    found = latest(runs.folder / "moved/checkpoints", print)
    assert found is not None and found.state.source["config"]["attention_probs_dropout_prob"] == 0.1


def test_samples_longer_than_the_position_table_are_refused(runs: Runs, prepared: Path, tmp_path: Path) -> None:
    from data_prep.encoding import Tokenizer

    start = bert_folder(tmp_path / "bert", Tokenizer(folder=prepared / "tokenizer").tokens)
    with pytest.raises(ValueError, match=r"batch.max_sample_tokens: 128, but .*bert has 64 positions"):
        runs.train("run", f"model.path={start}", "batch.max_sample_tokens=128")


def test_a_task_that_makes_too_long_a_sample_is_named(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from pretrain.feed.samples import Samples
    from pretrain.objectives.sentence_reordering import SentenceReordering

    build_all = SentenceReordering.build_all

    def longer(self: Any, *arguments: Any) -> Any:
        built = build_all(self, *arguments)
        made = []
        for sample in built.samples:
            arrays = {
                name: np.tile(getattr(sample, name), 9) for name in ("token_ids_T", "maskable_T", "segment_ids_T")
            }
            made.append(dataclasses.replace(sample, **arrays, place_T=None))
        return built._replace(samples=Samples.of(made))

    monkeypatch.setattr(SentenceReordering, "build_all", longer)
    with pytest.raises(ValueError, match=r"task 'sentence_reordering' .* made a sample of"):
        runs.train("run", "stages.0.tasks={knowledge_masking: 0.001, sentence_reordering: 9}")


def test_a_damaged_shard_ends_the_run_before_its_end(runs: Runs, prepared: Path, tmp_path: Path) -> None:
    import shutil

    copied = tmp_path / "data"
    shutil.copytree(prepared, copied)
    shard = next(iter(sorted(copied.rglob("train.arrow"))))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ValueError, match="kmask prepare verify"):
        runs.train("run", f"data.0.path={copied}", "data.0.name=demo", "evaluation.every=0")


def test_wandb_keeps_one_id_over_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    from pretrain.tracking import Tracker, Tracking

    seen: list[str] = []
    monkeypatch.setattr(wandb, "init", lambda **settings: seen.append(settings["id"]))
    for step in (0, 5):
        Tracker(Tracking(), tmp_path, {"metrics": step}, {}, print)
    assert len(set(seen)) == 1 and len(seen) == 2


def test_nobody_reads_the_folder_before_it_is_locked(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 0 may wait for a process that is saving: the others would find an older checkpoint than rank 0 in the
    end."""
    import contextlib

    seen: list[str] = []

    class Watched(World):
        def any(self, yes: bool) -> bool:
            seen.append("together")
            return yes

    @contextlib.contextmanager
    def lock(*_: Any) -> Iterator[None]:
        seen.append("locked")
        yield

    def read(self: Store) -> None:
        seen.append("read")
        raise ValueError("far enough")

    monkeypatch.setattr(trainer_module, "held", lock)
    monkeypatch.setattr(Store, "latest", read)
    run = runs.decoded("run")
    with pytest.raises(ValueError, match="far enough"):
        Trainer(run, plain(run), Watched(0, 1, torch.device("cpu")), lambda *_: None).train()
    assert seen[seen.index("locked") :] == ["locked", "together", "read", "together"]  # its fault reaches all

    class Refused(World):
        def any(self, yes: bool) -> bool:
            return True

    with pytest.raises(ValueError, match="another process found the reason"):
        Trainer(run, plain(run), Refused(1, 1, torch.device("cpu")), lambda *_: None).train()


def test_a_folder_that_left_the_run_is_remembered_as_long_as_its_cursors(
    runs: Runs, prepared: Path, tmp_path: Path
) -> None:
    import shutil

    from pretrain.continuing import compare

    shutil.copytree(prepared, tmp_path / "two")
    one = f"{{path: {prepared}, name: demo}}"
    both, settings = (
        f"data=[{one}, {{path: {tmp_path / 'two'}, name: two}}]",
        ("evaluation.every=0", "batch.rows_per_process=4", "stages.0.steps=9"),
    )
    runs.train("run", both, *settings, stop_after=2)
    runs.train("run", f"data=[{one}]", *settings, stop_after=4)
    found = latest(runs.folder / "run/checkpoints", print)
    assert found is not None and set(found.state.fingerprints) == {"demo", "two"} == {
        name.partition("/")[0] for name in found.state.cursors
    }
    run = runs.decoded("run", both, *settings)
    refused = compare(found.state, run, plain(run), {"demo": found.state.fingerprints["demo"], "two": "other"}).refused
    assert "data two: its shards changed" in "\n".join(refused)


@pytest.mark.parametrize("stage", [1, 3])
def test_weights_that_nothing_trains_keep_all_their_bits(runs: Runs, stage: int) -> None:
    from data_prep.encoding import Tokenizer
    from pretrain.setup import build_model

    settings = (
        "engine.precision=bf16_parameters",
        f"engine.zero_stage={stage}",
        "evaluation.every=0",
        "batch.rows_per_process=4",
    )
    runs.train("run", *settings, stop_after=1)
    run = runs.decoded("run")
    fresh = dict(build_model(run, 0, Tokenizer(folder=runs.folder / "run/tokenizer")).named_parameters())
    name = "ernie.pooler.dense.weight"
    assert torch.equal(runs.tensors("run")[name], fresh[name]) and not torch.equal(
        fresh[name], fresh[name].bfloat16().float()
    )


def test_what_was_a_usual_loss_is_forgotten_at_a_stage_change_and_when_settings_change(runs: Runs) -> None:
    settings = ("stability.spike=10", "evaluation.every=0", "batch.rows_per_process=4", "stages.1.steps=6")
    runs.train("run", *settings, stop_after=6)
    found = latest(runs.folder / "run/checkpoints", print)
    assert found is not None and found.state.step == 7 and len(found.state.guard["losses"]["knowledge_masking"]) == 3
    runs.train("run", *settings, "optimization.lr=2e-3", stop_after=8)
    found = latest(runs.folder / "run/checkpoints", print)
    assert found is not None and found.state.step == 9 and len(found.state.guard["losses"]["knowledge_masking"]) == 2


def test_a_request_to_stop_in_the_last_step_ends_a_finished_run(runs: Runs) -> None:
    run = runs.decoded("run", "evaluation.every=0")
    made = Trainer(run, plain(run), runs.world, lambda *_: None, asked=lambda: made.progress.step >= 7)
    assert made.train() is True and made.progress.step == 8
