"""A new run that begins from another run or an export: old tasks come back by name and measure the same, bit for bit;
what does not fit is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from launch.outcomes.exporting import run_export
from launch.settings.components import decode, load, plain
from launch.verbs.train import beginning
from pretrain.config import Run
from pretrain.preflight import Place, preflight
from pretrain.processes.world import World
from pretrain.state.checkpoint import Checkpoint, latest
from pretrain.state.checkpoint import load as load_checkpoint
from pretrain.trainer import Trainer

TABLE = "ernie.embeddings.task_type_embeddings.weight"
REORDER = "{kind: sentence_reordering, segments: 3}"
FIRST = (
    f"tasks={{knowledge_masking: {{kind: knowledge_masking}}, sentence_reordering: {REORDER}}}",
    "stages=[{name: one, steps: 3, tasks: {knowledge_masking: 1, sentence_reordering: 1}}]",
    "batch.rows_per_process=4",
    "evaluation.every=100",
)
SECOND = (
    "tasks={knowledge_masking: {kind: knowledge_masking}, halves: {kind: sentence_reordering, segments: 2}, "
    f"sentence_reordering: {REORDER}}}",
    "stages=[{name: two, steps: 4, tasks: {knowledge_masking: 1, halves: 1}}]",
    "batch.rows_per_process=4",
    "evaluation.every=100",
    "checkpoints.keep=9",
)
"""Another order: row 1 of the task table is that of `halves` now, and `sentence_reordering` pauses."""


class Killed(BaseException):
    """Ends a training where it stands, without its cleaning up."""


class Runs:
    """Runs of the tiny configuration, each from its own settings."""

    def __init__(self, file: Path, folder: Path, world: World) -> None:
        self.file, self.folder, self.world = file, folder, world

    def decoded(self, name: str, *overrides: str) -> Run:
        source = load(self.file, [f"output={self.folder / name}"])
        if any(item.startswith("tasks=") for item in overrides):
            source.value.pop("tasks")
        given = [item for item in overrides if item.startswith("tasks=")]
        base = self.file.with_name(f"{name}.settings.yaml")
        base.write_text(json.dumps(plain_values(source.value)), encoding="utf-8")
        return decode(Run, load(base, [*given, *(item for item in overrides if item not in given)]))

    def train(self, name: str, *overrides: str, kill: Callable[[str, int], bool] = lambda event, step: False) -> str:
        """Train; returns the notes. ``kill``: where to end at once."""
        run = self.decoded(name, *overrides)
        notes: list[str] = []

        def report(event: str, step: int, values: Mapping[str, Any]) -> None:
            notes.extend([str(values["text"])] if event == "note" else [])
            if kill(event, step):
                raise Killed

        assert Trainer(run, plain(run), self.world, report, asked=lambda: False).train()
        return "\n".join(notes)

    def killed(self, name: str, *overrides: str, at: tuple[str, int]) -> None:
        with pytest.raises(Killed):
            self.train(name, *overrides, kill=lambda event, step: (event, step) == at)

    def found(self, name: str) -> Checkpoint:
        found = latest(self.folder / name / "checkpoints", print)
        assert found is not None
        return found

    def tensors(self, name: str) -> dict[str, torch.Tensor]:
        return self.found(name).tensors()

    def begun(self, name: str) -> dict[str, torch.Tensor]:
        """What a run that came from another one saved before its first step."""
        return load_checkpoint(self.folder / name / "checkpoints/step-00000000").tensors()

    def evaluations(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.folder / name / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if line["event"] == "evaluation"]

    def path(self, name: str) -> str:
        return f"model.path={self.folder / name}"

    def export(self, name: str) -> str:
        run_export(self.folder / name, self.folder / f"{name}-export", [], None, "", [], False, False)
        return f"{name}-export"


def plain_values(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): plain_values(item) for key, item in value.items()}
    return [plain_values(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, world: World) -> Runs:
    return Runs(tiny_run, tmp_path, world)


def equal(one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def figures(line: Mapping[str, Any], *tasks: str) -> dict[str, float]:
    """The numbers of a line that belong to these tasks."""
    return {name: value for name, value in line.items() if len(parts := name.split("/")) > 1 and parts[1] in tasks}


@pytest.mark.parametrize("zero", [0, 3])
def test_old_tasks_measure_the_same_at_the_end_of_a_run_and_at_the_start_of_the_next(runs: Runs, zero: int) -> None:
    settings = (f"engine.zero_stage={zero}",)
    runs.train("first", *FIRST, *settings)
    last = runs.evaluations("first")[-1]
    old = ("knowledge_masking", "sentence_reordering")
    assert last["at"] == "end" and {"majority/sentence_reordering", "accuracy/sentence_reordering"} <= set(last)
    before = runs.tensors("first")
    for name, origin in (("from-run", "first"), ("from-export", runs.export("first"))):
        told = runs.train(name, *SECOND, *settings, runs.path(origin))
        assert "begins from step 3 of the" in told and "new heads: halves" in told
        start, end = runs.evaluations(name)
        assert (start["at"], end["at"]) == ("start", "end") and "loss/halves" in start
        assert figures(start, *old) == figures(last, *old) and len(figures(start, *old)) > 6
        assert figures(end, *old).keys() == figures(last, *old).keys()  # the paused task is measured, too
        after, state = runs.tensors(name), runs.found(name).state
        heads = [key for key in before if key.startswith("heads.sentence_reordering") and "#" not in key]
        assert heads and all(torch.equal(after[key], before[key]) for key in heads)
        begun = runs.begun(name)[TABLE]
        assert len(begun) == 3 and torch.equal(begun[[0, 2]], before[TABLE])  # every row where it belongs now
        assert state.source["step"] == 3 and len(state.source["fingerprint"]) == 64
        assert state.task_ids == {"knowledge_masking": 0, "halves": 1, "sentence_reordering": 2}
        assert state.learned == [*old, "halves"] and state.step == 4
    assert equal(runs.tensors("from-run"), runs.tensors("from-export"))


def test_what_adam_knows_of_shared_parameters_is_kept_or_reset_as_asked(runs: Runs) -> None:
    runs.train("first", *FIRST)
    before, name = runs.tensors("first"), "ernie.encoder.layer.0.output.dense.weight"
    begins = ("evaluation.every=0", runs.path("first"))
    for optimizer, count in (("keep", 3), ("reset", 0)):
        runs.train(optimizer, *SECOND, *begins, f"model.optimizer={optimizer}")
        tensors = runs.begun(optimizer)
        assert int(tensors[f"{name}#step"]) == count and int(tensors["heads.halves.weight#step"]) == 0
        assert torch.equal(tensors[name], before[name])
        moment = tensors[f"{name}#exp_avg_sq"]
        assert torch.equal(moment, before[f"{name}#exp_avg_sq"]) if count else not moment.any()
        square = tensors[f"{TABLE}#exp_avg_sq"]
        if count:
            assert torch.equal(square[2], before[f"{TABLE}#exp_avg_sq"][1])
            assert torch.allclose(square[1], before[f"{TABLE}#exp_avg_sq"].mean(0))
            paused = "heads.sentence_reordering.weight#exp_avg"
            assert torch.equal(tensors[paused], before[paused])
    assert not equal(runs.tensors("keep"), runs.tensors("reset"))
    with pytest.raises(ValueError, match="is an export, which holds weights without Adam's moments"):
        runs.train("no", *SECOND, runs.path(runs.export("first")), "model.optimizer=keep")
    assert not (runs.folder / "no/metrics.jsonl").exists()


@pytest.mark.parametrize("zero", [1, 3])
def test_a_run_that_was_killed_at_its_beginning_does_not_need_its_origin_any_more(runs: Runs, zero: int) -> None:
    settings = (*SECOND, f"engine.zero_stage={zero}", "model.optimizer=keep", runs.path("first"))
    runs.train("first", *FIRST)
    runs.train("whole", *settings)
    for name, at in (("at-once", ("checkpoint", 0)), ("first-step", ("train", 1)), ("later", ("train", 3))):
        runs.killed(name, *settings, at=at)
    (runs.folder / "first").rename(runs.folder / "gone")
    for name in ("at-once", "first-step", "later"):
        runs.train(name, *settings)
        assert equal(runs.tensors(name), runs.tensors("whole"))
        found, wanted = runs.evaluations(name), runs.evaluations("whole")
        assert [{**line, "time": 0} for line in found] == [{**line, "time": 0} for line in wanted]
    (runs.folder / "gone").rename(runs.folder / "first")


def test_a_checkpoint_within_the_run_can_be_named_and_a_task_left_behind(runs: Runs) -> None:
    runs.train("first", *FIRST, "checkpoints.every=1", "checkpoints.keep=9")
    folder = runs.folder / "first/checkpoints/step-00000002"
    tasks = "tasks={knowledge_masking: {kind: knowledge_masking}, halves: {kind: sentence_reordering, segments: 2}}"
    told = runs.train("second", tasks, *SECOND[1:], f"model.path={folder}", "model.drop=[sentence_reordering]")
    assert "step 2 of the run" in told and "left behind: sentence_reordering" in told
    state, tensors = runs.found("second").state, runs.tensors("second")
    assert state.learned == ["knowledge_masking", "halves"] and len(tensors[TABLE]) == 2
    assert not any(name.startswith("heads.sentence_reordering") for name in tensors)
    assert state.source["step"] == 2 and load_checkpoint(folder).state.step == 2


REFUSED = {
    "tasks.sentence_reordering.segments=4": r"sentence_reordering.segments: 3 -> 4",
    "tasks.sentence_reordering={kind: span_boundary}": r"sentence_reordering.kind: sentence_reordering -> span_boundary",
    "model.drop=[halves]": "model.drop: halves was not learned there",
    "model.hidden=64": "model.hidden: 64, there 32",
    "batch.max_sample_tokens=128": "has 64 positions",
}


def test_what_does_not_fit_is_refused_with_both_values(runs: Runs) -> None:
    runs.train("first", *FIRST, "evaluation.every=0")
    for change, reason in REFUSED.items():
        with pytest.raises(ValueError, match=reason) as caught:
            runs.train("second", *SECOND, runs.path("first"), change)
        if "sentence_reordering" in reason or "drop" in reason:
            assert "1  sentence_reordering (sentence_reordering)" in str(caught.value)  # its row there
            assert "2  sentence_reordering (" in str(caught.value) or "0  sentence_reordering (" in str(caught.value)
        assert not list((runs.folder / "second").glob("checkpoints/step-*"))
        run = runs.decoded("second", *SECOND, runs.path("first"), change)
        with pytest.raises(ValueError, match=reason):
            preflight(run, plain(run), Place(1, 1))


def test_origins_that_are_none_are_refused(runs: Runs, prepared: Path) -> None:
    runs.train("first", *FIRST, "evaluation.every=0")
    with pytest.raises(ValueError, match=r"sentence_reordering was learned there and is not in tasks: list it .*\n"):
        runs.train("second", "tasks={knowledge_masking: {kind: knowledge_masking}}", SECOND[2], runs.path("first"),
                   "stages=[{name: two, steps: 1, tasks: {knowledge_masking: 1}}]")  # fmt: skip
    with pytest.raises(ValueError, match=r"is the run that model.path names"):
        runs.train("first", *FIRST, f"model.path={runs.folder / 'first/checkpoints'}")
    with pytest.raises(ValueError, match="needs `path`"):
        runs.decoded("second", *SECOND, "model.optimizer=keep")
    (runs.folder / "empty/checkpoints").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds no checkpoint yet"):
        runs.train("second", *SECOND, runs.path("empty"))
    tokenizer = runs.folder / "first/tokenizer/tokenizer.json"
    words = json.loads(tokenizer.read_text(encoding="utf-8"))
    words["model"]["vocab"] = {f"{word}x" if number == 99 else word: number
                               for word, number in words["model"]["vocab"].items()}  # fmt: skip
    tokenizer.write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(ValueError, match="another tokenizer than the shards: their vocabulary differ"):
        runs.train("second", *SECOND, runs.path("first"))
    shutil.copy(prepared / "tokenizer/tokenizer.json", tokenizer)
    exported = runs.export("first")
    (runs.folder / exported / "auxiliary_heads.safetensors").unlink()
    with pytest.raises(ValueError, match=r"heads.sentence_reordering.weight is missing"):
        runs.train("second", *SECOND, runs.path(exported))


def test_the_card_and_the_dry_run_say_where_a_run_began(runs: Runs) -> None:
    runs.train("first", *FIRST, "evaluation.every=0")
    run = runs.decoded("second", *SECOND, runs.path("first"))
    found = preflight(run, plain(run), Place(1, 1))
    assert any("begins from step 3 of the run" in note for note in found.notes)
    assert [task.new for task in found.stages[0].tasks] == [False, True]
    runs.train("second", *SECOND, "evaluation.every=0", runs.path("first"))
    folder = runs.folder / runs.export("second")
    card = (folder / "README.md").read_text(encoding="utf-8")
    source = runs.found("second").state.source
    assert f"began from step 3 of the run `first` (sha256 {source['fingerprint'][:12]})" in card
    assert "which had learned `knowledge_masking`, `sentence_reordering` in one (3 steps)" in card
    assert "The pooler was trained" in card
    manifest = json.loads((folder / "training_manifest.json").read_text(encoding="utf-8"))
    assert manifest["source"]["path"] == str(runs.folder / "first")


def test_the_options_are_short_for_two_keys(runs: Runs) -> None:
    path = "runs/a b: [c]/run"
    given = beginning(path, "keep")
    source = load(runs.file, given)
    assert source.value["model"]["path"] == path and source.value["model"]["optimizer"] == "keep"
    assert beginning("", "") == []


@pytest.mark.parametrize("zero", [0, 3])
def test_measuring_paused_tasks_changes_nothing_of_what_is_trained(runs: Runs, zero: int) -> None:
    both, one = "{knowledge_masking: 1, sentence_reordering: 1}", "{knowledge_masking: 1}"
    stages = f"stages=[{{name: a, steps: 2, tasks: {both}}}, {{name: b, steps: 3, tasks: {one}}}]"
    settings = (FIRST[0], stages, f"engine.zero_stage={zero}", "batch.rows_per_process=4")
    runs.train("with", *settings, "evaluation.every=1")
    runs.train("without", *settings, "evaluation.every=0")
    assert equal(runs.tensors("with"), runs.tensors("without"))
    lines = runs.evaluations("with")
    told = [(line["stage"], line["step"], line["at"], "loss/sentence_reordering" in line) for line in lines]
    assert told == [
        ("a", 0, "start", True),
        ("a", 1, "within", True),
        ("a", 2, "end", True),
        ("b", 2, "start", True),
        ("b", 3, "within", False),
        ("b", 4, "within", False),
        ("b", 5, "end", True),
    ]
    assert figures(lines[2], "knowledge_masking", "sentence_reordering") == figures(
        lines[3], "knowledge_masking", "sentence_reordering"
    )
