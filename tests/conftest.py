"""What several test files need: the example corpus prepared once, and small run configurations over it."""

from __future__ import annotations

import gc
import multiprocessing.util
import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import commands
import hypothesis
import pytest
from tiny import ROOT, TINY_RUN

hypothesis.settings.register_profile("kmask", deadline=None)  # the first call of a compiled loop is slow
hypothesis.settings.load_profile("kmask")
os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # files run side by side; threads that wait for each other cost them all
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # those of a run alone on its machine do not spin while they wait
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # DeepSpeed sets it where it is imported, so for all
os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "True")  # scikit-learn does the same
os.environ.setdefault("KMP_INIT_AT_FORK", "FALSE")
os.environ.setdefault("WANDB_SILENT", "true")  # runs within a test set it; forked commands may not see a change
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

DEAREST = (
    *("pretrain/test_training", "pretrain/test_trainer", "pretrain/test_forgetting", "test_end_to_end"),
    *("pretrain/test_batch_schedule_ranks", "pretrain/test_batch_schedule"),
    *("pretrain/test_all_objectives", "pretrain/test_doors", "data_prep/test_segmenters", "pretrain/test_beginning"),
    *("data_prep/test_unbreakable", "data_prep/test_duplicate_rounds", "pretrain/test_exchange"),
    *(
        "faults/test_faults_short",
        "pretrain/test_collator",
        "pretrain/test_collator_prepared",
        "pretrain/test_realised",
    ),
)
"""The files that take longest, begun first: none is left to run alone at the end."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported while tests are found is garbage of no test: it is never searched."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Neither is what is left when this process is about to end."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Dear files first, otherwise as found."""
    place = {ROOT / f"tests/{name}.py": number for number, name in enumerate(DEAREST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example corpus as shards (two parts, with held-out documents)."""
    from data_prep.preparing.pipeline import prepare
    from data_prep.preparing.plan import Preparation
    from launch.settings.components import decode, load

    folder = tmp_path_factory.mktemp("prepared") / "data"
    names = (
        "corpus/zh.jsonl",
        "corpus/en.jsonl",
        "lexicons/entities.zh.tsv",
        "lexicons/entities.en.tsv",
        "lexicons/phrases.zh.txt",
        "lexicons/phrases.en.txt",
    )
    source = load(
        ROOT / "configs/data/demo.yaml",
        [f"output={folder}", "engine.workers=1", "part_bytes=100000", "vocabulary.size=3000"],
    )
    source.value["corpora"][0]["paths"] = [str(ROOT / "examples" / name) for name in names[:2]]
    source.value["annotators"][0]["paths"] = [str(ROOT / "examples" / name) for name in names[2:4]]
    source.value["annotators"][1]["paths"] = [str(ROOT / "examples" / name) for name in names[4:]]
    prepare(decode(Preparation, source), lambda progress: None)
    return folder


@pytest.fixture
def tiny_run(prepared: Path, tmp_path: Path) -> Path:
    """A configuration of eight steps in two stages."""
    file = tmp_path / "run.yaml"
    file.write_text(TINY_RUN.format(output=tmp_path / "run", data=prepared), encoding="utf-8")
    return file


@pytest.fixture
def kmask() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own; see commands.py."""
    return commands.run


@pytest.fixture(scope="session", autouse=True)
def _workers_forked() -> Iterator[None]:
    """Workers of multiprocessing are forked, too; ``spawned_workers`` starts them as a user's are."""
    with commands.workers_forked():
        yield


@pytest.fixture
def spawned_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers that this process spawns are really started."""
    monkeypatch.setattr(multiprocessing.util, "spawnv_passfds", commands.SPAWN)


@pytest.fixture(autouse=True)
def no_service_of_wandb() -> Iterator[None]:
    """A service that a test's own run started is not for the commands of later tests."""
    yield
    os.environ.pop("WANDB_SERVICE", None)
