"""docs/objectives.md: what it must say of every objective, and its own example of a task, really trained."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from in_process import Result, command
from tiny import ROOT

from launch.manual.objective_corpora import Examples
from launch.manual.objective_texts import PLACES
from launch.settings.components import decode, load
from launch.settings.kinds import kinds
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.loading import BatchMaker
from pretrain.feed.sampling import MicroBatchSpec, Sampler
from pretrain.objectives import Objective
from pretrain.setup import build_model

PAGE = (ROOT / "docs/objectives.md").read_text(encoding="utf-8")
SECTIONS = {text.partition("\n")[0]: text for text in PAGE.partition("\n## An objective of")[0].split("\n### ")[1:]}
HAN = re.compile(r"[\u4e00-\u9fff]")


def test_every_kind_has_a_place_a_row_and_a_section_with_inputs_in_both_languages() -> None:
    assert sorted(SECTIONS) == sorted(PLACES) == kinds(Objective)
    for name, section in SECTIONS.items():
        drawings = re.findall(r"```\n(input .*?)```", section, re.DOTALL)
        spoken = ["zh" if HAN.search(text.partition("\ncandidate")[0]) else "en" for text in drawings]
        assert spoken == (["en"] if name == "capitalization" else ["en", "zh"]) or name == "quick_thoughts", name
        for text in drawings:
            assert "[CLS]" in text and "[SEP]" in text and "\nsegment" in text
            assert re.search(r"^(predict|class) ", text, re.MULTILINE), name
        assert f"| [`{name}`](#{name}) |" in PAGE and "- takes part: " in section and "- data: " in section


def test_the_configuration_of_every_section_can_be_read(tmp_path: Path) -> None:
    for name, section in SECTIONS.items():
        (text,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
        folders = re.search(r"folders: \[(.*)\]", text)
        assert folders, name
        data = ", ".join(f"{{path: {tmp_path}, name: {folder}}}" for folder in folders[1].split(", "))
        file = tmp_path / "run.yaml"
        file.write_text(f"output: {tmp_path}\ndata: [{data}]\n{text}", encoding="utf-8")
        run = decode(Run, load(file, []))
        assert name in run.tasks and name in run.stages[0].tasks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The texts of the page."""
    return Examples(tmp_path_factory.mktemp("objectives")).folder("text")


@pytest.fixture
def own_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run as the story of the example has it."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    story = (ROOT / "examples/my_tasks/has_digit.py").read_text(encoding="utf-8").split('"""')[1]
    lines = [line[4:] for line in story.partition("    tasks:\n")[2].splitlines()]
    settings = [
        f"output: {tmp_path / 'run'}",
        f"data: [{{path: {folder}, name: text}}]",
        "model: {layers: 1, hidden: 32, heads: 2, max_positions: 32, dropout: 0}",
        "masking: {strategy: {kind: whole_unit, units: [word]}}",
        "batch: {max_sample_tokens: 24, row_tokens: 96, rows_per_step: 4}",
        "evaluation: {every: 0}",
        "tasks:",
        *lines,
    ]
    file = tmp_path / "run.yaml"
    file.write_text("\n".join(settings) + "\n", encoding="utf-8")
    return file


def maker_of(file: Path) -> tuple[Corpus, BatchMaker]:
    corpus = Corpus(run=decode(Run, load(file, [])))
    run = corpus.bound
    return corpus, corpus.maker(run.stages[0], "train", run.masking)


def test_the_example_of_a_task_labels_what_holds_a_digit_and_hides_none(own_run: Path) -> None:
    corpus, maker = maker_of(own_run)
    tokens, seen = corpus.tokenizer.tokens, Counter[int]()
    rows, _ = Sampler(streams=maker.streams, rows_per_step=8).step({})
    packed = maker.packed(MicroBatchSpec(0, rows, 0.0))
    for sample in packed.samples:
        words = [tokens[number] for number in sample.token_ids_T.tolist()]
        assert sample.labels == ({"digits": int("1865" in words or "1898" in words)} if sample.task == "digits" else {})
        assert sample.task != "digits" or not sample.maskable_T[[word.isdigit() for word in words]].any()
        seen.update(sample.labels.values())
    assert set(seen) == {0, 1}


def test_the_example_of_a_task_is_learnt_and_shown(
    own_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, maker = maker_of(own_run)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=8).step({})
    torch.manual_seed(0)
    batch, model = maker[MicroBatchSpec(0, rows, 0.0)], build_model(corpus.bound, 0, corpus.tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        loss, _ = model(batch, {"digits": 1.0 / batch.counts["digits"]})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    run: Callable[..., Result] = command(monkeypatch, capsys)
    code, out, _ = run("show", "task", "digits", own_run, "--samples", "50")
    assert code == 0 and "class 1 digit" in out and "class 0 no digit" in out and "most frequent class" in out


def test_the_example_of_a_task_refuses_text_without_digits(own_run: Path, tmp_path: Path) -> None:
    folder = Examples(tmp_path / "texts").folder("pairs")
    settings: Any = load(own_run, [f"data.0.path={folder}"])
    with pytest.raises(ValueError, match=r"task 'digits'.*the text of text has no digit"):
        _ = Corpus(run=decode(Run, settings)).objectives
