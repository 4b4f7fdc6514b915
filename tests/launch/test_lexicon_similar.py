"""`kmask lexicon similar`, as a user types it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.shards import Prepared
from data_prep.word_lists.similar_pairs import read_pairs

Kmask = Callable[..., "subprocess.CompletedProcess[str]"]


def test_similar_words_of_a_prepared_folder_become_a_file_that_masking_reads(
    kmask: Kmask, prepared: Path, tmp_path: Path
) -> None:
    file = tmp_path / "similar.tsv"
    run = kmask("lexicon", "similar", prepared, "-o", file, "min_count=5", "dimensions=50", "neighbours=3")
    assert run.returncode == 0, run.stderr
    folder = Prepared.open(prepared)
    head = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert folder.fingerprint in head[0] and "min_count=5" in head[1] and "neighbours=3" in head[1]
    pairs = read_pairs(file, folder.tokenizer)
    assert pairs.pairs > 20 and pairs.left_out == {}
    assert f"{pairs.pairs:,} pairs" in run.stdout and "words without a similar one" in run.stdout
    assert f"masking: {{strategy: {{kind: macbert, similar_words: {file}}}}}" in run.stdout
    assert "Warning" not in run.stderr
    again = kmask(
        "lexicon", "similar", prepared, "-o", tmp_path / "again.tsv", "min_count=5", "dimensions=50", "neighbours=3"
    )
    assert again.returncode == 0 and (tmp_path / "again.tsv").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("windw=3", "windw: unknown key; did you mean `window`?"),
        ("window=0", "window: 0 must lie between 1 and 100"),
        ("min_count=1000000", "two are needed. Lower min_count"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_is_written(
    setting: str, message: str, kmask: Kmask, prepared: Path, tmp_path: Path
) -> None:
    run = kmask("lexicon", "similar", prepared, "-o", tmp_path / "similar.tsv", setting)
    assert run.returncode == 2
    assert message in " ".join(run.stderr.split())
    assert "Traceback" not in run.stderr and list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_prepared_is_refused(kmask: Kmask, tmp_path: Path) -> None:
    run = kmask("lexicon", "similar", tmp_path, "-o", tmp_path / "similar.tsv")
    assert run.returncode == 2 and "run `kmask prepare` first" in " ".join(run.stderr.split())


def test_a_dry_run_shows_the_settings_and_writes_nothing(kmask: Kmask, prepared: Path, tmp_path: Path) -> None:
    run = kmask("lexicon", "similar", prepared, "-o", tmp_path / "similar.tsv", "window=2", "--dry-run")
    assert run.returncode == 0 and "window: 2" in run.stdout
    assert list(tmp_path.iterdir()) == []
