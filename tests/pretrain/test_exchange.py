"""From and to Hugging Face: what goes out loads everywhere and gives the same logits; what comes in keeps its weights."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from data_prep.encoding import Tokenizer
from launch.config import read_config
from pretrain.config import Run
from pretrain.exchange import export_run, our_name, read_pretrained, verify
from pretrain.setup import build_model

Kmask = Callable[..., subprocess.CompletedProcess[str]]
FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json", "README.md"}


@pytest.fixture
def exported(tiny_run: Path, prepared: Path, tmp_path: Path) -> Path:
    run = read_config(Run, tiny_run, [])
    model = build_model(run, 1, Tokenizer(folder=prepared / "tokenizer"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    tensors = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    target = tmp_path / "exported"
    assert export_run(tensors, model, prepared / "tokenizer", target, "card", {}) < 1e-4
    return target


def test_an_export_holds_every_file_that_runtimes_look_for(exported: Path) -> None:
    assert {file.name for file in exported.iterdir()} >= FILES
    lines = (exported / "vocab.txt").read_text().splitlines()
    assert len(lines) == json.loads((exported / "config.json").read_text())["vocab_size"]


def test_an_export_loads_with_all_auto_classes_and_fills_masks(exported: Path) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(exported)
    assert tokenizer.mask_token == "[MASK]" and tokenizer.cls_token == "[CLS]"
    _, info = AutoModel.from_pretrained(exported, output_loading_info=True)
    assert not info["missing_keys"]  # the pooler is there
    _, info = AutoModelForSequenceClassification.from_pretrained(exported, output_loading_info=True)
    assert set(info["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    assert len(pipeline("fill-mask", model=str(exported), tokenizer=str(exported))("北京是[MASK]国的首都。")) == 5


def test_an_export_whose_logits_differ_is_refused_and_leaves_nothing_behind(tiny_run: Path, prepared: Path, tmp_path: Path) -> None:
    run = read_config(Run, tiny_run, [])
    model = build_model(run, 1, Tokenizer(folder=prepared / "tokenizer"))
    tensors = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    tensors["ernie.encoder.layer.0.output.dense.weight"] += torch.randn(32, 128)
    with pytest.raises(ValueError, match="export refused: logits"):
        export_run(tensors, model, prepared / "tokenizer", tmp_path / "bad", "card", {})
    del tensors["ernie.pooler.dense.weight"]
    with pytest.raises(ValueError, match="lacks pooler"):
        export_run(tensors, model, prepared / "tokenizer", tmp_path / "bad", "card", {})
    assert not list(tmp_path.glob("*bad*"))


def test_what_was_exported_comes_back_with_every_weight(exported: Path, tiny_run: Path, prepared: Path) -> None:
    run = read_config(Run, tiny_run, [f"model.path={exported}"])
    model = build_model(run, 1, Tokenizer(folder=prepared / "tokenizer"))
    assert verify(exported, model) < 1e-5


def test_training_continues_from_a_bert_folder(kmask: Kmask, tiny_run: Path, prepared: Path, tmp_path: Path) -> None:
    from transformers import BertConfig, BertForPreTraining

    tokenizer = Tokenizer(folder=prepared / "tokenizer")
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64}
    bert = BertForPreTraining(BertConfig(vocab_size=len(tokenizer.tokens), **shape)).eval()
    folder = tmp_path / "bert"
    bert.save_pretrained(folder)
    for file in (prepared / "tokenizer").iterdir():
        shutil.copy(file, folder / file.name)
    found = read_pretrained(folder, tokenizer)
    assert not found.notes
    ids = torch.tensor([[2, 30, 31, 32, 3]])
    run = read_config(Run, tiny_run, [f"model.path={folder}"])
    model = build_model(run, 0, tokenizer).eval()
    model.ernie.embeddings.task_type_embeddings.weight.data.zero_()  # type: ignore[union-attr, operator]
    model.ernie.set_attn_implementation("sdpa")  # type: ignore[operator]
    ours = model.heads["knowledge_masking"](model.ernie(ids).last_hidden_state)
    assert torch.allclose(ours, bert(ids).prediction_logits, atol=1e-5)
    done = kmask("train", tiny_run, f"output={tmp_path / 'run'}", f"model.path={folder}", "evaluation.every=0", "--processes", 1)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder)
    done = kmask("export", tmp_path / "run", tmp_path / "out")  # needs the start checkpoint no more
    assert done.returncode == 0, done.stderr


def test_a_checkpoint_without_a_masked_lm_head_is_told(exported: Path, prepared: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = {name: tensor for name, tensor in load_file(exported / "model.safetensors").items() if not name.startswith("cls.")}
    save_file(tensors, exported / "model.safetensors")
    assert "masked-LM head" in read_pretrained(exported, Tokenizer(folder=prepared / "tokenizer")).notes[0]


def test_a_checkpoint_with_another_vocabulary_is_refused(exported: Path, prepared: Path) -> None:
    text = (exported / "tokenizer.json").read_text()
    (exported / "tokenizer.json").write_text(text.replace('"##s"', '"##_s"'))
    with pytest.raises(ValueError, match="another vocabulary than the shards"):
        read_pretrained(exported, Tokenizer(folder=prepared / "tokenizer"))


def test_names_of_old_checkpoints_are_translated() -> None:
    assert our_name("bert.encoder.layer.0.output.LayerNorm.gamma") == "ernie.encoder.layer.0.output.LayerNorm.weight"
    assert our_name("cls.predictions.transform.dense.bias") == "heads.knowledge_masking.transform.dense.bias"
    assert our_name("cls.predictions.decoder.weight") is None and our_name("cls.seq_relationship.weight") is None
    assert our_name("embeddings.word_embeddings.weight") == "ernie.embeddings.word_embeddings.weight"
