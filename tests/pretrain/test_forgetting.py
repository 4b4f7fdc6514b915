"""Against forgetting: lower rates for what is older than a stage, and the mean of stage ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_beginning import FIRST, REORDER, SECOND, Killed, Runs, equal, figures

from pretrain.forgetting import averaged, begin_weights, factors, old_parts, parts_of, rows_before
from pretrain.optimization import Optimization, parameter_groups
from pretrain.processes.world import World

TABLE = "ernie.embeddings.task_type_embeddings.weight"
ENCODER = "ernie.encoder.layer.0.output.dense.weight"
TASKS = (
    f"tasks={{knowledge_masking: {{kind: knowledge_masking}}, sentence_reordering: {REORDER}, "
    "halves: {kind: sentence_reordering, segments: 2}}"
)
STAGES = (
    "stages=[{name: a, steps: 2, tasks: {knowledge_masking: 1, sentence_reordering: 1}}, "
    "{name: b, steps: 3, tasks: {knowledge_masking: 1, halves: 1}}, {name: c, steps: 2, tasks: {knowledge_masking: 1}}]"
)
SETTINGS = (TASKS, STAGES, "batch.rows_per_process=4", "evaluation.every=0", "checkpoints.keep=9")


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, world: World) -> Runs:
    return Runs(tiny_run, tmp_path, world)


def at(runs: Runs, name: str, step: int) -> dict[str, torch.Tensor]:
    from pretrain.state.checkpoint import load

    return load(runs.folder / name / f"checkpoints/step-{step:08d}").tensors()


def test_the_mean_of_stage_ends_is_running_and_begins_when_a_part_joins() -> None:
    tensors, ends = {"ernie.encoder.x": torch.tensor([4.0])}, {}
    for value, mean in ((10.0, 7.0), (13.0, 9.0), (5.0, 8.0)):
        begin = begin_weights(tensors, ["ernie.encoder"], fresh=True)
        tensors, ends = averaged({"ernie.encoder.x": torch.tensor([value]), "heads.new.w": torch.ones(2), **begin},
                                 ends, [0])  # fmt: skip
        assert tensors["ernie.encoder.x"].tolist() == [mean] and tensors["heads.new.w"].tolist() == [1, 1]
    assert ends == {"ernie.encoder": 4, "heads.new": 1}


def test_rows_of_the_task_table_that_a_stage_adds_are_not_averaged() -> None:
    end, begin = torch.full((3, 1), 4.0), torch.zeros(2, 1)
    found, _ = averaged({TABLE: end, f"{TABLE}#begin": begin}, {}, [0, 2])
    assert found[TABLE].tolist() == [[2], [4], [4]]  # row 2 was not there
    assert rows_before(["heads.a", "heads.b"], {"a": 0, "new": 1, "b": 2}) == [0, 2]


def test_what_is_old_is_what_was_trained_or_read_before_the_stage() -> None:
    parts = parts_of([TABLE, "ernie.embeddings.w", ENCODER, "ernie.pooler.dense.bias", "heads.a.w", f"{ENCODER}#step"])
    assert parts[0] == "ernie.embeddings.task_type_embeddings" and len(parts) == 5
    assert old_parts(parts, pooler=True) == parts
    assert old_parts(parts, pooler=False) == [part for part in parts if part != "ernie.pooler"]
    assert factors([TABLE, ENCODER], parts, 0.1, grows=False) == {TABLE: 0.1, ENCODER: 0.1}
    assert factors([TABLE, ENCODER, "heads.new.w"], parts, 0.1, grows=True) == {ENCODER: 0.1}
    assert not factors([ENCODER], parts, 1.0, grows=False)


def test_parameter_groups_are_as_they_were_without_factors() -> None:
    module = torch.nn.Linear(2, 2)
    named = list(module.named_parameters())
    assert [group["factor"] for group in parameter_groups(named, 0.1, {})] == [1, 1]
    lower = parameter_groups([*named, ("old", torch.nn.Parameter(torch.ones(2, 2)))], 0.1, {}, {"old": 0.5})
    assert sorted(group["factor"] for group in lower) == [0.5, 1, 1]


@pytest.mark.parametrize("setting", ["old_parameters=0.1", "average_stages=true"])
def test_settings_about_older_parameters_need_some(runs: Runs, setting: str) -> None:
    with pytest.raises(ValueError, match=rf"optimization.{setting.partition('=')[0]}: .* one stage and no model.path"):
        runs.decoded("run", *FIRST, f"optimization.{setting}")
    runs.decoded("run", *SECOND, f"optimization.{setting}", runs.path("first"))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        Optimization(old_parameters=1.5)


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_old_parameters_stand_still_at_the_factor_0_and_only_they(runs: Runs, zero: int) -> None:
    settings = (*SETTINGS, f"engine.zero_stage={zero}")
    runs.train("usual", *settings)
    runs.train("still", *settings, "optimization.old_parameters=0")
    first, second, last = (at(runs, "still", step) for step in (2, 5, 7))
    assert equal(first, at(runs, "usual", 2))  # nothing is older than the first stage
    old = [name for name in first if "#" not in name and name != TABLE]
    assert all(torch.equal(first[name], second[name]) for name in old)
    assert not torch.equal(first[TABLE], second[TABLE][:2])  # it grows, so it learns at the whole rate
    assert all(torch.equal(second[name], last[name]) for name in second if "#" not in name)
    assert int(last[f"{ENCODER}#step"]) == 7 and not torch.equal(
        last[f"{ENCODER}#exp_avg"], first[f"{ENCODER}#exp_avg"]
    )


@pytest.mark.parametrize("zero", [0, 3])
def test_lower_rates_and_means_are_exact_after_a_kill_anywhere(runs: Runs, zero: int) -> None:
    """In the middle of a stage, at its end before and after the mean, and in the first steps of the next."""
    settings = (
        *SETTINGS,
        f"engine.zero_stage={zero}",
        "checkpoints.every=2",
        "optimization.old_parameters=0.3",
        "optimization.average_stages=true",
        "evaluation.every=100",
    )
    runs.train("whole", *settings)
    wanted = [{**line, "time": 0} for line in runs.evaluations("whole")]
    assert [line["at"] for line in wanted] == ["start", "end", "start", "end", "averaged", "start", "end", "averaged"]
    stops = {"middle": ("train", 4), "end": ("evaluation", 5), "next": ("train", 6), "last": ("evaluation", 7)}
    for name, stop in list(stops.items())[: 4 if zero == 0 else 1]:
        runs.killed(name, *settings, at=stop)
        runs.train(name, *settings)
        assert equal(runs.tensors(name), runs.tensors("whole"))
        assert [{**line, "time": 0} for line in runs.evaluations(name)] == wanted
    seen = {"count": 0}  # measured twice: the end as it was trained, and the mean

    def mean_is_measured(event: str, step: int) -> bool:
        seen["count"] += (event, step) == ("evaluation", 5)
        return seen["count"] == 2

    with pytest.raises(Killed):
        runs.train("mean", *settings, kill=mean_is_measured)
    assert runs.found("mean").state.step == 4  # the mean is published with its figures, or neither
    runs.train("mean", *settings)
    assert equal(runs.tensors("mean"), runs.tensors("whole"))


@pytest.mark.parametrize(("zero", "precision"), [(0, "fp32"), (1, "bf16_parameters"), (3, "fp32")])
def test_a_stage_ends_with_the_mean_and_the_next_begins_from_it(runs: Runs, zero: int, precision: str) -> None:
    engine = (f"engine.zero_stage={zero}", f"engine.precision={precision}")
    settings = (*SETTINGS, *engine, "evaluation.every=100", "checkpoints.every=2")
    runs.train("usual", *settings)
    runs.train("mean", *settings, "optimization.average_stages=true")
    one, two, mean = at(runs, "usual", 2), at(runs, "usual", 5), at(runs, "mean", 5)
    assert equal(one, at(runs, "mean", 2)) and not any(name.endswith("#begin") for name in mean)
    for name in (name for name in one if "#" not in name):
        expected = one[name] + (two[name][: len(one[name])] - one[name]) / 2
        assert torch.equal(mean[name][: len(one[name])], expected), name
    assert torch.equal(mean[TABLE][2], two[TABLE][2]) and torch.equal(mean["heads.halves.weight"],
                                                                     two["heads.halves.weight"])  # fmt: skip
    assert all(torch.equal(mean[name], two[name]) for name in two if "#" in name)  # Adam goes on as it was
    from pretrain.state.checkpoint import load

    states = [load(runs.folder / f"mean/checkpoints/step-{step:08d}").state for step in (2, 4, 5, 7)]
    assert [state.ends.get("ernie.encoder") for state in states] == [None, None, 2, 3]
    assert states[-1].ends["heads.halves"] == 2 and "heads.sentence_reordering" in states[-1].old
    assert sum(name.endswith("#begin") for name in at(runs, "mean", 4)) == len([n for n in one if "#" not in n])
    lines = {(line["stage"], line["at"]): line for line in runs.evaluations("mean")}
    old = ("knowledge_masking", "sentence_reordering", "halves")
    assert figures(lines["b", "averaged"], *old) == figures(lines["c", "start"], *old)
    assert figures(lines["b", "averaged"], *old) != figures(lines["b", "end"], *old)


def test_what_a_run_began_from_counts_as_an_end_and_is_old(runs: Runs) -> None:
    runs.train("first", *FIRST)
    runs.train("mean", *SECOND, runs.path("first"), "optimization.average_stages=true")
    runs.train("usual", *SECOND, runs.path("first"))
    first, usual, mean = runs.tensors("first"), runs.tensors("usual"), runs.tensors("mean")
    assert torch.equal(mean[ENCODER], first[ENCODER] + (usual[ENCODER] - first[ENCODER]) / 2)
    assert torch.equal(mean["heads.halves.weight"], usual["heads.halves.weight"])
    assert torch.equal(mean[TABLE][1], usual[TABLE][1])  # the new row
    assert torch.allclose(mean[TABLE][2], (first[TABLE][1] + usual[TABLE][2]) / 2)
    runs.train("still", *SECOND, runs.path("first"), "optimization.old_parameters=0")
    assert torch.equal(runs.tensors("still")[ENCODER], first[ENCODER])


def test_a_setting_that_changes_within_a_stage_acts_where_it_can(runs: Runs) -> None:
    """Averaging needs the weights with which a stage began: asked for in its middle, it acts from the next stage on."""
    runs.killed("run", *SETTINGS, "checkpoints.every=1", at=("train", 4))
    runs.train("run", *SETTINGS, "optimization.average_stages=true")
    runs.train("usual", *SETTINGS)
    assert equal(at(runs, "run", 5), at(runs, "usual", 5)) and not equal(at(runs, "run", 7), at(runs, "usual", 7))
    runs.killed("off", *SETTINGS, "checkpoints.every=1", "optimization.average_stages=true", at=("train", 4))
    runs.train("off", *SETTINGS)
    assert equal(at(runs, "off", 7), at(runs, "usual", 7)) and runs.found("off").state.ends == {}


def test_weights_of_a_bert_are_old_in_the_first_stage_and_what_it_lacks_is_not(
    runs: Runs, prepared: Path, tmp_path: Path
) -> None:
    from hub_folders import hub_folder

    hub_folder(tmp_path / "bert", "bert", prepared / "tokenizer")
    settings = (*FIRST, f"model.path={tmp_path / 'bert'}")
    runs.train("still", *settings, "optimization.old_parameters=0")
    runs.train("mean", *settings, "optimization.average_stages=true")
    runs.train("usual", *settings)
    still, mean, usual = (runs.tensors(name) for name in ("still", "mean", "usual"))
    found = runs.found("still").state.old
    assert "heads.knowledge_masking" in found and not {"ernie.pooler", "heads.sentence_reordering"} & set(found)
    assert torch.equal(mean[ENCODER], still[ENCODER] + (usual[ENCODER] - still[ENCODER]) / 2)
    for name in (TABLE, "ernie.pooler.dense.weight", "heads.sentence_reordering.weight"):
        assert torch.equal(mean[name], usual[name])
