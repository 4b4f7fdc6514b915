"""Vocabulary: trained or adopted, always a folder that transformers reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_prep.encoding import Tokenizer
from data_prep.vocabulary import COPIED, SPECIAL_TOKENS, Vocabulary, adopt, train

ROOT = Path(__file__).resolve().parents[2]


def texts() -> list[str]:
    files = (ROOT / f"examples/corpus/{name}.jsonl" for name in ("zh", "en"))
    return [json.loads(line)["text"] for file in files for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary of up to 6,000 entries trained on examples/."""
    folder = tmp_path_factory.mktemp("trained") / "new"
    Vocabulary(size=6000).make(folder, iter(texts()))
    return folder


def vocab_folder(folder: Path, tokens: list[str], config: dict[str, Any] | None = None) -> Path:
    folder.mkdir()
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def tokens_of(folder: Path, text: str) -> list[str]:
    tokenizer = Tokenizer(folder=folder)
    return [tokenizer.tokens[index] for index in tokenizer.encode([text])[0][0]]


def test_the_vocabulary_is_a_documented_frozen_component(check_component: Callable[[type], None]) -> None:
    check_component(Vocabulary)


# --- trained --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1500, 3000])
def test_training_twice_gives_the_same_bytes(size: int, tmp_path: Path) -> None:
    for name in ("one", "two"):
        Vocabulary(size=size).make(tmp_path / name, iter(texts()))
    for file in COPIED:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_the_trained_vocabulary_does_not_depend_on_the_order_of_the_documents() -> None:
    vocabularies = [train(iter(order), Vocabulary(size=1500)).get_vocab() for order in (texts(), texts()[::-1])]
    assert vocabularies[0] == vocabularies[1]


def test_rare_characters_stay_out_as_min_frequency_says() -> None:
    vocabulary = train(iter(["aab aab 江江 江 qq 龘"]), Vocabulary(size=100, min_frequency=2)).get_vocab()
    assert "江" in vocabulary
    assert "龘" not in vocabulary


