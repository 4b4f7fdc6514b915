"""The configurations of the papers, with the model and the batch made small, train real steps on real shards."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from pair_folders import Here, folder_of
from tiny import ROOT

from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from launch.settings.components import decode, load, plain
from pretrain.config import Run
from pretrain.processes.world import World
from pretrain.stages.schedule import total_steps
from pretrain.trainer import Trainer

PAPERS = (
    "bert_base_en",
    "ernie1_base_zh",
    "ernie2_base_en",
    "ernie2_base_zh",
    "spanbert_base_en",
    "structbert_base",
    "electra_small",
    "macbert_base_zh",
    "pmi_base_en",
)
STEPS = 4
"""Three at least; a task of a schedule wants one for each of its stages, and there are four."""
SMALL = (
    "model.layers=1",
    "model.hidden=32",
    "model.heads=2",
    "model.intermediate=0",
    "batch.max_sample_tokens=64",
    "batch.row_tokens=256",
    "batch.rows_per_step=4",
    "batch.rows_per_process=2",
    "evaluation.rows=1",
    "engine.precision=fp32",
    "tracking.sinks=[]",
    "tracking.every=1",
)


@pytest.fixture(scope="module")
def folders(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders by the names that the configurations give them, all with one tokenizer."""
    target = tmp_path_factory.mktemp("papers")
    source = load(
        ROOT / "configs/data/demo.yaml",
        [f"output={target / 'corpus'}", f"vocabulary.path={prepared / 'tokenizer'}", "heldout=0.2"],
    )
    source.value["corpora"][0]["paths"] = [str(ROOT / f"examples/corpus/{code}.jsonl") for code in ("zh", "en")]
    for annotator in source.value["annotators"]:
        annotator["paths"] = [str(ROOT / path) for path in annotator["paths"]]
    source.value["discourse"] = {"label": "sense", "min_words": 2}
    prepare(replace(decode(Preparation, source), engine=Here()), lambda progress: None)
    return {
        "corpus": target / "corpus",
        "dialogues": folder_of("dialogues", prepared, target / "dialogues", 200),
        "searches": folder_of("log", prepared, target / "searches", 200),
    }


def shortened(name: str, folders: dict[str, Path], output: Path) -> Run:
    """A configuration made small: four steps of each stage, or of each task where a schedule says."""
    source = load(ROOT / f"configs/pretrain/{name}.yaml", [f"output={output}", *SMALL])
    for data in source.value["data"]:
        data["path"] = str(folders[data["name"]])
    if "schedule" in source.value:
        iterations = source.value["schedule"]["iterations"]
        source.value["schedule"]["iterations"] = dict.fromkeys(iterations, STEPS)
    for stage in source.value.get("stages", []):
        stage["steps"] = STEPS
        if "batch" in stage:
            small = {"max_sample_tokens": 40, "row_tokens": 160, "rows_per_step": 4, "rows_per_process": 1}
            stage["batch"] |= small
            stage["batch"]["warmup"] = {"rows": 2, "steps": STEPS - 1}
    if source.value["masking"]["strategy"].get("similar_words"):
        table = output.parent / "similar.tsv"
        table.write_text("北京\t上海\t0.9\n", encoding="utf-8")
        source.value["masking"]["strategy"]["similar_words"] = str(table)
    return decode(Run, source)


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_trains_and_every_task_of_it_has_targets(
    name: str, folders: dict[str, Path], tmp_path: Path, world: World
) -> None:
    run = shortened(name, folders, tmp_path / "run")
    assert total_steps(run.stages) >= STEPS
    assert Trainer(run, plain(run), world, lambda event, step, values: None).train()
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text("utf-8").splitlines()]
    trained = {key for line in lines if line["event"] == "train" for key, value in line.items() if value is not None}
    for task in run.tasks:
        assert f"loss/{task}" in trained, f"{task} had no target in any step"
    for line in lines:
        assert all(math.isfinite(value) for value in line.values() if isinstance(value, float)), line
    last = [line for line in lines if line["event"] == "train"][-1]
    assert last["step"] == total_steps(run.stages)
