"""Formats of an export: every one is the trained model again for transformers, and for a training that goes on."""

from __future__ import annotations

import functools
import importlib.util
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_folders import hub_folder
from safetensors.torch import load_file, save_file
from saved_run import save_run
from tiny import TINY_RUN

from launch.outcomes.exporting import How, run_export
from launch.settings.kinds import kinds
from pretrain import adapted
from pretrain.exporting import check_formats, name_of, native
from pretrain.formats import Format
from pretrain.formats._native import Native
from pretrain.formats.onnx import Onnx
from pretrain.network.kinds import architecture
from pretrain.state import verifying
from pretrain.state.checkpoint import Checkpoint, load
from pretrain.state.export_parts import write_tokenizer
from pretrain.state.heads import load_heads
from pretrain.state.origins import read_origin
from pretrain.state.same_tokens import compare, lines_like
from pretrain.state.tensor_files import DTYPES, stored, write

TASKS = ["knowledge_masking", "next_sentence", "sentence_order"]
SETTINGS = (
    "tasks={sentence_order: {kind: sentence_order}, knowledge_masking: {kind: knowledge_masking}, "
    "next_sentence: {kind: next_sentence}}",
    f"stages=[{{name: one, steps: 4, tasks: {{{', '.join(f'{task}: 1' for task in TASKS)}}}}}, "
    f"{{name: two, steps: 4, tasks: {{{', '.join(f'{task}: 1' for task in TASKS)}}}}}]",
)
CLASSES = {"ernie": "ErnieForPreTraining", "bert": "BertForPreTraining"}


ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
SENTENCE_TRANSFORMERS = importlib.util.find_spec("sentence_transformers") is not None
BESIDE = ("sentence-transformers", *(("onnx",) if ONNX else ()))