def test_a_trained_vocabulary_has_the_special_tokens_first_and_no_token_twice(trained: Path) -> None:
    lines = (trained / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert tuple(lines[:5]) == SPECIAL_TOKENS
    assert 4000 < len(lines) == len(set(lines)) <= 6000
    assert Tokenizer(folder=trained).tokens == lines


@pytest.mark.parametrize("size", [100, 1500])
def test_a_trained_vocabulary_has_the_size_wanted_when_the_corpus_is_large_enough(size: int) -> None:
    assert train(iter(texts()), Vocabulary(size=size)).get_vocab_size() == size


def test_chinese_characters_are_single_tokens(trained: Path) -> None:
    assert tokens_of(trained, "长江发源于青藏高原") == list("长江发源于青藏高原")
    han = [token for token in Tokenizer(folder=trained).tokens if any("\u4e00" <= character <= "\u9fff" for character in token)]
    assert len(han) > 500
    assert all(len(token) == 1 for token in han)


def test_common_english_words_are_whole_and_hardly_anything_of_the_corpus_is_unknown(trained: Path) -> None:
    assert tokens_of(trained, "The of and") == ["the", "of", "and"]
    unknown = Tokenizer(folder=trained).special_ids["[UNK]"]
    encoded = Tokenizer(folder=trained).encode(texts())
    assert sum(int((ids == unknown).sum()) for ids, _ in encoded) < 0.02 * sum(len(ids) for ids, _ in encoded)


def test_a_trained_folder_loads_with_transformers(trained: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(trained))
    ours = Tokenizer(folder=trained)
    assert [theirs.pad_token_id, theirs.unk_token_id, theirs.cls_token_id, theirs.sep_token_id, theirs.mask_token_id] == [0, 1, 2, 3, 4]
    assert len(theirs) == len(ours.tokens)
    for text in [*texts()[::25], "Élan Vital, 3.14！"]:
        ids = theirs(text, truncation=False).input_ids
        assert ids == [2, *ours.encode([text])[0][0].tolist(), 3]
    assert theirs("江", "水").input_ids[::2] == [2, 3, 3]
    assert theirs("江", "水").token_type_ids == [0, 0, 0, 1, 1]
    assert theirs.model_max_length == 512


@pytest.mark.parametrize("lowercase", [True, False])
def test_letter_case_and_accents_follow_the_setting(lowercase: bool, tmp_path: Path) -> None:
    Vocabulary(size=200, lowercase=lowercase, min_frequency=1).make(tmp_path / "t", iter(["Élan ÉLAN élan Rome rome"] * 5))
    tokens = Tokenizer(folder=tmp_path / "t").tokens
    assert any(token != token.lower() for token in tokens[5:]) != lowercase
    assert any("é" in token.lower() for token in tokens[5:]) != lowercase
    assert json.loads((tmp_path / "t/tokenizer_config.json").read_text())["do_lower_case"] is lowercase


def test_training_on_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no text to train a vocabulary on"):
        Vocabulary().make(tmp_path / "t", iter([" ", "\n"]))


@pytest.mark.parametrize("arguments", [{"size": 99}, {"size": 2**24 + 1}, {"min_frequency": 0}, {"train_characters": 0}])
def test_impossible_settings_are_refused(arguments: dict[str, int]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name}: "):
        Vocabulary(**arguments)  # type: ignore[arg-type]


# --- adopted --------------------------------------------------------------------------------------------------------------------


def test_a_whole_tokenizer_folder_is_copied_byte_for_byte(trained: Path, tmp_path: Path) -> None:
    Vocabulary(path=str(trained)).make(tmp_path / "copy", iter([]))
    for file in COPIED:
        assert (tmp_path / "copy" / file).read_bytes() == (trained / file).read_bytes()


def test_a_folder_with_only_a_vocab_txt_is_completed(trained: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    source = vocab_folder(tmp_path / "source", Tokenizer(folder=trained).tokens)
    adopt(source, tmp_path / "made")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == sorted(COPIED)
    assert (tmp_path / "made/vocab.txt").read_bytes() == (trained / "vocab.txt").read_bytes()
    made, original = Tokenizer(folder=tmp_path / "made"), Tokenizer(folder=trained)
    assert (made.vocabulary_sha256, made.rules_sha256) == (original.vocabulary_sha256, original.rules_sha256)
    text = "The river 长江, 3.14！"
    assert AutoTokenizer.from_pretrained(str(tmp_path / "made"))(text).input_ids == [2, *original.encode([text])[0][0].tolist(), 3]


def test_a_vocab_txt_keeps_its_ids_wherever_the_special_tokens_stand(tmp_path: Path) -> None:
    tokens = ["a", "[PAD]", "[unused1]", "[UNK]", "##b", "[CLS]", "[SEP]", "[MASK]", "江"]
    adopt(vocab_folder(tmp_path / "source", tokens), tmp_path / "made")
    assert Tokenizer(folder=tmp_path / "made").tokens == tokens
    assert tokens_of(tmp_path / "made", "ab江z") == ["a", "##b", "江", "[UNK]"]


def test_columns_behind_a_tab_are_ignored(tmp_path: Path) -> None:
    tokens = [f"{token}\t{index}" for index, token in enumerate([*SPECIAL_TOKENS, "江", "水"])]
    adopt(vocab_folder(tmp_path / "source", tokens), tmp_path / "made")
    assert Tokenizer(folder=tmp_path / "made").tokens == [*SPECIAL_TOKENS, "江", "水"]


def test_letter_case_comes_from_the_adopted_configuration(tmp_path: Path) -> None:
    tokens = [*SPECIAL_TOKENS, "rome", "Rome"]
    for name, config, expected in (("a", None, "rome"), ("b", {"do_lower_case": False}, "Rome"), ("c", {"do_lower_case": True}, "rome")):
        adopt(vocab_folder(tmp_path / name, tokens, config), tmp_path / f"made-{name}")
        assert tokens_of(tmp_path / f"made-{name}", "Rome") == [expected]


def test_a_token_that_stands_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    source = vocab_folder(tmp_path / "source", [*SPECIAL_TOKENS, "江", "水", "江"])
    with pytest.raises(ValueError, match=r"vocab\.txt:8: '江' already stands on line 6"):
        adopt(source, tmp_path / "made")


def test_missing_special_tokens_are_named(tmp_path: Path) -> None:
    source = vocab_folder(tmp_path / "source", ["[PAD]", "[UNK]", "[CLS]", "江"])
    with pytest.raises(ValueError, match=r"vocab\.txt: \[SEP\], \[MASK\] missing"):
        adopt(source, tmp_path / "made")


def test_a_missing_folder_and_a_folder_without_a_vocabulary_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"vocabulary\.path .*nowhere: no such folder"):
        Vocabulary(path=str(tmp_path / "nowhere")).make(tmp_path / "made", iter([]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: neither tokenizer\.json nor vocab\.txt"):
        Vocabulary(path=str(tmp_path / "empty")).make(tmp_path / "made", iter([]))


def test_a_vocab_txt_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    source = vocab_folder(tmp_path / "source", list(SPECIAL_TOKENS))
    with (source / "vocab.txt").open("ab") as file:
        file.write("江\n".encode("gbk"))
    with pytest.raises(ValueError) as caught:
        adopt(source, tmp_path / "made")
    assert str(source / "vocab.txt") in str(caught.value)


def test_a_byte_order_mark_in_vocab_txt_is_ignored(tmp_path: Path) -> None:
    source = vocab_folder(tmp_path / "source", ["\ufeff[PAD]", *SPECIAL_TOKENS[1:], "江"])
    adopt(source, tmp_path / "made")
    assert Tokenizer(folder=tmp_path / "made").tokens == [*SPECIAL_TOKENS, "江"]
