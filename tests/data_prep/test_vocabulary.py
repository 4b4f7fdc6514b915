"""Vocabulary: trained or adopted, always a folder that transformers reads."""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_prep.blocks import Block
from data_prep.documents import Document
from data_prep.encoding import Tokenizer
from data_prep.vocabularies import vocabulary_training
from data_prep.vocabularies.tokenizer_folders import SPECIAL_TOKENS
from data_prep.vocabularies.vocabulary import COPIED, Vocabulary, adopt, bert_normalizer, train
from data_prep.vocabularies.vocabulary_extension import (
    backend_of,
    extend,
    missing_characters,
    read_words,
    tokens_of_words,
)
from data_prep.vocabularies.vocabulary_report import OTHER_SPELLING, TOO_LONG, VocabularyReport, token_class
from data_prep.vocabularies.vocabulary_training import WordTally

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


def document(text: str) -> Document:
    return Document(id="", language="", text=text, title="", source="")


@functools.cache
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer(folder=folder)


def ids_of(folder: Path, text: str) -> list[int]:
    ids: list[int] = tokenizer(folder).encode(document(text))[0].tolist()
    return ids


def tokens_of(folder: Path, text: str) -> list[str]:
    tokens = Tokenizer(folder=folder).tokens
    return [tokens[index] for index in ids_of(folder, text)]


def test_the_vocabulary_is_a_documented_frozen_component(check_component: Callable[[type], None]) -> None:
    check_component(Vocabulary)


# --- trained
# --------------------------------------------------------------------------------------------------------------------


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
    han = [
        token
        for token in Tokenizer(folder=trained).tokens
        if any("\u4e00" <= character <= "\u9fff" for character in token)
    ]
    assert len(han) > 500
    assert all(len(token) == 1 for token in han)


def test_common_english_words_are_whole_and_hardly_anything_of_the_corpus_is_unknown(trained: Path) -> None:
    assert tokens_of(trained, "The of and") == ["the", "of", "and"]
    unknown = Tokenizer(folder=trained).special_ids["[UNK]"]
    encoded = [ids_of(trained, text) for text in texts()]
    assert sum(ids.count(unknown) for ids in encoded) < 0.02 * sum(map(len, encoded))


def test_a_trained_folder_loads_with_transformers(trained: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(trained))
    ours = Tokenizer(folder=trained)
    assert [
        theirs.pad_token_id,
        theirs.unk_token_id,
        theirs.cls_token_id,
        theirs.sep_token_id,
        theirs.mask_token_id,
    ] == [0, 1, 2, 3, 4]
    assert len(theirs) == len(ours.tokens)
    for text in [*texts()[::25], "Élan Vital, 3.14！"]:
        ids = theirs(text, truncation=False).input_ids
        assert ids == [2, *ids_of(trained, text), 3]
    assert theirs("江", "水").input_ids[::2] == [2, 3, 3]
    assert theirs("江", "水").token_type_ids == [0, 0, 0, 1, 1]
    assert theirs.model_max_length == 512


@pytest.mark.parametrize("lowercase", [True, False])
def test_letter_case_and_accents_follow_the_setting(lowercase: bool, tmp_path: Path) -> None:
    Vocabulary(size=200, lowercase=lowercase, min_frequency=1).make(
        tmp_path / "t", iter(["Élan ÉLAN élan Rome rome"] * 5)
    )
    tokens = Tokenizer(folder=tmp_path / "t").tokens
    assert any(token != token.lower() for token in tokens[5:]) != lowercase
    assert any("é" in token.lower() for token in tokens[5:]) != lowercase
    assert json.loads((tmp_path / "t/tokenizer_config.json").read_text())["do_lower_case"] is lowercase


def test_training_on_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no text to train a vocabulary on"):
        Vocabulary().make(tmp_path / "t", iter([" ", "\n"]))


@pytest.mark.parametrize(
    "arguments",
    [{"size": 99}, {"size": 2**24 + 1}, {"min_frequency": 0}, {"train_characters": 0}, {"characters": "all"}],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name}: "):
        Vocabulary(**arguments)  # type: ignore[arg-type]


