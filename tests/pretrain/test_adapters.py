"""Adapters: the encoder stays as it was, what is trained goes on after a kill, and an export is the trained model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_beginning import Runs, equal
from test_trainer import bert_folder

from data_prep.encoding import Tokenizer
from launch.outcomes.evaluating import run_eval
from launch.outcomes.exporting import run_export
from launch.settings.kinds import find_kind, kinds
from pretrain.network.adapters import Adapter, is_own
from pretrain.network.adapters.bottleneck import Bottleneck
from pretrain.network.adapters.lora import Lora
from pretrain.processes.world import World
from pretrain.state.adapter_files import load_adapter

QUERY = "ernie.encoder.layer.0.attention.self.query"
LORA = "model.adapter={kind: lora, rank: 4, alpha: 8, dropout: 0.1}"
NECK = "model.adapter={kind: bottleneck, width: 8}"
SETTINGS = (
    "tasks={knowledge_masking: {kind: knowledge_masking}, order: {kind: sentence_order}}",
    "stages=[{name: one, steps: 4, tasks: {knowledge_masking: 1, order: 1}}]",
    "batch.rows_per_process=4",
    "evaluation.every=100",
    "checkpoints={every: 2, keep: 9}",
    "optimization={lr: 0.01, warmup: 1}",
)


@pytest.fixture(scope="module")
def bert(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bert_folder(tmp_path_factory.mktemp("start") / "bert", Tokenizer(folder=prepared / "tokenizer").tokens)


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, world: World) -> Runs:
    return Runs(tiny_run, tmp_path, world)


def base_of(bert: Path) -> dict[str, torch.Tensor]:
    found = load_file(bert / "model.safetensors")
    return {f"ernie.{name.removeprefix('bert.')}": item for name, item in found.items() if name.startswith("bert.")}


def check_frozen(tensors: dict[str, torch.Tensor], bert: Path) -> None:
    """The encoder is that of the folder, bit for bit; adapter and head have learned."""
    base = base_of(bert)
    assert len(base) > 15 and all(torch.equal(tensors[name], item) for name, item in base.items())
    own = [name for name in tensors if is_own(name) and "#" not in name]
    assert own and all(tensors[f"{name}#exp_avg"].any() for name in own)
    assert not any(f"{name}#exp_avg" in tensors for name in base)
    head = load_file(bert / "model.safetensors")["cls.predictions.transform.dense.weight"]
    assert not torch.equal(tensors["heads.knowledge_masking.transform.dense.weight"], head)
    assert tensors["ernie.pooler.dense.weight#exp_avg"].any()


@pytest.mark.parametrize("kind", kinds(Adapter))
def test_an_adapter_is_a_documented_component(kind: str) -> None:
    found: Any = find_kind(Adapter, kind)
    assert issubclass(found, Adapter) and found.__doc__
    assert found().trains("x.adapter_up.weight") and not found().trains("encoder.layer.0.output.dense.weight")


@pytest.mark.parametrize(("adapter", "zero"), [(LORA, 3), (NECK, 0)], ids=["lora", "bottleneck"])
def test_the_encoder_stays_bit_for_bit_and_a_killed_run_goes_on_bitwise(
    runs: Runs, bert: Path, adapter: str, zero: int
) -> None:
    settings = (*SETTINGS, f"model.path={bert}", adapter, f"engine.zero_stage={zero}")
    runs.train("whole", *settings)
    check_frozen(runs.tensors("whole"), bert)
    runs.killed("killed", *settings, at=("train", 3))
    runs.train("killed", *settings)
    assert equal(runs.tensors("killed"), runs.tensors("whole"))
    if zero == 0:
        runs.train("plain", *SETTINGS, f"model.path={bert}", "engine.zero_stage=0")
        first = [{**runs.evaluations(name)[0], "time": 0} for name in ("whole", "plain")]
        assert first[0] == first[1]  # it changes nothing before the first step


def test_lora_is_merged_by_an_export_and_by_a_run_that_goes_on_without_it(
    runs: Runs, bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.train("lora", *SETTINGS, f"model.path={bert}", LORA)
    tensors = runs.tensors("lora")
    down, up = (tensors[f"{QUERY}.lora_{part}.default.weight"] for part in "AB")
    query = tensors[f"{QUERY}.weight"] + 8 / 4 * up @ down
    assert down.shape == (4, 32) and not torch.equal(query, tensors[f"{QUERY}.weight"])
    run_export(runs.folder / "lora", runs.folder / "out", [], None, "", [], True, False)
    assert json.loads(capsys.readouterr().out)["largest_logit_difference"] < 1e-5  # against the model with LoRA
    exported = load_file(runs.folder / "out/model.safetensors")
    assert torch.equal(exported[f"{QUERY}.weight"], query) and not any("lora" in name for name in exported)
    for target in ("lora", "out"):
        run_eval(runs.folder / target, [], None, True, False)
    merged, alone = (json.loads(line)["values"] for line in reversed(capsys.readouterr().out.splitlines()[-2:]))
    assert merged.keys() == alone.keys() and all(abs(merged[name] - alone[name]) < 1e-4 for name in merged)
    told = runs.train("plain", *SETTINGS, f"model.path={runs.folder / 'lora'}")
    assert "its LoRA is merged into the weights" in told
    begun = runs.begun("plain")
    assert torch.equal(begun[f"{QUERY}.weight"], query) and not any(is_own(name) for name in begun)
    more = (*SETTINGS, f"model.path={runs.folder / 'lora'}", LORA, "model.optimizer=keep")
    runs.train("more", *more)
    assert equal({name: runs.begun("more")[name] for name in tensors}, tensors)  # the same adapter goes on


def test_a_bottleneck_is_exported_beside_an_encoder_that_is_as_it_was(
    runs: Runs, bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModel, AutoModelForMaskedLM

    runs.train("neck", *SETTINGS, f"model.path={bert}", NECK)
    out = runs.folder / "out"
    run_export(runs.folder / "neck", out, [], None, "", [], True, False)
    assert json.loads(capsys.readouterr().out)["adapter"]["largest_difference"] < 1e-5
    exported, base = load_file(out / "model.safetensors"), base_of(bert)
    assert all(torch.equal(exported[name], item) for name, item in base.items())
    beside = load_file(runs.folder / "out-adapter/adapter.safetensors")
    assert sorted(beside) == [f"encoder.layer.0.output.dense.adapter_{name}" for name in
                              ("down.bias", "down.weight", "up.bias", "up.weight")]  # fmt: skip
    ids = torch.tensor([[2, 30, 31, 3]])
    plain, masked = AutoModel.from_pretrained(out).eval(), AutoModelForMaskedLM.from_pretrained(out).eval()
    before = plain(ids).last_hidden_state
    with_adapter = load_adapter(plain, runs.folder / "out-adapter")(ids).last_hidden_state
    assert not torch.allclose(before, with_adapter, atol=1e-3)
    load_adapter(masked, runs.folder / "out-adapter")
    assert torch.equal(masked.ernie(ids).last_hidden_state, with_adapter)
    with pytest.raises(ValueError, match="the model carries an adapter already"):
        load_adapter(plain, runs.folder / "out-adapter")
    with pytest.raises(ValueError, match="holds no adapter"):
        load_adapter(plain, out)
    with pytest.raises(ValueError, match=r"adapter .*'width': 8.*, which is no part of its weights"):
        runs.train("plain", *SETTINGS, f"model.path={runs.folder / 'neck'}")
    runs.train("more", *SETTINGS, f"model.path={runs.folder / 'neck'}", NECK)
    assert any(is_own(name) for name in runs.begun("more"))


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from transformers import ErnieConfig, ErnieModel

    shape = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 50}
    save_file({"encoder.layer.0.output.dense.adapter_up.bias": torch.zeros(32)}, tmp_path / "adapter.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"kind": "bottleneck", "width": 8}')
    with pytest.raises(ValueError, match="it belongs to another model"):
        load_adapter(ErnieModel(ErnieConfig(num_hidden_layers=1, **shape)), tmp_path)


@pytest.mark.parametrize(
    ("cls", "given", "told"),
    [
        (Lora, {"rank": 0}, "rank: 0 must be at least 1"),
        (Lora, {"alpha": 0}, "alpha: 0 must be positive"),
        (Lora, {"dropout": 1}, r"dropout: 1 must lie in \[0, 1\)"),
        (Lora, {"targets": []}, "targets: name at least one"),
        (Lora, {"bias": "some"}, "bias: 'some' is not one of none, all"),
        (Bottleneck, {"width": 0}, "width: 0 must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(cls: Any, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        cls(**given)


def test_an_adapter_needs_an_encoder_and_layers_and_its_package(
    runs: Runs, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="adapter: it is trained in place of an encoder that `path` names"):
        runs.decoded("run", *SETTINGS, LORA)
    wrong = "model.adapter={kind: lora, targets: [quarry]}"
    with pytest.raises(ValueError, match=r"'quarry' ends the name of no layer; .*attention\.self\.query"):
        runs.train("run", *SETTINGS, f"model.path={bert}", wrong)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(
        ValueError, match=r"needs the package peft, which is not installed; `pip install kmask\[peft\]`"
    ):
        runs.train("run", *SETTINGS, f"model.path={bert}", LORA)


def test_biases_and_word_embeddings_learn_where_asked() -> None:
    lora = Lora(bias="all", embeddings=True)
    assert lora.trains("encoder.layer.0.output.dense.bias") and lora.trains("embeddings.word_embeddings.weight")
    assert not lora.trains("embeddings.position_embeddings.weight") and not lora.trains("embeddings.LayerNorm.weight")
