"""Byte-level vocabularies, as of RoBERTa and ModernBERT: prepared, and trained from, like WordPiece ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_prep.code_points import code_points
from data_prep.counting.word_contexts import Traits
from data_prep.documents import Document
from data_prep.encoding import Tokenizer
from pretrain.special_ids import ordinary_ids

UNITS = "masking.strategy={kind: whole_unit, units: [entity, word]}"
TEXTS = (
    "The Nile flows north  through eleven countries.",
    "北京大学 opened in 1898; naïve café 🙂 costs €5.\nNew line,\tthen a tab.",
    "  leading spaces and <mask> spelled out </s>",
    "",
    "é" * 3,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level vocabulary with RoBERTa's special tokens, learned from a few texts."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers, processors, trainers

    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|other|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([*TEXTS[:2]] * 9, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False)
    found = tmp_path_factory.mktemp("byte-level")
    backend.save(str(found / "tokenizer.json"))
    named = {
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "cls_token": "<s>",
        "sep_token": "</s>",
        "mask_token": "<mask>",
    }
    config = {**named, "tokenizer_class": "PreTrainedTokenizerFast"}
    (found / "tokenizer_config.json").write_text(json.dumps(config))
    return found


def document(text: str) -> Document:
    return Document(id="d", language="en", text=text, title="", source="s")


def test_special_tokens_go_by_the_names_of_bert(folder: Path) -> None:
    tokenizer = Tokenizer(folder=folder)
    assert tokenizer.special_ids == {"[PAD]": 1, "[UNK]": 3, "[CLS]": 0, "[SEP]": 2, "[MASK]": 4}
    assert tokenizer.all_special_ids == [0, 1, 2, 3, 4, 5] and tokenizer.byte_level
    assert 4 in ordinary_ids(tokenizer.tokens)  # taken out where the tokenizer is known (special_ids.specials)


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_cover_the_text_and_begin_behind_its_spaces(folder: Path, text: str) -> None:
    tokenizer = Tokenizer(folder=folder)
    ids_T, start_T, end_T = tokenizer.encode(document(text))
    assert tokenizer._backend.decode(ids_T.tolist(), skip_special_tokens=False) == text
    assert not set(ids_T.tolist()) & set(tokenizer.all_special_ids)  # "<mask>" in a text is text
    seen = np.zeros(len(code_points(text)), bool)
    for start, end in zip(start_T.tolist(), end_T.tolist(), strict=True):
        assert start < end and not (text[start].isspace() and end - start > 1)
        seen[start:end] = True
    assert all(seen[place] or text[place].isspace() for place in range(len(text)))
    assert (np.diff(start_T) >= 0).all() and (np.diff(end_T) >= 0).all()


def test_what_a_token_stands_for_has_no_mark(folder: Path) -> None:
    tokenizer = Tokenizer(folder=folder)
    number = tokenizer.tokens.index("Ġthrough")
    assert tokenizer.texts[number] == "through" and tokenizer.texts[4] == "<mask>"
    with pytest.raises(ValueError, match="similar words are found in WordPiece vocabularies only"):
        Traits.of(tokenizer)


def test_a_roberta_with_its_own_vocabulary_is_prepared_and_trained_from(
    folder: Path, tmp_path: Path, world: object
) -> None:
    from hub_folders import hub_folder
    from tiny import TINY_RUN

    from data_prep.preparing.pipeline import prepare
    from data_prep.preparing.plan import Preparation
    from data_prep.shards import Prepared
    from launch.settings.components import decode, load, plain
    from pretrain.config import Run
    from pretrain.trainer import Trainer

    hub_folder(tmp_path / "roberta", "roberta", folder)
    corpus = tmp_path / "corpus.jsonl"
    lines = [{"id": str(n), "text": f"{TEXTS[n % 2]} Charles Darwin wrote {n} letters home. " * 6} for n in range(40)]
    corpus.write_text("\n".join(json.dumps(line) for line in lines))
    (tmp_path / "names.tsv").write_text("Charles Darwin\tPER\n北京大学\tORG\n")
    data = tmp_path / "data.yaml"
    data.write_text(
        f"output: {tmp_path}/data\ncorpora: [{{kind: jsonl, paths: [{corpus}]}}]\nheldout: 0.1\nengine: {{workers: 1}}\n"
        f"annotators: [{{kind: lexicon, level: entity, paths: [{tmp_path}/names.tsv]}}]\n"
        f"vocabulary: {{path: {tmp_path}/roberta}}\n"
    )
    prepare(decode(Preparation, load(data, [])), lambda progress: None)
    prepared = Prepared.open(tmp_path / "data")
    shard = prepared.shards("train")[0]
    found = shard.units["entity"]
    first, length = int(found.start_U[0]), int(found.length_U[0])
    ids = shard.token_ids.row(0)[first : first + length].tolist()
    assert prepared.tokenizer._backend.decode(ids).strip() in ("Charles Darwin", "北京大学")
    file = tmp_path / "run.yaml"
    file.write_text(TINY_RUN.format(output=tmp_path / "run", data=tmp_path / "data"))
    run = decode(Run, load(file, [f"model.path={tmp_path}/roberta", "stages.0.steps=1", "stages.1.steps=1", UNITS]))
    notes: list[str] = []
    Trainer(
        run, plain(run), world, lambda event, step, values: notes.append(str(values.get("text"))), asked=lambda: False
    ).train()
    assert any("by plain transformers (largest difference" in note for note in notes)
