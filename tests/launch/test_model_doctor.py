"""`kmask doctor --model`: what a checkpoint is, and what will be done with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hub_folders import hub_folder
from in_process import Result, command

Doctor = Callable[..., Result]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    run = command(monkeypatch, capsys)
    return lambda *arguments: run("doctor", *arguments)


def test_a_folder_is_told_with_what_will_be_done(doctor: Doctor, prepared: Path, tmp_path: Path) -> None:
    plain = hub_folder(tmp_path / "r", "roberta", prepared / "tokenizer")
    done = doctor("--model", tmp_path / "r", "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    told = {
        name: facts[name] for name in ("what", "class", "computed_by", "layers", "hidden", "activation", "positions")
    }
    assert told == {
        "what": "folder of type roberta",
        "class": "RobertaForMaskedLM",
        "computed_by": "ErnieModel",
        "layers": 2,
        "hidden": 32,
        "activation": "gelu",
        "positions": 514,
    }
    assert facts["vocabulary_rows"] == facts["tokenizer_tokens"] + 3 and facts["dtype"] == ["float32"]
    assert (facts["masked_lm_head"], facts["pooler"], facts["task_rows"]) == ("there", "missing", 0)
    cut = plain.config.pad_token_id + 1
    for words in (
        f"the first {cut} rows of its positions",
        "3 rows of the word table beyond the tokenizer",
        "row 0 is",
    ):
        assert any(words in line for line in facts["will"]), words
    told_to_people = doctor("--model", tmp_path / "r").out
    assert "masked-LM head there" in told_to_people and "epsilon 1e-05" in told_to_people


def test_what_will_not_go_as_expected_is_warned_of(doctor: Doctor, prepared: Path, tmp_path: Path) -> None:
    hub_folder(tmp_path / "e", "electra_small", prepared / "tokenizer", head=False)
    plain = hub_folder(tmp_path / "half", "bert", prepared / "tokenizer", trained=False)
    plain.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    lines = (tmp_path / "half/vocab.txt").read_text().split("\n")
    (tmp_path / "half/vocab.txt").write_text("\n".join([*lines[:7], lines[6], *lines[8:]]))
    electra, half = (json.loads(doctor("--model", tmp_path / name, "--json").out) for name in ("e", "half"))
    assert electra["word_width"] == 16 and electra["computed_by"] == "ElectraModel"
    assert any("this encoder knows no tasks" in line for line in electra["will"])
    assert any("begins from random weights; `model.warm_up_head: 500`" in line for line in electra["will"])
    assert half["masked_lm_head"] == "looks untrained" and half["dtype"] == ["bfloat16"]
    for words in ("its weights are bfloat16", "twice: readers that skip it", "do not list the same tokens"):
        assert any(words in line for line in half["warnings"]), words


def test_what_cannot_be_continued_says_why(doctor: Doctor, prepared: Path, tmp_path: Path) -> None:
    hub_folder(tmp_path / "b", "bert", prepared / "tokenizer")
    (tmp_path / "b/model.safetensors").unlink()
    done = doctor("--model", tmp_path / "b")
    assert done.code == 2 and "no weights there" in done.err
    assert doctor("--model", tmp_path / "nowhere").code == 2
    assert "it is about --model" in doctor("--json").err
