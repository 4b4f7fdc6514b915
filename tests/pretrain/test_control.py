"""The control set: folders that are measured apart from the others, and perhaps not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_heldout_masks import ALONE, Counting

from launch.settings.components import decode, load
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.evaluation.heldout import CONTROL, evaluate
from pretrain.order import stream_shares


def configured(tiny_run: Path, prepared: Path, folders: dict[str, float], **evaluation: Any) -> Run:
    source = load(tiny_run, [])
    source.value["data"] = [{"path": str(prepared), "name": name, "weight": each} for name, each in folders.items()]
    source.value["evaluation"] = {"rows": 2, **evaluation}
    return decode(Run, source)


def figures(run: Run) -> dict[str, float]:
    measured = evaluate(Counting(run), Corpus(run=run).heldout(list(run.tasks)), run.evaluation.rows, ALONE)
    assert measured is not None
    return measured.values(ALONE)


def test_the_control_set_is_measured_apart_and_changes_no_other_figure(tiny_run: Path, prepared: Path) -> None:
    both = figures(configured(tiny_run, prepared, {"law": 1, "news": 0}, control=["news"], masking="both"))
    law, news = (figures(configured(tiny_run, prepared, {name: 1}, masking="both")) for name in ("law", "news"))
    kinds = {name: name.partition("/")[2].startswith(CONTROL) for name in both}
    assert {name: value for name, value in both.items() if not kinds[name]} == law
    assert {name.replace(CONTROL, "", 1): both[name] for name in both if kinds[name]} == news
    assert "loss/control/knowledge_masking" in both and "majority/control/sentence_reordering" in both
    assert "loss/control/knowledge_masking/own_masks" in both
    together = figures(configured(tiny_run, prepared, {"law": 1, "news": 0}))
    targets = "targets/knowledge_masking"
    assert together[targets] == law[targets] + news[targets]


def test_a_folder_of_weight_0_is_measured_and_nothing_of_it_is_trained(tiny_run: Path, prepared: Path) -> None:
    run = configured(tiny_run, prepared, {"law": 1, "news": 0}, control=["news"])
    alone = configured(tiny_run, prepared, {"law": 1})
    for stage, same in zip(run.stages, alone.stages, strict=True):
        assert stream_shares(run, stage) == stream_shares(alone, same)
    assert Corpus(run=run).trained == ["law"]
    source = load(tiny_run, [])
    source.value["data"] = [{"path": str(prepared), "name": name, "weight": 1 - n} for n, name in enumerate("ab")]
    source.value["tasks"]["span_boundary"]["folders"] = {"b": 1}
    assert Corpus(run=decode(Run, source)).trained == ["a", "b"]
    source.value["tasks"]["span_boundary"]["folders"] = []
    source.value["tasks"]["knowledge_masking"]["folders"] = ["b"]
    wrong = decode(Run, source)
    with pytest.raises(ValueError, match=r"task 'knowledge_masking': every folder that it reads has weight 0 \(b\)"):
        stream_shares(wrong, wrong.stages[0])


@pytest.mark.parametrize(
    ("folders", "control", "told"),
    [
        ({"law": 1}, ["news"], r"evaluation\.control: 'news' is not among the folders of data \(law\)"),
        ({"law": 1}, ["law"], r"evaluation\.control: it names every folder of data"),
        ({"law": 0}, [], "data: every folder has weight 0"),
        ({"law": -1, "news": 1}, [], "weight: -1.0 must be positive, or 0 for a folder that is only measured"),
    ],
)
def test_a_control_set_that_means_nothing_is_refused(
    tiny_run: Path, prepared: Path, folders: dict[str, float], control: list[str], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        configured(tiny_run, prepared, folders, control=control)


def test_no_task_has_the_name_of_the_control_set(tiny_run: Path, prepared: Path) -> None:
    source = load(tiny_run, [])
    source.value["data"] = [{"path": str(prepared), "name": name} for name in ("law", "news")]
    source.value["evaluation"] = {"control": ["news"]}
    source.value["tasks"]["control"] = {"kind": "prefix_lm"}
    with pytest.raises(ValueError, match="a task cannot be named control"):
        decode(Run, source)
