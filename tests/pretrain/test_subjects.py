"""Models as evaluations read them: from every kind of folder, with the states that plain transformers has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bert_folders import write_bert
from saved_run import save_run

from data_prep.encoding import Tokenizer
from data_prep.vocabularies.vocabulary import adopt
from pretrain.evaluation.inputs import Ids, flat
from pretrain.evaluation.subjects import Subject, identity, open_subject

KINDS = ("bert", "ernie")


def samples() -> list[Ids]:
    random = np.random.default_rng(0)
    return [np.array([2, *random.integers(10, 400, length), 3]) for length in (1, 30, 7, 7, 62)]


@pytest.fixture(scope="module")
def folders(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """A folder and the model of transformers in it, by kind."""
    root = tmp_path_factory.mktemp("folders")
    more: dict[str, dict[str, Any]] = {"ernie": {"use_task_id": True, "task_type_vocab_size": 3}}
    return {
        kind: (root / kind, write_bert(root / kind, prepared / "tokenizer", kind, **more.get(kind, {})))
        for kind in KINDS
    }


def states(subject: Subject) -> torch.Tensor:
    return subject.hidden(flat(samples(), [np.arange(len(ids)) > len(ids) // 2 for ids in samples()]))


@pytest.mark.parametrize("kind", KINDS)
def test_packed_states_and_logits_are_those_of_transformers_one_by_one(
    folders: dict[str, tuple[Path, Any]], kind: str
) -> None:
    folder, plain = folders[kind]
    subject = open_subject("one", folder)
    assert (subject.width, subject.layers, subject.longest, subject.pooler) == (32, 2, 64, True)
    found_TD, begin = states(subject), 0
    assert not found_TD.requires_grad and subject.head is not None
    for ids in samples():
        segments = torch.from_numpy(np.arange(len(ids)) > len(ids) // 2).long()[None]
        wanted = plain(torch.from_numpy(ids)[None], token_type_ids=segments, output_hidden_states=True)
        here_TD = found_TD[begin : begin + len(ids)]
        assert torch.allclose(here_TD, wanted.hidden_states[-1][0], atol=1e-5)
        assert torch.allclose(subject.head(here_TD), wanted.prediction_logits[0], atol=1e-5)
        begin += len(ids)


def test_a_run_a_checkpoint_of_it_and_its_export_are_the_same_model(
    tiny_run: Path, tmp_path: Path, prepared: Path
) -> None:
    from launch.outcomes.exporting import run_export

    run = save_run(tiny_run, (6, 8))
    newest = open_subject("run", run)
    checkpoint = open_subject("checkpoint", run / "checkpoints/step-00000008")
    assert run_export(run, tmp_path / "out", [], None, "", [], False, False) == 0
    exported = open_subject("export", tmp_path / "out")
    wanted_TD = states(newest)
    for subject in (checkpoint, exported, open_subject("checkpoints", run / "checkpoints")):
        assert torch.allclose(states(subject), wanted_TD, atol=1e-5), subject.name
        assert subject.head is not None and subject.pooler and subject.tokenizer.tokens == newest.tokenizer.tokens
        assert torch.allclose(subject.head(wanted_TD), newest.head(wanted_TD), atol=1e-5)  # type: ignore[misc]
    earlier = open_subject("earlier", run / "checkpoints/step-00000006")
    assert not torch.allclose(states(earlier), wanted_TD, atol=1e-3)
    names = [run, run / "checkpoints", run / "checkpoints/step-00000008"]
    assert len({identity(path) for path in names}) == 1
    assert len({identity(path) for path in (run, tmp_path / "out", run / "checkpoints/step-00000006")}) == 3
    state = run / "checkpoints/step-00000008/model.safetensors"
    state.write_bytes(state.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"name another checkpoint\n.*step-00000008 is not usable"):
        open_subject("run", run)


def test_a_folder_with_no_more_than_a_vocab_txt_is_read_with_the_tokenizer_it_is_given(
    folders: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        shutil.copy(folders["bert"][0] / name, folder / name)
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        open_subject("old", folder)
    adopt(folder, tmp_path / "made")
    subject = open_subject("old", folder, Tokenizer(folder=tmp_path / "made"))
    assert torch.equal(states(subject), states(open_subject("new", folders["bert"][0])))
    assert identity(folder) != identity(folders["bert"][0])  # it cuts text by files that the other one has not


def test_a_model_without_head_or_pooler_says_so_and_its_pooler_is_always_the_same(
    folders: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    shutil.copytree(folders["bert"][0], tmp_path / "bare")
    from safetensors.torch import load_file, save_file

    file = tmp_path / "bare/model.safetensors"
    kept = {name: value for name, value in load_file(file).items() if "cls." not in name and "pooler" not in name}
    save_file(kept, file, {"format": "pt"})
    first, again = open_subject("bare", tmp_path / "bare"), open_subject("bare", tmp_path / "bare")
    assert first.head is None and not first.pooler
    weights = [subject.encoder.get_parameter("pooler.dense.weight") for subject in (first, again)]
    assert torch.equal(weights[0], weights[1]) and float(weights[0].detach().std()) == pytest.approx(0.02, rel=0.1)
    del kept["bert.encoder.layer.1.attention.self.query.bias"]
    save_file(kept, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"lack encoder\.layer\.1\.attention\.self\.query\.bias"):
        open_subject("bare", tmp_path / "bare")


def test_a_copy_to_train_is_no_part_of_the_model(folders: dict[str, tuple[Path, Any]]) -> None:
    subject = open_subject("one", folders["bert"][0])
    before_TD, copy = states(subject), subject.fresh_encoder()
    with torch.no_grad():
        for parameter in copy.parameters():
            assert parameter.requires_grad
            parameter.zero_()
    assert torch.equal(states(subject), before_TD)


def test_what_is_no_model_is_named(tmp_path: Path, folders: dict[str, tuple[Path, Any]]) -> None:
    for path, said in ((tmp_path / "none", "no such folder"), (tmp_path, "neither checkpoints of a run nor")):
        with pytest.raises(ValueError, match=said):
            identity(path)
    (tmp_path / "run/checkpoints/step-00000004").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"step-00000004 has no state\.json"):
        identity(tmp_path / "run")
    before = identity(folders["bert"][0])
    (folders["bert"][0] / "README.md").write_text("a note")
    assert identity(folders["bert"][0]) == before
