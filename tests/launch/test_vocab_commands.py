"""`kmask vocab` and `kmask lexicon`, as a user types them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Kmask = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def data_yaml(tmp_path: Path) -> Path:
    """The example corpus, with a lexicon that is yet to be mined."""
    file = tmp_path / "data.yaml"
    file.write_text(
        f"output: {tmp_path / 'data'}\n"
        f"corpora:\n  - {{kind: jsonl, paths: [{ROOT}/examples/corpus/zh.jsonl, {ROOT}/examples/corpus/en.jsonl]}}\n"
        f"annotators:\n  - {{kind: lexicon, level: phrase, origin: mined, paths: [{tmp_path / 'mined.tsv'}]}}\n"
        "vocabulary: {size: 1500}\nengine: {kind: local, workers: 1}\n",
        encoding="utf-8",
    )
    return file


def test_a_lexicon_is_mined_with_settings_from_the_command_line(kmask: Kmask, data_yaml: Path, tmp_path: Path) -> None:
    run = kmask(
        "lexicon", "mine", data_yaml, "-o", tmp_path / "mined.tsv", "min_count=3", "languages=[en]", "part_bytes=30000"
    )
    assert run.returncode == 0, run.stderr
    lines = (tmp_path / "mined.tsv").read_text(encoding="utf-8").splitlines()
    assert "min_count=3" in lines[1]
    assert len([line for line in lines if not line.startswith("#")]) > 3
    assert "entries in" in run.stdout


@pytest.mark.parametrize(
    ("override", "message"),
    [("min_count=1", "min_count: 1 must be at least 2"), ("min_cuont=3", "unknown key"), ("max_words=x", "max_words")],
)
def test_a_wrong_setting_of_mining_is_one_line_for_the_user(
    override: str, message: str, kmask: Kmask, data_yaml: Path, tmp_path: Path
) -> None:
    run = kmask("lexicon", "mine", data_yaml, "-o", tmp_path / "mined.tsv", override)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "mined.tsv").exists()


def test_a_dry_run_shows_the_settings_and_writes_nothing(kmask: Kmask, data_yaml: Path, tmp_path: Path) -> None:
    run = kmask("lexicon", "mine", data_yaml, "-o", tmp_path / "mined.tsv", "max_words=3", "--dry-run")
    assert "max_words: 3" in run.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["data.yaml"]


def test_a_vocabulary_is_trained_inspected_and_extended(kmask: Kmask, data_yaml: Path, tmp_path: Path) -> None:
    run = kmask("vocab", "train", data_yaml, "-o", tmp_path / "v", "vocabulary.size=700")
    assert run.returncode == 0, run.stderr
    assert "700 tokens" in run.stdout
    inspected = json.loads(kmask("vocab", "inspect", tmp_path / "v", "--corpus", data_yaml, "--json").stdout)
    assert inspected["rows"] == 700
    assert inspected["corpus"]["unknown"] > 0
    worst = inspected["corpus"]["unknown_characters"][0]
    run = kmask(
        "vocab", "extend", tmp_path / "v", "--corpus", data_yaml, "-o", tmp_path / "w", "--min-count", "1", "--json"
    )
    assert run.returncode == 0, run.stderr
    extended = json.loads(run.stdout)
    assert worst["character"] in extended["added"]
    assert (tmp_path / "w/vocab.txt").read_bytes().startswith((tmp_path / "v/vocab.txt").read_bytes())
    again = kmask("vocab", "inspect", tmp_path / "w", "--corpus", data_yaml)
    assert "0 [UNK] (0.0000%)" in " ".join(again.stdout.split())


def test_a_limit_says_what_it_left_out(kmask: Kmask, data_yaml: Path, tmp_path: Path) -> None:
    kmask("vocab", "train", data_yaml, "-o", tmp_path / "v", "vocabulary.size=700")
    (tmp_path / "words.txt").write_text("kubelet\n鿕\n", encoding="utf-8")
    run = kmask(
        "vocab", "extend", tmp_path / "v", "--words", tmp_path / "words.txt", "-o", tmp_path / "w", "--limit", "1"
    )
    assert "1 tokens added" in run.stdout
    assert "1 left out: beyond --limit 1" in run.stdout


def test_what_cannot_be_done_is_said_in_one_line(kmask: Kmask, data_yaml: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("vocab", "extend", tmp_path, "-o", tmp_path / "w"), "give either --corpus DATA.yaml or --words FILE"),
        (("vocab", "inspect", tmp_path), "holds no tokenizer.json"),
        (("vocab", "train", data_yaml, "-o", tmp_path), "exists already"),
        (
            ("vocab", "train", data_yaml, "-o", tmp_path / "v", "vocabulary.path=x"),
            "vocabulary.path: x: no such folder",
        ),
    ):
        run = kmask(*arguments)
        assert run.returncode == 2, run.stdout
        assert message in " ".join(run.stderr.split())
        assert "Traceback" not in run.stderr
