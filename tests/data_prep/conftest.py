"""Shared by the tests of data preparation: a small tokenizer folder, and what every plugin class must look like."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

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


@pytest.fixture(scope="session", autouse=True)
def _jieba_reads_its_dictionary_once() -> Iterator[None]:
    """Every segmenter and tagger gets a copy of what is in jieba's own dictionary; reading it takes half a second."""
    import jieba
    from jieba.posseg import POSTokenizer

    frequencies, tags = jieba.Tokenizer.gen_pfdict, POSTokenizer.load_word_tag

    def own(file: Any) -> bool:
        return getattr(file, "name", "") == jieba.get_module_res(jieba.DEFAULT_DICT_NAME).name

    @functools.cache
    def own_frequencies() -> tuple[dict[str, int], int]:
        return frequencies(jieba.get_module_res(jieba.DEFAULT_DICT_NAME))  # type: ignore[no-any-return]

    @functools.cache
    def own_tags() -> dict[str, str]:
        reader = SimpleNamespace()
        tags(reader, jieba.get_module_res(jieba.DEFAULT_DICT_NAME))
        return reader.word_tag_tab  # type: ignore[no-any-return]

    def copied_frequencies(file: Any) -> tuple[dict[str, int], int]:
        return (own_frequencies()[0].copy(), own_frequencies()[1]) if own(file) else frequencies(file)

    def copied_tags(reader: Any, file: Any) -> None:
        if own(file):
            reader.word_tag_tab = own_tags().copy()
        else:
            tags(reader, file)

    with (
        mock.patch.object(jieba.Tokenizer, "gen_pfdict", staticmethod(copied_frequencies)),
        mock.patch.object(POSTokenizer, "load_word_tag", copied_tags),
    ):
        yield


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
