"""Checkpoints: complete or absent, replaced when damaged, counted only when valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pretrain.feed.sampling import Cursor
from pretrain.state import checkpoint
from pretrain.state import store as store_module
from pretrain.state.checkpoint import Snapshot, load
from pretrain.state.growing import fitted, fitted_moment
from pretrain.state.store import Store

TENSORS = {"w": torch.arange(4.0), "w#exp_avg": torch.ones(4), "w#step": torch.tensor(7)}


def make_state(step: int) -> checkpoint.State:
    return checkpoint.State(
        step=step,
        stage=0,
        cursors={"a/b": Cursor(1, 2, 3, 4)},
        shares={"a/b": 0.1 + 0.2},
        done=[{"name": "one", "steps": step, "tasks": {"knowledge_masking": 1.0}}],
        learned=["knowledge_masking"],
        fingerprints={"a": "f"},
        config={"seed": 1},
        encoder={},
        seen={"tokens": 1.0, "seconds": 2.0, "skipped": 0.0, "pooled": 0.0},
    )


def save(
    folder: Path, *steps: int, keep: int = 2, tensors: dict[str, torch.Tensor] = TENSORS, told: list[str] | None = None
) -> Store:
    store = Store(folder, keep, (told if told is not None else []).append)
    for step in steps:
        store.save(Snapshot(state=make_state(step), tensors=tensors))
    return store


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def flip(file: Path, place: int = -1) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_checkpoints_round_trip_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3)
    assert names(tmp_path) == ["step-00000002", "step-00000003"]
    found = checkpoint.latest(tmp_path, print)
    assert found is not None and found.state == make_state(3)
    assert all(torch.equal(found.tensors()[name], tensor) for name, tensor in TENSORS.items())
    assert "w#step" not in found.tensors(optimizer=False)


@pytest.mark.parametrize(
    "damage", ["altered", "cut", "missing", "no state", "altered state", "another step", "empty folder", "other format"]
)
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path, damage: str) -> None:
    save(tmp_path, 1, 2)
    folder = tmp_path / "step-00000002"
    if damage == "another step":
        (tmp_path / "step-00000002").rename(tmp_path / "step-00000009")
        folder = tmp_path / "step-00000009"
    elif damage == "empty folder":
        folder = tmp_path / "step-00000003"
        folder.mkdir()
    elif damage == "altered state":
        value = json.loads((folder / "state.json").read_text())
        value["cursors"]["a/b"]["row"] = 4
        (folder / "state.json").write_text(json.dumps(value))
    elif damage == "other format":
        (folder / "state.json").write_text('{"version": 1}')
    elif damage == "altered":
        flip(folder / "optimizer.safetensors")
    elif damage == "cut":
        (folder / "optimizer.safetensors").write_bytes((folder / "optimizer.safetensors").read_bytes()[:-10])
    else:
        (folder / ("state.json" if damage == "no state" else "model.safetensors")).unlink()
    told: list[str] = []
    found = checkpoint.latest(tmp_path, told.append)
    assert found is not None and found.state.step == (2 if damage == "empty folder" else 1)
    assert len(told) == 1 and folder.name in told[0]


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_set_aside_when_its_step_is_saved_again(tmp_path: Path, file: str) -> None:
    save(tmp_path, 1, 2)
    flip(tmp_path / "step-00000002" / file, 40)
    told: list[str] = []
    save(tmp_path, 2, told=told)
    assert names(tmp_path) == ["step-00000001", "step-00000002", "step-00000002.damaged"]
    assert load(tmp_path / "step-00000002").state == make_state(2) and "step-00000002.damaged" in told[0]
    flip(tmp_path / "step-00000002" / file, 40)
    save(tmp_path, 2)
    assert "step-00000002.damaged1" in names(tmp_path)


def test_a_whole_checkpoint_of_the_same_step_is_replaced_by_the_state_in_hand(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    other = {**TENSORS, "w": torch.arange(4.0) + 1}
    save(tmp_path, 2, tensors=other)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]
    assert torch.equal(load(tmp_path / "step-00000002").tensors()["w"], other["w"])


def test_damaged_and_foreign_folders_are_neither_counted_nor_deleted(tmp_path: Path) -> None:
    for name in ("step-00000014-good", "step-good", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-00000001.txt").write_text("mine")
    (tmp_path / "step-00000099").mkdir()  # named like one, but empty
    foreign = names(tmp_path)
    store = save(tmp_path, 1, 2, 3, keep=2)
    flip(tmp_path / "step-00000003" / "optimizer.safetensors")
    store.save(Snapshot(state=make_state(4), tensors=TENSORS))
    assert names(tmp_path) == sorted([*foreign, "step-00000002", "step-00000003", "step-00000004"])
    store.save(Snapshot(state=make_state(5), tensors=TENSORS))
    assert names(tmp_path) == sorted([*foreign, "step-00000003", "step-00000004", "step-00000005"])


def test_the_checkpoint_just_written_is_never_pruned(tmp_path: Path) -> None:
    """A run that went back writes lower steps than those that lie there."""
    save(tmp_path, 7, 8, keep=2)
    save(tmp_path, 3, keep=2)
    assert "step-00000003" in names(tmp_path)


def test_all_files_of_a_checkpoint_have_one_mode_and_staging_of_any_host_goes(tmp_path: Path) -> None:
    (tmp_path / ".staging-step-00000001@gone.example@77@abc").mkdir()
    save(tmp_path, 1)
    assert names(tmp_path) == ["step-00000001"]
    assert len({file.stat().st_mode for file in (tmp_path / "step-00000001").iterdir()}) == 1


def test_a_full_disk_is_an_oserror_and_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    store = save(tmp_path, 1, 2)

    def full(*_: Any, **__: Any) -> None:
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        store.save(Snapshot(state=make_state(3), tensors=TENSORS))
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_a_checkpoint_that_a_kill_caught_between_two_names_gets_its_own_back(tmp_path: Path) -> None:
    store = save(tmp_path, 1, 2)
    (tmp_path / "step-00000002").rename(tmp_path / "step-00000002.replaced")
    found = store.latest()
    assert found is not None and found.state.step == 2 and names(tmp_path) == ["step-00000001", "step-00000002"]


def test_a_rename_that_fails_leaves_the_checkpoint_of_this_step_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = save(tmp_path, 1, 2)
    rename = Path.rename

    def fail(self: Path, target: Any) -> Path:
        if self.name.startswith(".staging"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="No space"):
        store.save(Snapshot(state=make_state(2), tensors=TENSORS))
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_pruning_never_leaves_half_a_checkpoint_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module.shutil, "rmtree", lambda *_, **__: None)  # killed before anything is deleted
    save(tmp_path, 1, 2, 3)
    assert [name for name in names(tmp_path) if name.startswith("step")] == ["step-00000002", "step-00000003"]


def test_a_table_with_fewer_rows_is_extended_and_nothing_else() -> None:
    grown = fitted(torch.ones(2, 3), torch.full((4, 3), 5.0))
    assert grown.tolist() == [[1, 1, 1], [1, 1, 1], [5, 5, 5], [5, 5, 5]]
    for shape in ((3, 3, 3), (1, 3), (2, 4)):
        with pytest.raises(ValueError, match="does not fit"):
            fitted(torch.ones(2, 3), torch.ones(shape))


def test_a_new_row_has_no_first_moment_and_the_others_mean_as_second() -> None:
    assert fitted_moment(None, torch.Size([2]), False).tolist() == [0, 0]
    moments = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert fitted_moment(moments, torch.Size([3, 2]), False)[2].tolist() == [0, 0]
    assert fitted_moment(moments, torch.Size([3, 2]), True)[2].tolist() == [2, 3]