# --- adopted
# --------------------------------------------------------------------------------------------------------------------


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
    assert AutoTokenizer.from_pretrained(str(tmp_path / "made"))(text).input_ids == [2, *ids_of(trained, text), 3]


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
    for name, config, expected in (
        ("a", None, "rome"),
        ("b", {"do_lower_case": False}, "Rome"),
        ("c", {"do_lower_case": True}, "rome"),
    ):
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


def roberta(folder: Path, form: str) -> Path:
    """A small byte-level BPE vocabulary as RoBERTa has it, in the new or the old form."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    folder.mkdir()
    pairs = {
        token: index
        for index, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *SPECIAL_TOKENS, "a", "b", "ab"])
    }
    backend = Backend(models.BPE(pairs, [("a", "b")], unk_token="<unk>"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    if form == "tokenizer.json":
        backend.save(str(folder / "tokenizer.json"))
    elif form == "tokenizer.json without a type":  # as older versions of the library wrote it
        value = json.loads(backend.to_str())
        del value["model"]["type"]
        (folder / "tokenizer.json").write_text(json.dumps(value))
    else:
        backend.model.save(str(folder))
    return folder


@pytest.mark.parametrize("form", ["tokenizer.json", "tokenizer.json without a type", "vocab.json and merges.txt"])
def test_the_vocabulary_of_roberta_is_refused_with_what_would_do(form: str, tmp_path: Path) -> None:
    source = roberta(tmp_path / "roberta", form)
    with pytest.raises(
        ValueError,
        match=r"^path: .*roberta holds a byte-level BPE vocabulary .* Chinese RoBERTa-wwm\), or leave `path` out to train one",
    ):
        Vocabulary(path=str(source))


def test_chinese_roberta_is_a_bert_vocabulary_and_accepted(trained: Path, tmp_path: Path) -> None:
    source = vocab_folder(
        tmp_path / "chinese-roberta-wwm-ext", Tokenizer(folder=trained).tokens, {"tokenizer_class": "BertTokenizer"}
    )
    (source / "config.json").write_text(
        '{"model_type": "bert", "architectures": ["BertForMaskedLM"], "directionality": "bidi"}'
    )
    (source / "added_tokens.json").write_text("{}")
    assert Vocabulary(path=str(source)).path == str(source)
    assert Vocabulary(path=str(trained)).path == str(trained)


def without_specials(folder: Path, trained: Path) -> None:
    value = json.loads((trained / "tokenizer.json").read_text(encoding="utf-8"))
    value["added_tokens"], value["post_processor"] = [], None
    del value["model"]["vocab"]["[MASK]"]
    (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")


@pytest.mark.parametrize(
    ("fill", "told"),
    [
        (None, r"path: .*source: no such folder \(looked from .*\)\. Give the folder of a tokenizer"),
        (lambda folder, trained: None, r"path: .*source: neither tokenizer\.json nor vocab\.txt in this folder"),
        (
            lambda folder, trained: (folder / "vocab.txt").write_text("a\nb\n"),
            r"path: .*vocab\.txt: \[PAD\], \[UNK\], \[CLS\], \[SEP\], \[MASK\] missing",
        ),
        (lambda folder, trained: (folder / "vocab.txt").write_bytes(b"\xff\n"), r"path: .*vocab\.txt: not UTF-8"),
        (
            lambda folder, trained: (folder / "tokenizer.json").write_text("{"),
            r"path: .*tokenizer\.json cannot be read as a tokenizer",
        ),
        (
            lambda folder, trained: (folder / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}'),
            r"path: .*cannot be read as a tokenizer",
        ),
        (
            lambda folder, trained: (folder / "tokenizer.json").write_text("[]"),
            r"path: .*tokenizer\.json cannot be read as a tokenizer",
        ),
        (
            without_specials,
            r"path: tokenizer .*source: \[MASK\] missing from the vocabulary; a BERT-style vocabulary is needed",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_when_the_settings_are_made(
    fill: Callable[[Path, Path], object] | None, told: str, trained: Path, tmp_path: Path
) -> None:
    if fill:
        (tmp_path / "source").mkdir()
        fill(tmp_path / "source", trained)
    with pytest.raises(ValueError, match=f"^{told}"):
        Vocabulary(path=str(tmp_path / "source"))


@pytest.mark.parametrize("command", [(), ("plan",)])
def test_the_vocabulary_of_roberta_is_named_with_its_line_before_anything_is_read(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    from launch.settings.components import ConfigError
    from launch.verbs.prepare import plan_command, run_command

    source = roberta(tmp_path / "roberta", "tokenizer.json")
    config = tmp_path / "data.yaml"
    config.write_text(
        f"output: {tmp_path}/out\ncorpora: [{{kind: jsonl, paths: [{tmp_path}/nowhere.jsonl]}}]\nvocabulary:\n  path: {source}\n"
    )
    with pytest.raises(
        ConfigError, match=rf"^{config}:4: vocabulary\.path: {source} holds a byte-level BPE vocabulary"
    ):
        (plan_command if command else run_command)(config, [])
    assert not (tmp_path / "out").exists()


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


# --- counted words
# --------------------------------------------------------------------------------------------------------------


def test_words_and_characters_are_counted_as_the_tokenizer_sees_them() -> None:
    tally = WordTally(bert_normalizer(True))
    tally.add("The Élan, the 长江 x2 élan")
    assert tally.words == {"the": 2, "elan": 2, "x2": 1}
    assert tally.characters["长"] == tally.characters["江"] == 1
    assert tally.characters["e"] == 4


def test_every_word_is_fed_as_often_as_it_was_counted() -> None:
    tally = WordTally(None)
    tally.words.update({"aa": 20_000, "bb": 1, "c" * 90: 700})
    lines = list(tally.feed())
    fed = [word for line in lines for word in line.split()]
    assert {word: fed.count(word) for word in set(fed)} == tally.words
    assert max(map(len, lines)) < 3 * vocabulary_training.FED_CHARACTERS


def test_training_equals_training_on_the_texts_themselves() -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers, trainers

    settings = Vocabulary(size=1500)
    known = [
        re.sub(r"\w+", lambda word: word[0] if sum(map(str.isdecimal, word[0])) <= 4 else "", text) for text in texts()
    ]  # long numbers teach nothing
    ours = train(iter(known), settings).get_vocab()
    backend = Backend(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = bert_normalizer(True), pre_tokenizers.BertPreTokenizer()
    first = [token for token, _ in sorted(ours.items(), key=lambda item: item[1])]
    pieces = [token for token in first if token.startswith("##") and len(token) == 3]
    alphabet = [token for token in first if len(token) == 1]
    trainer = trainers.WordPieceTrainer(
        vocab_size=1500,
        min_frequency=2,
        limit_alphabet=len(alphabet),
        initial_alphabet=alphabet,
        special_tokens=[*SPECIAL_TOKENS, *pieces],
        show_progress=False,
    )
    backend.train_from_iterator(known, trainer)
    assert backend.get_vocab() == ours


def test_pieces_are_not_learned_from_the_numbers_of_things_and_years_are() -> None:
    tokens = train(
        iter(["course 70160000000h1 of 1984 and covid19, again 70160000000h1 and 2010-10-11"] * 4), Vocabulary(size=400)
    ).get_vocab()
    assert {"1984", "covid19", "course", "7", "##7"} <= set(tokens)
    assert not [token for token in tokens if sum(map(str.isdigit, token)) > 4 or "701" in token]


def test_a_small_chinese_corpus_keeps_the_common_characters_where_there_is_room() -> None:
    common = vocabulary_training.common_characters()
    assert len(set(common)) == 3755 and common[0] == "啊" and common[-1] == "座"
    small = ["他在北京大学读书，龘字很少见。The river."] * 3
    assert set(common) | {"龘", "，"} <= set(train(iter(small), Vocabulary(size=6000)).get_vocab())
    for settings in (Vocabulary(size=6000, characters="seen"), Vocabulary(size=4000)):
        assert "啊" not in train(iter(small), settings).get_vocab()
    assert "啊" not in train(iter([*texts()[-20:], "the word 中国 once"]), Vocabulary(size=6000)).get_vocab()  # English


def test_counts_of_parts_join_to_the_counts_of_the_whole(tmp_path: Path) -> None:
    whole, joined = WordTally(bert_normalizer(True)), WordTally(bert_normalizer(True))
    for number in range(3):
        part = WordTally(bert_normalizer(True))
        for text in texts()[number::3]:
            whole.add(text)
            part.add(text)
        part.write(tmp_path / f"{number}.json")
        joined.join(tmp_path / f"{number}.json")
    assert (joined.characters, joined.words) == (whole.characters, whole.words)


def test_the_rarest_words_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary_training, "MAX_WORDS", 50)
    tally = WordTally(None)
    for number in range(500):
        tally.add(f"common words w{number:03d} common")
    assert len(tally.words) <= 50
    assert 1000 - tally.forgotten <= tally.words["common"] <= 1000
    assert tally.forgotten > 0


# --- extended
# -------------------------------------------------------------------------------------------------------------------


def small_folder(folder: Path, extra: list[str] | None = None) -> Path:
    tokens = [
        *SPECIAL_TOKENS,
        "[unused1]",
        "[unused2]",
        *"abcdelnrtu江水，。",
        "##e",
        "##n",
        "##t",
        "##ube",
        "water",
        "##let",
        *(extra or []),
    ]
    adopt(vocab_folder(folder.with_name(folder.name + "-txt"), tokens), folder)
    return folder


def test_an_extended_vocabulary_keeps_every_old_id_and_every_rule(trained: Path, tmp_path: Path) -> None:
    done = extend(trained, tmp_path / "new", ["𩽾", "##ö", "ö", "江"])
    old, new = Tokenizer(folder=trained), Tokenizer(folder=tmp_path / "new")
    size = len(old.tokens)
    assert done.added == {"𩽾": size, "##ö": size + 1, "ö": size + 2}
    assert (done.rows, done.reused, done.already) == (size + 3, 0, 1)
    assert new.tokens == [*old.tokens, "𩽾", "##ö", "ö"]
    assert new.rules_sha256 == old.rules_sha256
    assert (tmp_path / "new/vocab.txt").read_bytes().startswith((trained / "vocab.txt").read_bytes())
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        assert (tmp_path / "new" / name).read_bytes() == (trained / name).read_bytes()


def test_text_that_was_known_is_cut_as_before_and_unknown_characters_are_known_now(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    held = texts()[::3]
    Vocabulary(size=900).make(tmp_path / "old", iter(held))
    backend = backend_of(tmp_path / "old")
    missing, known = missing_characters(backend, texts())
    assert missing and known
    extend(tmp_path / "old", tmp_path / "new", sorted(missing))
    unknown = Tokenizer(folder=tmp_path / "old").special_ids["[UNK]"]
    theirs = AutoTokenizer.from_pretrained(str(tmp_path / "new"))
    changed = 0
    for text in texts():
        for line in text.split("，"):
            before, after = ids_of(tmp_path / "old", line), ids_of(tmp_path / "new", line)
            assert unknown not in after
            assert theirs(line, truncation=False).input_ids[1:-1] == after
            if unknown in before:
                changed += 1
            else:
                assert after == before
    assert changed > 20
    assert len(theirs) == len(Tokenizer(folder=tmp_path / "new").tokens)


def test_unused_rows_are_filled_first(tmp_path: Path) -> None:
    old = small_folder(tmp_path / "old")
    before = Tokenizer(folder=old).tokens
    done = extend(old, tmp_path / "new", ["山", "川", "河"])
    assert (done.added, done.reused, done.rows) == ({"山": 5, "川": 6, "河": len(before)}, 2, len(before) + 1)
    assert Tokenizer(folder=tmp_path / "new").tokens == [*before[:5], "山", "川", *before[7:], "河"]
    assert (tmp_path / "new/vocab.txt").read_text(encoding="utf-8").splitlines() == Tokenizer(
        folder=tmp_path / "new"
    ).tokens
    assert tokens_of(tmp_path / "new", "山江") == ["山", "江"]


def test_characters_are_counted_in_the_form_that_is_missing(tmp_path: Path) -> None:
    missing, _ = missing_characters(backend_of(small_folder(tmp_path / "old")), ["ab ab 山 ⅓a b", "a"])
    assert missing == {"##b": 2, "山": 1, "⅓": 1, "##a": 1}


def test_words_of_a_list_become_tokens_when_they_are_latin_and_characters_when_they_are_not(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# names\nKubelet\tterm\n\nwater-rat\n长江水\n", encoding="utf-8")
    backend = backend_of(small_folder(tmp_path / "old"))
    wanted = tokens_of_words(backend, read_words(tmp_path / "words.txt"))
    assert wanted == ["kubelet", "water", "rat", "-", "长江水"]
    wanted = tokens_of_words(backend, read_words(tmp_path / "words.txt"), han=False)
    assert wanted == ["kubelet", "water", "rat", "-", "长", "江", "水"]
    done = extend(tmp_path / "old", tmp_path / "new", wanted, reuse_unused=False)
    assert (list(done.added), done.already) == (["kubelet", "rat", "-", "长"], 3)
    assert tokens_of(tmp_path / "new", "Kubelet 长江") == ["kubelet", "长", "江"]


def test_whole_words_are_found_alike_by_transformers_the_library_and_the_compiled_loops(
    trained: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    lines = ["北京大学", "北京", "大学生", "Kubelet", "Naïve", "𠀀𠀁", "A股", "[北]", "x" * 101]
    plain = Tokenizer(folder=trained).tokens
    old = vocab_folder(tmp_path / "old", [*plain[:5], "[unused1]", "[unused2]", *plain[5:]])
    wanted = tokens_of_words(backend_of(trained), lines)
    assert wanted[:6] == ["北京大学", "北京", "大学生", "kubelet", "naive", "𠀀𠀁"]
    assert wanted[6:] == ["a", "股", "[", "北", "]"]  # a [word] would pass for a special token
    done = extend(old, tmp_path / "new", wanted)
    assert (done.added["北京大学"], done.added["北京"], done.reused) == (5, 6, 2)
    ours, theirs = tokenizer(tmp_path / "new"), AutoTokenizer.from_pretrained(str(tmp_path / "new"))
    assert ours._compiled is not None and len(theirs) == len(ours.tokens) == done.rows
    assert (tmp_path / "new/vocab.txt").read_text(encoding="utf-8").splitlines() == ours.tokens
    assert tokens_of(tmp_path / "new", "北京大学生 KUBELET nai\u0308ve") == ["北京大学", "生", "kubelet", "naive"]
    generator = random.Random(1)
    parts = [*lines, *"北京大学生。《》é\u0301\u200b½ ab\n", "[UNK]", *(text[:5] for text in texts()[:40])]
    mixed = ["".join(generator.choices(parts, k=12)) for _ in range(300)]
    for text in mixed:
        ids_T, start_T, end_T = ours.encode(document(text))
        library = ours._backend.encode(text, add_special_tokens=False)
        assert library.ids == ids_T.tolist() and library.offsets == list(zip(start_T, end_T, strict=True))
        assert "[UNK]" in text or theirs(text).input_ids[1:-1] == library.ids
    together = ours.encode_block(Block([document(text) for text in mixed]))
    assert together.ids_T.tolist() == [index for text in mixed for index in ids_of(tmp_path / "new", text)]
    again = extend(tmp_path / "new", tmp_path / "newer", [*wanted, "三峡"])
    assert (again.added, again.already) == ({"三峡": done.rows}, len(wanted))
    assert tokens_of(tmp_path / "newer", "北京三峡") == ["北京", "三峡"]


def test_a_folder_with_only_a_vocab_txt_can_be_extended(tmp_path: Path) -> None:
    source = vocab_folder(tmp_path / "source", [*SPECIAL_TOKENS, "Rome"], {"do_lower_case": False})
    extend(source, tmp_path / "new", ["Roma"])
    assert tokens_of(tmp_path / "new", "Rome Roma rome") == ["Rome", "Roma", "[UNK]"]


def test_an_extension_never_overwrites_and_needs_a_wordpiece_vocabulary(trained: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    with pytest.raises(ValueError, match="exists already"):
        extend(trained, trained, ["x"])
    (tmp_path / "bpe").mkdir()
    Backend(models.BPE()).save(str(tmp_path / "bpe/tokenizer.json"))
    with pytest.raises(ValueError, match="a BPE vocabulary; only WordPiece"):
        extend(tmp_path / "bpe", tmp_path / "new", ["x"])
    assert not (tmp_path / "new").exists()
    (tmp_path / "bpe/tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        backend_of(tmp_path / "bpe")


def test_an_empty_word_list_and_one_in_another_encoding_are_named(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_bytes("# 词\n".encode())
    with pytest.raises(ValueError, match=r"words\.txt: no word in it"):
        read_words(tmp_path / "words.txt")
    (tmp_path / "words.txt").write_bytes("长江\n".encode("gbk"))
    with pytest.raises(ValueError, match=r"words\.txt: not UTF-8"):
        read_words(tmp_path / "words.txt")


# --- looked into
# ----------------------------------------------------------------------------------------------------------------


CLASSES = {
    **{
        "江": "Han character",
        "##江": "Han piece",
        "江水": "Han word",
        "a": "Latin character",
        "##ing": "Latin piece",
        "water": "Latin word",
    },
    **{
        "2015": "digit word",
        "⅓": "number character",
        "カナ": "kana word",
        "한": "Hangul character",
        "я": "other letter character",
    },
    **{
        "，": "punctuation character",
        "€": "symbol character",
        "##": "punctuation word",
        "a1": "mixed word",
        "[unused7]": "unused",
        "[MASK]": "special",
    },
}


@pytest.mark.parametrize(("token", "expected"), CLASSES.items())
def test_tokens_are_sorted_into_classes(token: str, expected: str) -> None:
    assert token_class(token) == expected


def test_a_summary_counts_what_no_text_can_reach_and_what_is_there_twice(tmp_path: Path) -> None:
    summary = VocabularyReport(folder=small_folder(tmp_path / "v", ["Rome", "rome", "##江", "é"])).summary()
    assert summary["special"] == {token: index for index, token in enumerate(SPECIAL_TOKENS)}
    assert summary["unused"] == 2
    assert summary["gaps"] == 0
    assert summary["unreachable"] == {"count": 3, "examples": ["Rome", "##江", "é"]}
    assert summary["duplicates"] == {"count": 2, "examples": [["e", "é"], ["Rome", "rome"]]}
    assert summary["tokens"] == summary["rows"] == sum(summary["classes"].values())


def test_coverage_counts_unknown_characters_with_an_example(tmp_path: Path) -> None:
    folder = small_folder(tmp_path / "v")
    found = VocabularyReport(folder=folder).coverage(map(document, ["江山，江山", "水 qa 江", "c" * 101, "cb"]))
    assert (found["documents"], found["unknown"]) == (4, 5)
    unknown = {item["character"]: (item["count"], item["example"]) for item in found["unknown_characters"]}
    assert unknown["山"] == (2, "江山，江山")
    assert unknown["q"] == (1, "水 qa 江")
    assert unknown["a"][0] == 1, "a is known at the beginning of a word only"
    assert unknown[TOO_LONG][0] == 1
    assert OTHER_SPELLING not in unknown
    assert found["unknown_share"] == 5 / found["tokens"]


def test_a_vocabulary_fits_the_corpus_it_was_trained_on(trained: Path) -> None:
    found = VocabularyReport(folder=trained).coverage(map(document, texts()))
    assert found["unknown_share"] < 0.02
    assert 0.2 < found["tokens_per_character"] < 1
