"""Checkpoints of every architecture: read, computed as plain transformers computes them, and written back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_folders import OWN, hub_folder

from data_prep.encoding import Tokenizer
from data_prep.shards import Prepared
from launch.settings.components import read_config
from pretrain.config import Run
from pretrain.first_loss import check_first_loss
from pretrain.network.kinds import architecture, kinds
from pretrain.setup import start_model
from pretrain.state.importing import read_pretrained

KINDS = list(OWN)


def model_of(tiny_run: Path, prepared: Path, folder: Path) -> tuple[Any, Any, str]:
    run = read_config(Run, tiny_run, [f"model.path={folder}"])
    return start_model(run, Tokenizer(folder=prepared / "tokenizer"), 1)


def test_every_architecture_has_a_folder_here() -> None:
    assert {kind.removesuffix("_small") for kind in KINDS} == set(kinds())


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_loss_is_that_of_plain_transformers(
    tiny_run: Path, prepared: Path, tmp_path: Path, kind: str
) -> None:
    hub_folder(tmp_path / kind, kind, prepared / "tokenizer")
    model, source, told = model_of(tiny_run, prepared, tmp_path / kind)
    assert source["masked_lm"] and not source["pooler"] and "left unused: no" in told
    line = check_first_loss(model, tmp_path / kind, Prepared.open(prepared), True)
    assert float(line.rpartition(" ")[2].rstrip(")")) < 2e-5
    with torch.no_grad():
        next(item for name, item in model.named_parameters() if "layer.1." in name and item.dim() == 2).mul_(3)
    with pytest.raises(ValueError, match=r"masked-LM loss \d.* by plain transformers .allowed difference 0.001"):
        check_first_loss(model, tmp_path / kind, Prepared.open(prepared), True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_without_a_head_is_compared_by_its_states(
    tiny_run: Path, prepared: Path, tmp_path: Path, kind: str
) -> None:
    hub_folder(tmp_path / kind, kind, prepared / "tokenizer", head=False)
    model, source, told = model_of(tiny_run, prepared, tmp_path / kind)
    assert not source["masked_lm"] and "no masked-LM head" in told
    line = check_first_loss(model, tmp_path / kind, Prepared.open(prepared), False)
    assert "hidden states of 4 texts" in line


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_back_is_the_folder_that_was_read(
    tiny_run: Path, prepared: Path, tmp_path: Path, kind: str
) -> None:
    from transformers import AutoConfig, AutoModelForMaskedLM

    plain = hub_folder(tmp_path / kind, kind, prepared / "tokenizer")
    model, _, _ = model_of(tiny_run, prepared, tmp_path / kind)
    with torch.no_grad():
        model.get_parameter("ernie.embeddings.word_embeddings.weight").add_(0.01)
        plain.get_input_embeddings().weight.add_(0.01)
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    name = kind.removesuffix("_small")
    hub = architecture(name).to_hub(tensors, model.config.to_dict())
    assert hub.config["model_type"] == name and hub.config["architectures"] == [type(plain).__name__]
    values = {key: value for key, value in hub.config.items() if key not in ("model_type", "architectures")}
    again = AutoModelForMaskedLM.from_config(AutoConfig.for_model(name, **values)).eval()
    missing, unexpected = again.load_state_dict(hub.tensors, strict=False)
    assert all("decoder" in key or "lm_head.weight" in key for key in missing)  # tied
    assert all("pooler" in key for key in unexpected)
    ids = torch.tensor([[2, 30, 31, 7, 32, 3]])
    with torch.no_grad():
        assert torch.allclose(again(ids).logits, plain(ids).logits, atol=1e-5)


def test_an_encoder_without_a_task_table_says_so(tiny_run: Path, prepared: Path, tmp_path: Path) -> None:
    hub_folder(tmp_path / "small", "electra_small", prepared / "tokenizer")
    _, _, told = model_of(tiny_run, prepared, tmp_path / "small")
    assert "this encoder knows no tasks: " in told and "have no task embedding" in told


def test_untrained_parts_are_told_and_take_the_whole_rate(tiny_run: Path, prepared: Path, tmp_path: Path) -> None:
    from transformers import BertConfig, BertForPreTraining

    hub_folder(tmp_path, "bert", prepared / "tokenizer", head=False, trained=False)
    config = BertConfig.from_pretrained(tmp_path)
    BertForPreTraining(config).save_pretrained(tmp_path)
    found = read_pretrained(tmp_path, Tokenizer(folder=prepared / "tokenizer"))
    assert list(found.untrained) == ["heads.knowledge_masking.", "ernie.pooler."]
    assert all("looks untrained (all biases 0, norms 1" in note for note in found.notes)
    _, source, _ = model_of(tiny_run, prepared, tmp_path)
    assert not source["pooler"] and "heads.knowledge_masking" not in source["parts"] and source["masked_lm"]
    model = BertForPreTraining(config)
    with torch.no_grad():
        model.bert.pooler.dense.bias[0] = 1e-8
        model.cls.predictions.transform.LayerNorm.weight[3] = 1 - 1e-6
    model.save_pretrained(tmp_path)
    assert not read_pretrained(tmp_path, Tokenizer(folder=prepared / "tokenizer")).untrained


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("roberta", {"pad_token_id": 7}, "its tokenizer disagrees with the model: config.json says pad_token_id 7"),
        ("roberta", {"hidden_act": "relu"}, "cannot be continued: hidden_act 'relu', but its masked-LM head always"),
        ("electra", {"hidden_act": "relu"}, "cannot be continued: hidden_act 'relu'"),
        ("electra", {"embedding_size": 16}, "do not belong together"),
        ("bert", {"hidden_act": "geluu"}, "config.json describes no encoder .KeyError: .*geluu"),
        ("bert", {"num_attention_heads": 5}, "config.json describes no encoder .ValueError: The hidden size"),
        ("modernbert", {"layer_types": ["full"]}, "config.json describes no encoder"),
        ("modernbert", {"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 2.0}}}, "yarn"),
        ("bert", {"vocab_size": 100}, "has 100 embeddings, the shards' vocabulary"),
        ("bert", {"max_position_embeddings": True}, "does not say max_position_embeddings"),
        ("bert", {"type_vocab_size": 3}, "3 x 32 for embeddings.token_type_embeddings.weight, the weights hold 2 x 32"),
    ],
)
def test_a_config_that_disagrees_is_refused(
    prepared: Path, tmp_path: Path, kind: str, change: dict[str, Any], message: str
) -> None:
    hub_folder(tmp_path, kind, prepared / "tokenizer")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ValueError, match=message):
        read_pretrained(tmp_path, Tokenizer(folder=prepared / "tokenizer"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "pytorch_model.bin holds no weights: .* it holds a list"),
        ({"model": {"a": torch.ones(2)}}, "holds no weights: .* it holds a dict of model"),
        (b"not a pickle at all", "pytorch_model.bin cannot be read"),
        (Path, "pytorch_model.bin cannot be read"),
    ],
)
def test_a_pickle_that_is_no_weights_is_refused(prepared: Path, tmp_path: Path, content: Any, message: str) -> None:
    hub_folder(tmp_path, "bert", prepared / "tokenizer")
    (tmp_path / "model.safetensors").unlink()
    file = tmp_path / "pytorch_model.bin"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(ValueError, match=message):
        read_pretrained(tmp_path, Tokenizer(folder=prepared / "tokenizer"))


def test_a_decoder_that_is_no_word_table_is_refused(prepared: Path, tmp_path: Path) -> None:
    hub_folder(tmp_path, "bert", prepared / "tokenizer", tie_word_embeddings=False)
    with pytest.raises(ValueError, match=r"a decoder of its own .tie_word_embeddings: false"):
        read_pretrained(tmp_path, Tokenizer(folder=prepared / "tokenizer"))


def test_an_index_that_is_none_is_refused(prepared: Path, tmp_path: Path) -> None:
    hub_folder(tmp_path, "bert", prepared / "tokenizer")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": ["a"]}')
    with pytest.raises(ValueError, match="is no index of shards"):
        read_pretrained(tmp_path, Tokenizer(folder=prepared / "tokenizer"))
