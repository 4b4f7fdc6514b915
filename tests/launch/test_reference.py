"""The pages in docs/ that list every key are what the code says today."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.commands import config_class
from launch.config import kinds
from launch.reference import TITLES, reference

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", TITLES)
def test_the_page_lists_every_key_as_the_code_has_it(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert page == reference(name, config_class(name)), f"run: kmask config reference {name} > docs/{name}.md"


def test_every_kind_of_reader_and_annotator_has_a_section() -> None:
    from data_prep.annotators import Annotator
    from data_prep.corpora import Corpus

    page = reference("data", config_class("data"))
    for base in (Corpus, Annotator):
        assert all(f"### `kind: {name}`" in page for name in kinds(base))
