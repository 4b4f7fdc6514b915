"""Shared by the tests of data preparation: a small tokenizer folder, and what every plugin class must look like."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HAN = "的一是在了有和人这中大国为上个北京学江水山书生天地东西南长城市海"
PIECES = ["the", "rain", "in", "rome", "opened", "open", "##ed", "##ing", "river", "new", "york", "of", "and", "is"]
VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *"，。！？、：；“”‘’「」（）《》,.!?:;'\"()-",
    *"abcdefghijklmnopqrstuvwxyz0123456789",
    *(f"##{character}" for character in "abcdefghijklmnopqrstuvwxyz0123456789"),
    *dict.fromkeys(HAN),
    *PIECES,
]


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer folder with a fixed, tiny vocabulary: letters, a few pieces, a few Han characters."""
    from data_prep.vocabularies.vocabulary import adopt

    source, folder = tmp_path_factory.mktemp("vocabulary"), tmp_path_factory.mktemp("tokenizer")
    (source / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCABULARY), encoding="utf-8")
    adopt(source, folder)
    return folder


@pytest.fixture(scope="session")
def check_component() -> Callable[[type], None]:
    """What DESIGN.md asks of every component: a frozen keyword-only dataclass, each field documented below it."""
    from launch.settings.components import field_docs

    def check(cls: type) -> None:
        assert dataclasses.is_dataclass(cls), f"{cls.__name__} is not a dataclass"
        assert cls.__dataclass_params__.frozen, f"{cls.__name__} is not frozen"
        assert cls.__doc__ and cls.__doc__.strip(), f"{cls.__name__} has no docstring"
        for field in dataclasses.fields(cls):
            assert field.kw_only, f"{cls.__name__}.{field.name} is not keyword-only"
            assert field_docs(cls).get(field.name, "").strip(), (
                f"{cls.__name__}.{field.name} has no line below it that says what it means"
            )

    return check


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Write values as JSON Lines under a name in tmp_path."""

    def write(name: str, values: list[Any]) -> Path:
        file = tmp_path / name
        file.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8")
        return file

    return write
