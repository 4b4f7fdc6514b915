"""`kmask eval` and `kmask export`: which checkpoint they take, what they say, and that a machine can read it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from in_process import Result, command
from saved_run import TASKS, save_run

from launch.outcomes import saved_runs
from launch.outcomes.evaluating import figure_lines
from launch.settings.components import plain, read_config
from pretrain.config import Run
from pretrain.state import checkpoint
from pretrain.state.store import Store

Kmask = Callable[..., Result]


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kmask:
    """Run `kmask <arguments>` in this process."""
    return command(monkeypatch, capsys)


@pytest.fixture
def saved(tiny_run: Path) -> Path:
    """The folder of the tiny run with checkpoints of two steps."""
    return save_run(tiny_run, steps=(4, 6))


def damage(run: Path, step: int) -> None:
    file = run / f"checkpoints/step-{step:08d}/model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def test_eval_measures_every_learned_task_of_a_run_folder_and_names_the_step(kmask: Kmask, saved: Path) -> None:
    done = kmask("eval", saved)
    assert done.code == 0, done.err
    assert done.out.startswith("step 6 on held-out documents (2 rows")
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()[2:]}
    assert set(TASKS) <= set(rows) and "knowledge_masking/entity" in rows
    assert "majority" in done.out.splitlines()[1]
    assert len(rows["sentence_reordering"]) == 4 and len(rows["knowledge_masking"]) == 3
    written = json.loads((saved / "evaluation.json").read_text())
    assert written["step"] == 6 and 0 < written["majority/sentence_reordering"] <= 1


def test_eval_gives_json_alone_on_stdout_and_the_same_figures_for_folder_and_yaml(
    kmask: Kmask, saved: Path, tiny_run: Path
) -> None:
    by_folder = kmask("eval", saved, "--json")
    by_yaml = kmask("eval", tiny_run, "--json", "optimization.lr=0.5")
    assert by_folder.code == by_yaml.code == 0, by_folder.err + by_yaml.err
    one, two = json.loads(by_folder.out), json.loads(by_yaml.out)
    assert one == two and one["step"] == 6 and one["tasks"] == TASKS and one["passed_over"] == []
    assert "optimization.lr: 0.001 -> 0.5" in by_yaml.err and not by_folder.err


def test_eval_of_an_export_gives_the_figures_of_its_run(kmask: Kmask, saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert kmask("export", saved, folder).code == 0
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    of_run, of_export = (json.loads(kmask("eval", place, "--json").out) for place in (saved, folder))
    assert of_export["values"] == of_run["values"] and of_export["step"] == 6
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert "--step: " in kmask("eval", folder, "--step", 4).err
    assert "is an exported model" in kmask("export", folder, tmp_path / "again").err


def test_eval_with_a_yaml_that_does_not_belong_to_the_run_is_refused(kmask: Kmask, saved: Path, tiny_run: Path) -> None:
    done = kmask("eval", tiny_run, "seed=7")
    assert done.code == 2 and "seed: 1 -> 7" in done.err
    done = kmask("export", tiny_run, saved / "out", "tasks.span_boundary.max_length=7")
    assert done.code == 2 and "tasks.span_boundary.max_length: 20 -> 7" in done.err
    done = kmask("eval", saved, "seed=1")
    assert done.code == 2 and "give the training YAML" in done.err


def test_a_step_can_be_chosen_and_a_wrong_one_lists_those_that_are_there(
    kmask: Kmask, saved: Path, tmp_path: Path
) -> None:
    assert json.loads(kmask("eval", saved, "--step", 4, "--json", "--dry-run").out)["step"] == 4
    assert "would measure" in kmask("eval", saved, "--step", 4, "--dry-run").out
    wrong = kmask("export", saved, tmp_path / "out", "--step", 5)
    assert wrong.code == 2 and "no checkpoint of step 5; there are those of 4, 6" in wrong.err
    damage(saved, 4)
    broken = kmask("export", saved, tmp_path / "out", "--step", 4)
    assert broken.code == 2 and "is cut short" in broken.err and "there are those of 4, 6" in broken.err
    single = kmask("eval", saved / "checkpoints/step-00000006")
    assert single.code == 2 and "--step 6" in single.err
    assert not (tmp_path / "out").exists()


def test_a_damaged_newest_checkpoint_is_passed_over_by_name(kmask: Kmask, saved: Path, tmp_path: Path) -> None:
    damage(saved, 6)
    done = kmask("export", saved, tmp_path / "out", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["step"] == 4 and result["checkpoint"].endswith("step-00000004")
    assert [item["step"] for item in result["passed_over"]] == [6] and "cut short" in result["passed_over"][0]["reason"]
    assert "the checkpoint of step 6 is not usable" in done.err and "that of step 4 is used" in done.err
    assert "Trained for 4 steps" in (tmp_path / "out/README.md").read_text()
    damage(saved, 4)
    none = kmask("eval", saved, "--dry-run")
    assert none.code == 2 and "no usable checkpoint" in none.err and "step 4:" in none.err and "step 6:" in none.err


@pytest.mark.parametrize("moment", ["while it is hashed", "while its weights are read"])
def test_a_checkpoint_that_a_running_training_deletes_meanwhile_is_no_error(
    saved: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    load = checkpoint.load

    def training_goes_on() -> None:
        if not (saved / "checkpoints/step-00000008").exists():
            found = load(saved / "checkpoints/step-00000006")
            snapshot = checkpoint.Snapshot(state=replace(found.state, step=8), tensors=found.tensors())
            Store(saved / "checkpoints", 1, print).save(snapshot)

    def read(found: checkpoint.Checkpoint) -> int:
        if moment == "while its weights are read":
            training_goes_on()
        assert found.tensors(optimizer=False)
        return found.state.step

    def slow_load(folder: Path) -> checkpoint.Checkpoint:
        if moment == "while it is hashed":
            training_goes_on()
        return load(folder)

    monkeypatch.setattr(checkpoint, "load", slow_load)
    assert saved_runs.open_checkpoint(saved_runs.ChosenRun(folder=saved), read) == (8, [])
    assert saved_runs.steps_of(saved) == [8]


def test_a_chosen_step_that_is_deleted_meanwhile_says_so(saved: Path) -> None:
    def read(found: Any) -> Any:
        shutil.rmtree(found.folder)
        return found.tensors()

    with pytest.raises(ValueError, match=r"was deleted while it was read; there are those of 6"):
        saved_runs.open_checkpoint(saved_runs.ChosenRun(folder=saved, step=4), read)


def test_export_works_from_a_moved_run_whose_data_are_gone_and_eval_names_the_missing_folder(
    kmask: Kmask, tiny_run: Path, prepared: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(prepared, tmp_path / "data"))
    run = save_run(tiny_run, overrides=(f"data.0.path={data}",))
    moved = run.rename(tmp_path / "archive")
    data.rename(tmp_path / "away")
    done = kmask("eval", moved)
    assert done.code == 2 and str(data) in done.err and "data.0.path=" in done.err
    done = kmask("export", moved, tmp_path / "out")
    assert done.code == 0, done.err
    assert "language:" not in (tmp_path / "out/README.md").read_text()
    moved.rename(run)
    done = kmask("eval", tiny_run, f"data.0.path={tmp_path / 'away'}", "--json")
    assert done.code == 0 and json.loads(done.out)["data"] == [str(tmp_path / "away")]


def test_export_writes_languages_and_licence_that_the_user_states(kmask: Kmask, saved: Path, tmp_path: Path) -> None:
    done = kmask(
        "export", saved, tmp_path / "out", "--license", "cc-by-4.0", "--language", "en", "--language", "zh", "--json"
    )
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["languages"] == ["en", "zh"] and result["license"] == "cc-by-4.0" and result["pooler"] == "trained"
    assert 0 <= result["largest_logit_difference"] <= result["tolerance"]
    card = (tmp_path / "out/README.md").read_text()
    assert 'language: ["en", "zh"]\n' in card and 'license: "cc-by-4.0"\n' in card
    manifest = json.loads((tmp_path / "out/training_manifest.json").read_text())
    assert manifest["step"] == 6 and manifest["learned"] == TASKS and manifest["pooler"] == "trained"
    again = kmask("export", saved, tmp_path / "out")
    assert again.code == 2 and "exists already" in again.err


def test_export_takes_languages_from_the_data_and_figures_from_eval(kmask: Kmask, saved: Path, tmp_path: Path) -> None:
    figures = json.loads(kmask("eval", saved, "--json").out)["values"]
    done = kmask("export", saved, tmp_path / "out")
    assert done.code == 0 and "largest logit difference" in done.out and "no licence is stated" in done.err, done.err
    card = (tmp_path / "out/README.md").read_text()
    assert re.search(r'^language: \["(zh", "en|en", "zh)"\]$', card, re.MULTILINE)
    assert (
        f"| sentence_reordering | {figures['loss/sentence_reordering']:.3f} | {figures['accuracy/sentence_reordering']:.3f} |"
        in card
    )
    assert "No licence was stated" in card and "\nlicense:" not in card


def test_a_paused_task_is_measured_too(kmask: Kmask, tiny_run: Path) -> None:
    tasks = "{knowledge_masking: 1}"
    run = save_run(
        tiny_run,
        overrides=(f"stages.1.tasks={tasks}", "stages.0.tasks={knowledge_masking: 1, span_boundary: 0}"),
        learned=TASKS[:2],
    )
    done = kmask("eval", run)
    assert done.code == 0 and "span_boundary" in done.out and "sentence_reordering" not in done.out, done.err
    assert "majority" not in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eval", "nowhere"), "no such run folder or YAML"),
        (("export", "nowhere", "out"), "no such run folder or YAML"),
        (("export", ".", "out", "--language", "Chinese"), "is not a language code"),
        (("eval", "."), "holds no checkpoint yet"),
        (("export", ".", "out"), "holds no tokenizer.json"),
    ],
)
def test_arguments_that_name_nothing_are_refused_in_one_sentence(
    kmask: Kmask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = kmask(*arguments)
    assert done.code == 2 and message in done.err and not done.out and len(done.err.splitlines()) == 1


def test_a_yaml_whose_run_has_not_begun_is_refused(kmask: Kmask, tiny_run: Path) -> None:
    done = kmask("eval", tiny_run)
    assert done.code == 2 and "train first" in done.err


def test_the_table_leaves_out_what_has_no_targets_and_shows_figures_that_are_no_numbers_as_gaps() -> None:
    values = {"loss/a": None, "accuracy/a": 0.5, "targets/a": 1200.0, "targets/word": 0.0}
    assert [line.split() for line in figure_lines(values, ["a"])] == [
        ["loss", "accuracy", "targets"],
        ["a", "0.500", "1,200"],
    ]


def test_what_tasks_learned_from_their_folders_comes_back_with_a_yaml(tiny_run: Path) -> None:
    """A YAML leaves the names of classes empty; the checkpoint knows them."""
    added = ["tasks.pairs.kind=pair_classification", "tasks.pairs.folders=[demo]"]
    run = read_config(Run, tiny_run, added)
    tasks = {**plain(run)["tasks"], "pairs": {**plain(run)["tasks"]["pairs"], "names": ["no", "yes"], "folders": ["x"]}}
    state = SimpleNamespace(config={**plain(run), "tasks": tasks})
    found = saved_runs.as_learned(run, state).tasks
    assert found["pairs"].names == ["no", "yes"] and found["pairs"].classes == 2
    assert found["pairs"].folders == ["demo"]  # the user's own
    assert found["knowledge_masking"] == run.tasks["knowledge_masking"]
    named = read_config(Run, tiny_run, [*added, "tasks.pairs.names=[a, b, c]"])
    assert saved_runs.as_learned(named, state).tasks["pairs"].names == ["a", "b", "c"]