@pytest.fixture(scope="module")
def saved(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two heads that fit `cls.seq_relationship`, and weights that are no round numbers."""
    file = tmp_path_factory.mktemp("formats") / "run.yaml"
    file.write_text(TINY_RUN.format(output=file.parent / "run", data=prepared), encoding="utf-8")
    done = [{"name": name, "steps": 3, "tasks": dict.fromkeys(TASKS, 1.0)} for name in ("one", "two")]
    return save_run(file, overrides=SETTINGS, learned=TASKS, done=done)


@pytest.fixture(scope="module")
def exported(saved: Path) -> Callable[[str], Path]:
    """Its export by architecture, made once; `ernie` with everything that can lie beside it."""

    @functools.cache
    def folder(kind: str) -> Path:
        place = saved.with_name(f"run-{kind}")
        beside = BESIDE if kind == "ernie" else ()
        export(saved, place, kind, *beside, **({"pooling": "cls", "normalize": False} if beside else {}))
        return place

    return folder


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "training_manifest.json").read_text())
    return found


def checkpoint_of(run: Path) -> Checkpoint:
    return load(run / "checkpoints/step-00000006")


def export(run: Path, folder: Path, *formats: str, dtype: str = "fp32", **more: Any) -> dict[str, Any]:
    """Export; returns the manifest."""
    assert run_export(run, folder, [], None, "", [], False, False, how=How(formats=formats, dtype=dtype, **more)) == 0
    return manifest_of(folder)


@pytest.mark.parametrize("kind", ["ernie", "bert", "roberta", "electra"])
def test_an_architecture_gives_the_trained_numbers_and_training_goes_on_from_it_bit_for_bit(
    saved: Path, exported: Callable[[str], Path], kind: str
) -> None:
    folder = exported(kind)
    manifest = manifest_of(folder)
    trained = checkpoint_of(saved).tensors(optimizer=False)
    origin = read_origin(folder, False)
    assert origin is not None and origin.tensors.keys() == trained.keys()
    assert all(torch.equal(origin.tensors[name], trained[name]) for name in trained)
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == kind and config["architectures"] == [CLASSES.get(kind, f"{kind.title()}ForMaskedLM")]
    assert manifest["pair_task"] == ("next_sentence" if kind in CLASSES else "")
    assert ("AutoModelForPreTraining" in manifest["verified"]) is (kind in CLASSES)
    assert max(manifest["verified"].values()) < 1e-5 and manifest["same_tokens"]["AutoTokenizer"] == 10_000
    heads = load_heads(folder)
    assert list(heads) == TASKS
    for task in TASKS:
        names = {name.removeprefix(f"heads.{task}.") for name in trained if name.startswith(f"heads.{task}.")}
        assert heads[task].keys() == names
        assert all(torch.equal(tensor, trained[f"heads.{task}.{name}"]) for name, tensor in heads[task].items())


@pytest.mark.parametrize("kind", ["electra_small", "modernbert"])
def test_an_encoder_of_another_class_goes_out_as_what_it_is(prepared: Path, tmp_path: Path, kind: str) -> None:
    hub_folder(tmp_path / "start", kind, prepared / "tokenizer")
    file = tmp_path / "run.yaml"
    file.write_text(TINY_RUN.format(output=tmp_path / "run", data=prepared), encoding="utf-8")
    config = json.loads((tmp_path / "start/config.json").read_text())
    start = {"path": str(tmp_path / "start"), "config": config}
    run = save_run(file, overrides=(f"model.path={tmp_path / 'start'}",), source=start)
    manifest = export(run, tmp_path / "out")
    trained, origin = checkpoint_of(run).tensors(optimizer=False), read_origin(tmp_path / "out", False)
    assert manifest["formats"] == [kind.removesuffix("_small")] and max(manifest["verified"].values()) < 1e-4
    assert origin is not None and origin.tensors.keys() == trained.keys()
    assert all(torch.equal(origin.tensors[name], trained[name]) for name in trained)
    with pytest.raises(ValueError, match="cannot be written as bert"):
        export(run, tmp_path / "bert", "bert")


def test_plain_bert_computes_the_pair_head_too(exported: Callable[[str], Path]) -> None:
    from transformers import AutoModelForMaskedLM, AutoModelForPreTraining, AutoTokenizer, BertForPreTraining

    tokenizer = AutoTokenizer.from_pretrained(exported("bert"))
    inputs = tokenizer("北京是首都。", "The Nile flows north.", return_tensors="pt")
    models = [AutoModelForPreTraining.from_pretrained(exported(name)).eval() for name in ("ernie", "bert")]
    assert isinstance(models[1], BertForPreTraining)
    one, two = (model(**inputs) for model in models)
    assert torch.allclose(one.prediction_logits, two.prediction_logits, atol=1e-6)
    assert torch.allclose(one.seq_relationship_logits, two.seq_relationship_logits, atol=1e-6)
    alone = AutoModelForMaskedLM.from_pretrained(exported("ernie")).eval()(**inputs)
    assert torch.equal(alone.logits, one.prediction_logits)


def test_no_two_models_are_in_memory_and_halves_hold_the_rounded_weights(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModel

    made: list[Any] = []
    build, reload = adapted.saved_model, verifying.load

    def watched(*arguments: Any) -> Any:
        model = build(*arguments)
        made.append(weakref.ref(model))
        return model

    def alone(*arguments: Any) -> Any:
        assert not [item for item in made if item() is not None], "a model was still there when another was loaded"
        model = reload(*arguments)
        made.append(weakref.ref(model))
        return model

    monkeypatch.setattr(adapted, "saved_model", watched)
    monkeypatch.setattr(verifying, "load", alone)
    manifest = export(saved, tmp_path / "out", dtype="bf16")
    assert len(made) == 6 and 0 < max(manifest["verified"].values()) < 2e-2
    trained, found = checkpoint_of(saved).weights(), load_file(tmp_path / "out/model.safetensors")
    name = "ernie.encoder.layer.0.output.dense.weight"
    assert torch.equal(found[name], trained[name].bfloat16())
    assert AutoModel.from_pretrained(tmp_path / "out").dtype == torch.bfloat16


def test_a_number_that_fp16_cannot_hold_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fp16 cannot hold a number of b; export as bf16"):
        write(tmp_path / "x", {"a": torch.tensor([1.0]), "b": torch.tensor([1e6])}, "fp16")


@pytest.mark.parametrize("dtype", DTYPES)
def test_files_are_those_of_safetensors_own_writer_and_outlive_their_names(tmp_path: Path, dtype: str) -> None:
    tensors = {"b": torch.randn(3, 4).T, "a.名": torch.randn(5), "s": torch.tensor(2.0), "none": torch.zeros(0, 2)}
    write(tmp_path / "ours", tensors, dtype)
    like = {name: tensor.to(DTYPES[dtype]).contiguous() for name, tensor in tensors.items()}
    save_file(like, tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    found = stored(tmp_path / "ours")
    (tmp_path / "ours").unlink()
    assert all(torch.equal(found[name], like[name]) for name in like)


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, (2).to_bytes(8, "little") + b"[]", (9).to_bytes(8, "little")])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=r"cut short|no safetensors file"):
        stored(tmp_path / "x")


def test_a_folder_that_sentence_transformers_opens(exported: Callable[[str], Path]) -> None:
    folder = exported("ernie")
    manifest = manifest_of(folder)
    assert manifest["formats"][:2] == ["ernie", "sentence_transformers"]
    modules = json.loads((folder / "modules.json").read_text())
    assert [item["type"].rpartition(".")[2] for item in modules] == ["Transformer", "Pooling"]
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    assert pooling["pooling_mode_cls_token"] and not pooling["pooling_mode_mean_tokens"]
    if not SENTENCE_TRANSFORMERS:
        pytest.skip("sentence-transformers is not installed: the folder was checked as JSON only")
    assert manifest["verified"]["SentenceTransformer"] < 1e-5


@pytest.mark.parametrize("name", kinds(Format))
def test_every_format_is_made_without_settings_and_an_architecture_is_named_as_its_file(name: str) -> None:
    found = How(formats=[name.replace("_", "-")]).decoded()[0]
    assert isinstance(found, Format) and name_of(found) == name
    if isinstance(found, Native):
        assert found.KIND == architecture(name).KIND == name and native(name) == found


@pytest.mark.skipif(not ONNX, reason="needs kmask[onnx]")
def test_an_onnx_graph_takes_any_batch_and_length(exported: Callable[[str], Path]) -> None:
    import numpy as np
    import onnx
    import onnxruntime
    from transformers import AutoModelForMaskedLM

    folder = exported("ernie")
    assert manifest_of(folder)["verified"]["onnxruntime"] < 1e-5
    graph = onnx.load(folder / "onnx/model.onnx")
    assert [item.version for item in graph.opset_import if item.domain == ""] == [18]
    session = onnxruntime.InferenceSession(folder / "onnx/model.onnx")
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    for shape in ((1, 1), (3, 64)):
        ids = torch.randint(5, 100, shape)
        mask, segments = torch.ones(shape, dtype=torch.long), (torch.arange(shape[1]) > 2).long().expand(shape)
        mask[0, shape[1] // 2 + 1 :] = 0
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}
        states, logits = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        with torch.no_grad():
            wanted = model(**inputs).logits
        seen = mask.bool().numpy()
        assert states.shape == (*shape, 32) and np.abs(logits - wanted.numpy())[seen].max() < 1e-5


def test_what_onnx_lacks_is_named_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrain.formats.onnx.NEEDED", ("onnx", "no_such_package"))
    if importlib.util.find_spec("onnx"):
        with pytest.raises(ValueError, match=r"needs no_such_package: pip install 'kmask\[onnx\]'"):
            check_formats([Onnx()])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (How(formats=["ernie", "bert"]), "a folder holds one architecture"),
        (How(formats=["onnx", "onnx"]), "every format once"),
        (How(formats=["tflite"]), "tflite"),
        (How(dtype="int8"), "--dtype: 'int8' is none of fp32, bf16, fp16"),
        (How(pooling="mean"), "--pooling: only the format sentence-transformers has it"),
        (How(formats=["sentence-transformers"], pooling="max"), "'max' is none of mean, cls"),
    ],
)
def test_what_cannot_be_exported_is_refused(how: How, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_formats(how.decoded())


def test_a_tokenizer_saved_by_transformers_5_gets_the_files_of_older_runtimes(prepared: Path, tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    folder.mkdir()
    (source / "tokenizer.json").write_bytes((prepared / "tokenizer/tokenizer.json").read_bytes())
    (source / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
    write_tokenizer(source, folder, 64)
    assert (folder / "vocab.txt").read_bytes() == (prepared / "tokenizer/vocab.txt").read_bytes()
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "BertTokenizer" and settings["do_lower_case"] is True
    assert settings["mask_token"] == "[MASK]" and settings["model_max_length"] == 64
    lines = lines_like((folder / "vocab.txt").read_text().split("\n"), 300)
    assert set(compare(source, folder, lines).values()) == {300}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "do_lower_case": False}))
    with pytest.raises(ValueError, match=r"export refused: .* cuts .* into"):
        compare(source, folder, lines)
    (folder / "vocab.txt").write_text("[PAD]\n")
    with pytest.raises(ValueError, match=r"vocab.txt lists other tokens"):
        compare(source, folder, lines)
