"""Tasks that read other splits, whole documents and labels, and are bound to their folders before training."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_training import train, values
from tiny import ROOT, TINY_RUN

from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.shards import Prepared
from launch.settings.components import decode, load, plain, read_config
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.feeds import Feed, chosen_folders
from pretrain.feed.sampling import MicroBatchSpec, Sampler
from pretrain.preflight import Place, preflight

Kmask = Callable[..., subprocess.CompletedProcess[str]]
TASKS = """\
tasks:
  knowledge_masking: {{kind: knowledge_masking}}
  pairs: {{kind: toys.labelled_pairs, split: {split}, folders: [{folders}]{more}}}
stages:
  - {{name: one, steps: 2, tasks: {{knowledge_masking: 1}}}}
  - {{name: two, steps: 4, tasks: {{knowledge_masking: 1, pairs: 1}}}}
"""


@pytest.fixture(scope="module")
def pairs(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled pairs of the examples, with the tokenizer of the example corpus."""
    folder = tmp_path_factory.mktemp("pairs")
    words = ["the river", "a city in the north", "北京是首都", "the book that he wrote", "长江流经十一个省"]
    rows = [
        {"first": words[n % 5], "second": words[(n * 3 + 1) % 5] * (1 + n % 40), "label": "yes" if n % 3 else "no"}
        for n in range(120)
    ]
    (folder / "pairs.jsonl").write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
    )
    source = load(
        ROOT / "configs/data/demo.yaml",
        [f"output={folder / 'data'}", "engine.workers=1", f"vocabulary.path={prepared / 'tokenizer'}"],
    )
    source.value["corpora"] = [{"kind": "pairs", "paths": [str(folder / "pairs.jsonl")], "classes": ["no", "yes"]}]
    for place, names in ((0, ("entities.zh.tsv", "entities.en.tsv")), (1, ("phrases.zh.txt", "phrases.en.txt"))):
        source.value["annotators"][place]["paths"] = [str(ROOT / "examples/lexicons" / name) for name in names]
    prepare(decode(Preparation, source), lambda progress: None)
    return folder / "data"


