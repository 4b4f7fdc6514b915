"""A few of the inputs of fuzz_readers.py: random and mutated files for every reader and for the lexicon parsers."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_readers import TARGETS, inputs

from data_prep import corpora
from launch.settings.components import kinds

FEW = {"hub_dataset-jsonl": 5, "hub_dataset-parquet": 5, "hub_dataset-saved": 20}
"""Readers with slow starts; the others get 80 inputs."""


def test_every_reader_has_a_target() -> None:
    assert {target.kind for target in TARGETS.values()} - {""} == set(kinds(corpora.Corpus))


@pytest.mark.parametrize("name", TARGETS)
def test_random_and_mutated_files_break_no_rule(name: str, tmp_path: Path) -> None:
    assert list(inputs(name, 0, FEW.get(name, 80), tmp_path)) == []
