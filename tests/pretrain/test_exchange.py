"""From and to Hugging Face: what goes out loads everywhere and gives the same logits; what comes in keeps its
weights."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from saved_run import save_run

from data_prep.encoding import Tokenizer
from launch.settings.components import read_config
from pretrain.config import Run
from pretrain.exporting import Source, export_run
from pretrain.network.encoder import Model
from pretrain.network.kinds import architecture
from pretrain.setup import build_model
from pretrain.state.export_parts import exported_config
from pretrain.state.importing import encoder_config, read_pretrained
from pretrain.state.verifying import expected_of, verify

Kmask = Callable[..., subprocess.CompletedProcess[str]]
FILES = {
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
    "README.md",
}


@pytest.fixture
def exported(tiny_run: Path, prepared: Path, tmp_path: Path) -> Path:
    run = read_config(Run, tiny_run, [])
    model = build_model(run, 1, Tokenizer(folder=prepared / "tokenizer"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    tensors = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    target = tmp_path / "exported"
    export_to(target, tensors, model, prepared)
    return target


def export_to(target: Path, tensors: dict[str, torch.Tensor], model: Any, prepared: Path) -> dict[str, float]:
    source = Source(weights=tensors, model=lambda: model, tokenizer=prepared / "tokenizer")
    return export_run(source, target, lambda verified: "card", {})


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


def test_an_export_whose_logits_differ_is_refused_and_leaves_nothing_behind(
    tiny_run: Path, prepared: Path, tmp_path: Path
) -> None:
    run = read_config(Run, tiny_run, [])
    model = build_model(run, 1, Tokenizer(folder=prepared / "tokenizer"))
    tensors = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    tensors["ernie.encoder.layer.0.output.dense.weight"] += torch.randn(32, 128)
    with pytest.raises(ValueError, match="export refused: hidden states of AutoModel differ"):
        export_to(tmp_path / "bad", tensors, model, prepared)
    del tensors["ernie.pooler.dense.weight"]
    with pytest.raises(ValueError, match=r"reloads it without pooler\.dense\.weight"):
        export_to(tmp_path / "bad", tensors, model, prepared)
    assert not list(tmp_path.glob("*bad*"))


def test_what_was_exported_comes_back_with_every_weight(exported: Path, tiny_run: Path, prepared: Path) -> None:
    run = read_config(Run, tiny_run, [f"model.path={exported}"])
    model = build_model(run, 1, Tokenizer(folder=prepared / "tokenizer"))
    assert max(verify(exported, expected_of(model, prepared / "tokenizer")).values()) < 1e-5


def bert_folder(folder: Path, prepared: Path) -> Any:
    """A BERT with the vocabulary of the shards, saved; returns the model."""
    from transformers import BertConfig, BertForPreTraining

    tokenizer = Tokenizer(folder=prepared / "tokenizer")
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    }
    bert = BertForPreTraining(BertConfig(vocab_size=len(tokenizer.tokens), **shape)).eval()
    bert.save_pretrained(folder)
    for file in (prepared / "tokenizer").iterdir():
        shutil.copy(file, folder / file.name)
    return bert


def test_a_bert_folder_gives_its_own_logits(tiny_run: Path, prepared: Path, tmp_path: Path) -> None:
    bert = bert_folder(tmp_path / "bert", prepared)
    tokenizer = Tokenizer(folder=prepared / "tokenizer")
    assert [note.partition(" (")[0] for note in read_pretrained(tmp_path / "bert", tokenizer).notes] == [
        "its masked-LM head looks untrained",
        "its pooler looks untrained",
    ]
    ids = torch.tensor([[2, 30, 31, 32, 3]])
    model = build_model(read_config(Run, tiny_run, [f"model.path={tmp_path / 'bert'}"]), 0, tokenizer).eval()
    assert not model.ernie.embeddings.task_type_embeddings.weight[0].any()  # type: ignore[union-attr, operator, index]
    model.ernie.set_attn_implementation("sdpa")  # type: ignore[operator]
    ours = model.heads["knowledge_masking"](model.ernie(ids).last_hidden_state)
    assert torch.allclose(ours, bert(ids).prediction_logits, atol=1e-5)


def test_training_continues_from_a_bert_folder_and_exports_without_it(
    kmask: Kmask, tiny_run: Path, prepared: Path, tmp_path: Path
) -> None:
    bert_folder(tmp_path / "bert", prepared)
    overrides = [
        f"model.path={tmp_path / 'bert'}",
        "model.dropout=0",
        "evaluation.every=0",
        "stages.0.steps=1",
        "stages.1.steps=1",
    ]
    done = kmask("train", tiny_run, *overrides, "--processes", 1)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "bert")
    done = kmask("export", tmp_path / "run", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "began from the checkpoint `bert`" in (tmp_path / "out/README.md").read_text()
    assert json.loads((tmp_path / "out/config.json").read_text())["hidden_dropout_prob"] == 0.1


def test_an_export_after_the_start_checkpoint_is_gone_carries_its_dropout_and_ids(
    tiny_run: Path, prepared: Path, tmp_path: Path
) -> None:
    from launch.outcomes.exporting import run_export

    bert_folder(tmp_path / "bert", prepared)
    config = json.loads((tmp_path / "bert/config.json").read_text())
    kept = {
        "hidden_dropout_prob": 0.2,
        "attention_probs_dropout_prob": 0.3,
        "classifier_dropout": 0.25,
        "bos_token_id": 2,
        "position_embedding_type": "absolute",
    }
    (tmp_path / "bert/config.json").write_text(
        json.dumps({**config, **kept, "id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}})
    )
    found = read_pretrained(tmp_path / "bert", Tokenizer(folder=prepared / "tokenizer"))
    source = {"path": str(tmp_path / "bert"), "config": dict(found.config)}
    run = save_run(tiny_run, overrides=(f"model.path={tmp_path / 'bert'}",), source=source)
    shutil.rmtree(tmp_path / "bert")
    assert run_export(run, tmp_path / "out", [], None, "", [], False, False) == 0
    exported = json.loads((tmp_path / "out/config.json").read_text())
    assert {name: exported[name] for name in kept} == kept and "id2label" not in exported


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("indexed", [True, False])
def test_shards_are_read_whole_or_refused(prepared: Path, tmp_path: Path, suffix: str, indexed: bool) -> None:
    from safetensors.torch import save_file

    bert_folder(tmp_path, prepared)
    tokenizer = Tokenizer(folder=prepared / "tokenizer")
    whole = read_pretrained(tmp_path, tokenizer).tensors
    original = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    names = [f"{stem}-{number:05d}-of-00003{suffix}" for number in (1, 2, 3)]
    for number, name in enumerate(names):
        part = {key: original[key] for key in sorted(original)[number::3]}
        save_file(part, tmp_path / name) if suffix == ".safetensors" else torch.save(part, tmp_path / name)
    if indexed:
        weight_map = {key: names[index % 3] for index, key in enumerate(sorted(original))}
        (tmp_path / f"{stem}{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    found = read_pretrained(tmp_path, tokenizer).tensors
    assert found.keys() == whole.keys() and all(torch.equal(found[name], whole[name]) for name in whole)
    content = (tmp_path / names[1]).read_bytes()
    (tmp_path / names[1]).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"{names[1]} cannot be read"):
        read_pretrained(tmp_path, tokenizer)
    (tmp_path / names[1]).unlink()
    with pytest.raises(ValueError, match=f"1 of 3 shards are missing .{names[1]}"):
        read_pretrained(tmp_path, tokenizer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "albert"}, "'albert' cannot be continued: its layers share their weights; bert, .* can"),
        ({"model_type": "roberta"}, "its weights lack embeddings.word_embeddings.weight .looked for under `roberta.`"),
        ({"model_type": "xlm-roberta"}, "model_type 'xlm-roberta' cannot be continued: .*SentencePiece"),
        ({"model_type": None, "architectures": ["T5Model"]}, "'T5Model' cannot be continued; bert, electra, ernie"),
        ({"position_embedding_type": "relative_key"}, "'relative_key' cannot be continued; absolute positions can"),
        ({"is_decoder": True}, "it is a decoder"),
        ({"hidden_size": None}, "does not say hidden_size"),
        ({"num_hidden_layers": 3}, "its weights lack encoder.layer.2.attention.self.query.weight"),
        ({"hidden_size": 64}, "they do not belong together"),
    ],
)
def test_a_folder_that_would_compute_something_else_is_refused(
    prepared: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    bert_folder(tmp_path, prepared)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ValueError, match=message):
        read_pretrained(tmp_path, Tokenizer(folder=prepared / "tokenizer"))


def test_a_folder_with_weights_of_another_framework_says_which(prepared: Path, tmp_path: Path) -> None:
    bert_folder(tmp_path, prepared)
    (tmp_path / "model.safetensors").rename(tmp_path / "model_state.pdparams")
    with pytest.raises(ValueError, match="those of PaddlePaddle must be converted first"):
        read_pretrained(tmp_path, Tokenizer(folder=prepared / "tokenizer"))


def test_a_folder_without_a_vocabulary_is_told(prepared: Path, tmp_path: Path) -> None:
    bert_folder(tmp_path, prepared)
    for name in ("tokenizer.json", "vocab.txt"):
        (tmp_path / name).unlink()
    assert "holds no vocabulary" in read_pretrained(tmp_path, Tokenizer(folder=prepared / "tokenizer")).notes[0]


@pytest.mark.parametrize("labels", [2, 3])
def test_an_export_takes_any_number_of_labels(exported: Path, labels: int) -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(exported, num_labels=labels)
    assert model.classifier.out_features == model.config.num_labels == labels
    assert not {"id2label", "label2id"} & json.loads((exported / "config.json").read_text()).keys()


def test_dropout_of_an_export_is_that_of_the_start_checkpoint_or_of_the_run() -> None:
    trained = {
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "hidden_size": 8,
        "id2label": {0: "LABEL_0"},
    }
    scratch = exported_config(trained, {})
    assert scratch["hidden_dropout_prob"] == 0.0 and "id2label" not in scratch
    continued = exported_config(trained, {"hidden_dropout_prob": 0.15, "hidden_size": 99})
    assert (
        continued["hidden_dropout_prob"] == 0.15
        and continued["attention_probs_dropout_prob"] == 0.1
        and continued["hidden_size"] == 8
    )


def test_the_encoder_keeps_the_shape_of_its_checkpoint_and_takes_the_dropout_of_the_run() -> None:
    source = {
        "vocab_size": 50,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
    }
    config = encoder_config({**source, "layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.4}, 2, Model(dropout=0.0))
    assert (
        config.layer_norm_eps == 1e-5
        and config.hidden_dropout_prob == 0.0
        and config.task_type_vocab_size == 2
        and config.use_task_id
    )


def test_a_checkpoint_without_a_masked_lm_head_is_told(exported: Path, prepared: Path) -> None:
    from safetensors.torch import save_file

    tensors = {
        name: tensor
        for name, tensor in load_file(exported / "model.safetensors").items()
        if not name.startswith("cls.")
    }
    save_file(tensors, exported / "model.safetensors")
    assert "masked-LM head" in read_pretrained(exported, Tokenizer(folder=prepared / "tokenizer")).notes[0]


def test_a_checkpoint_with_another_vocabulary_is_refused(exported: Path, prepared: Path) -> None:
    text = (exported / "tokenizer.json").read_text()
    (exported / "tokenizer.json").write_text(text.replace('"##s"', '"##_s"'))
    with pytest.raises(ValueError, match="another vocabulary than the shards"):
        read_pretrained(exported, Tokenizer(folder=prepared / "tokenizer"))


def test_names_of_old_checkpoints_are_translated() -> None:
    our_name = architecture("bert").our_name
    assert our_name("bert.encoder.layer.0.output.LayerNorm.gamma") == "ernie.encoder.layer.0.output.LayerNorm.weight"
    assert our_name("cls.predictions.transform.dense.bias") == "heads.knowledge_masking.transform.dense.bias"
    assert our_name("cls.predictions.decoder.weight") == "heads.knowledge_masking.decoder.weight"  # compared, not kept
    assert our_name("bert.embeddings.position_ids") is None and our_name("cls.seq_relationship.weight") is None
    assert our_name("embeddings.word_embeddings.weight") == "ernie.embeddings.word_embeddings.weight"