@pytest.fixture
def pair_run(prepared: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A run over both folders; the task's further settings are given."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def write(more: str = "", split: str = "train", folders: str = "pairs") -> Path:
        head, _, rest = TINY_RUN.format(output=tmp_path / "run", data=prepared).partition("tasks:\n")
        head = head.replace("data: [{", f"data: [{{path: {pairs}, name: pairs}}, {{")
        file = tmp_path / "pairs.yaml"
        file.write_text(
            head + TASKS.format(more=more, split=split, folders=folders) + "batch:" + rest.partition("batch:")[2],
            encoding="utf-8",
        )
        return file

    return write


def test_a_task_reads_its_folders_alone_and_whole_documents_with_their_labels(pair_run: Callable[..., Path]) -> None:
    corpus = Corpus(run=read_config(Run, pair_run(), []))
    assert {name: sorted(folders) for name, folders in corpus.feeds.items()} == {
        "knowledge_masking": ["demo", "pairs"],
        "pairs": ["pairs"],
    }
    run = corpus.bound
    assert run.tasks["pairs"].classes == 2 and corpus.run.tasks["pairs"].classes == 0
    maker = corpus.maker(run.stages[1], "train", run.masking)
    assert sorted(maker.streams) == ["demo/knowledge_masking", "pairs/knowledge_masking", "pairs/pairs"]
    stream = maker.streams["pairs/pairs"]
    seen = 0
    for windows in stream.source.all_windows():
        for text in stream.source.texts(windows):
            assert text.start == 0 and np.array_equal(text.token_ids_T, text.shard.token_ids.row(text.document))
            seen += 1
    assert seen == sum(len(shard) for shard in stream.source.shards) > 80
    rows, _ = Sampler(streams=maker.streams, rows_per_step=8).step({})
    packed = maker.packed(MicroBatchSpec(0, rows, 0.0))
    mine = [sample for sample in packed.samples if sample.task == "pairs"]
    assert mine and max(len(sample.token_ids_T) for sample in mine) == 64
    for sample in mine:
        assert sample.text is not None
        assert sample.labels == {"pairs": int(sample.text.shard.label[sample.text.document])}
        assert set(sample.segment_ids_T.tolist()) == {0, 1}


def test_what_a_task_learned_of_its_folders_is_part_of_the_configuration(pair_run: Callable[..., Path]) -> None:
    run = read_config(Run, pair_run(), [])
    corpus = Corpus(run=run)
    resolved = corpus.resolved(plain(run))
    assert resolved["tasks"]["pairs"]["names"] == ["no", "yes"] and plain(run)["tasks"]["pairs"]["names"] == []
    again = Corpus(run=read_config(Run, pair_run(", names: [no, yes]"), []))
    assert again.resolved(plain(again.run))["tasks"] == resolved["tasks"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"more": ", names: [a, b]"},
            r"^task 'pairs' \(LabelledPairs\): names: \['a', 'b'\], but the folders have \['no', 'yes'\]",
        ),
        (
            {"split": "discourse"},
            r"^task 'pairs' \(LabelledPairs\) reads the split 'discourse', and pairs has none of it \(it has train, heldout\)",
        ),
        (
            {"folders": "demo"},
            r"^task 'pairs' \(LabelledPairs\) needs labelled pairs, and the split 'train' of demo has none",
        ),
        (
            {"folders": "nowhere"},
            r"^tasks: pairs.folders names 'nowhere', which is not among the prepared folders \(pairs, demo\)",
        ),
        (
            {"more": ", fault: label"},
            r"^task 'pairs' \(LabelledPairs\) gave document '.*' the label 10[01]; its classes are 0 to 1",
        ),
    ],
)
def test_a_task_that_cannot_be_fed_is_refused_before_training_by_its_name(
    pair_run: Callable[..., Path], settings: dict[str, str], message: str
) -> None:
    run = read_config(Run, pair_run(**settings), [])
    with pytest.raises(ValueError, match=message):
        preflight(run, plain(run), Place(processes=1, local=1))


def test_folders_with_other_classes_are_refused(pairs: Path) -> None:
    one = Prepared.open(pairs)
    other = replace(one, classes={"train": ("no", "maybe")})
    with pytest.raises(ValueError, match=r"task 'x' \(Y\): its folders have different classes \(no, maybe; no, yes\)"):
        chosen_folders("x", "Y", Feed(labelled=True), [], {"one": one, "other": other})


def test_a_run_with_labelled_pairs_trains_resumes_and_exports_without_their_folder(
    pair_run: Callable[..., Path], kmask: Kmask, tmp_path: Path
) -> None:
    file = pair_run()
    train(kmask, file, tmp_path / "run", "checkpoints.every=3")
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "train" and "accuracy/pairs" in line] == [3, 4, 5, 6]
    assert any("majority/pairs" in line for line in lines if line["event"] == "evaluation")
    whole = values(tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/step-00000006")
    train(kmask, file, tmp_path / "run", "checkpoints.every=3")
    assert values(tmp_path / "run") == whole
    result = kmask("export", str(tmp_path / "run"), str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("after", [0, 2, 6], ids=["while it is tried out", "in an evaluation", "in training"])
def test_a_fault_of_one_process_is_told_by_the_command(
    tiny_run: Path, kmask: Kmask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The reason stands in the log of the other process otherwise, and nobody names that log."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    task = f"tasks.knowledge_masking={{kind: toys.faulty_rank, after: {after}}}"
    done = kmask("train", tiny_run, f"output={tmp_path / 'run'}", task, "--processes", 2)
    assert done.returncode == 2, done.stderr
    told = re.search(r"^error: batch (\d+) of this process is odd$", done.stderr, re.MULTILINE)
    assert told and int(told[1]) > after, done.stderr
