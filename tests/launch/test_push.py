"""`kmask push` against a stand-in of the hub: what it sends, what it sends again, and what it refuses to send."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_stand_in import Hub, serving
from in_process import Result, command

from pretrain.state.sealing import seal

Kmask = Callable[..., Result]


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kmask:
    return command(monkeypatch, capsys)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in; waiting between tries of the same request takes no time."""
    import huggingface_hub.utils._http as http

    found = Hub()
    monkeypatch.setenv("HF_TOKEN", found.token)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(http, "time", SimpleNamespace(sleep=lambda seconds: None, time=lambda: 0.0))
    with serving(found):
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As `kmask export` seals one."""
    exported = tmp_path / "model"
    (exported / "onnx").mkdir(parents=True)
    (exported / "README.md").write_text("---\nlicense: mit\n---\n# toy\n")
    (exported / "config.json").write_text("{}")
    (exported / "model.safetensors").write_bytes(bytes(range(256)) * 4000)
    (exported / "onnx/model.onnx").write_bytes(b"graph")
    seal(exported, {"verified": {"AutoModel": 0.0}})
    return exported


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def push(kmask: Kmask, hub: Hub, folder: Path, *more: object) -> Result:
    return kmask("push", folder, "me/toy", "--endpoint", hub.endpoint, *more)


def test_a_repository_gets_every_file_once_and_a_second_push_sends_nothing(
    kmask: Kmask, hub: Hub, folder: Path
) -> None:
    planned = push(kmask, hub, folder, "--dry-run", "--json")
    assert planned.code == 0 and len(json.loads(planned.out)["uploaded"]) == 5 and not hub.repositories
    done = push(kmask, hub, folder)
    assert done.code == 0, done.err
    assert hub.repositories["me/toy"] == content(folder) and hub.commits == 1
    assert hub.token not in done.out + done.err + json.dumps(hub.asked)
    again = push(kmask, hub, folder)
    assert again.code == 0 and "0 files uploaded, 5 were there; nothing had changed" in again.out and hub.commits == 1
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# better words\n")
    changed = json.loads(push(kmask, hub, folder, "--json").out)
    assert changed["uploaded"] == ["README.md"] and len(changed["kept"]) == 4
    assert hub.repositories["me/toy"] == content(folder)


def test_a_connection_that_breaks_off_leaves_the_repository_as_it_was_and_large_files_are_not_sent_again(
    kmask: Kmask, hub: Hub, folder: Path
) -> None:
    hub.breaks = {"PUT ": 99}
    broken = push(kmask, hub, folder)
    assert broken.code == 2 and "broke off" in broken.err and "run the same command again" in broken.err
    assert "signature" not in broken.err and hub.token not in broken.err
    assert hub.repositories == {"me/toy": {}} and not hub.large
    hub.breaks = {"POST /api/models/me/toy/commit": 99}
    assert push(kmask, hub, folder).code == 2
    assert hub.repositories == {"me/toy": {}} and len(hub.large) == 1
    hub.breaks, hub.asked = {}, []
    assert push(kmask, hub, folder).code == 0
    assert hub.repositories["me/toy"] == content(folder) and not [item for item in hub.asked if item.startswith("PUT")]


def test_a_short_break_is_not_even_noticed(kmask: Kmask, hub: Hub, folder: Path) -> None:
    hub.breaks = {"PUT ": 1}
    assert push(kmask, hub, folder).code == 0
    assert hub.repositories["me/toy"] == content(folder)


def test_without_a_token_that_may_write_the_message_says_how_to_get_one(
    kmask: Kmask, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    done = push(kmask, hub, folder)
    assert done.code == 2 and "hf auth login" in done.err and "hf_another" not in done.err
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in push(kmask, hub, folder).err


def test_what_was_not_verified_is_not_pushed(kmask: Kmask, hub: Hub, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/config.json").write_text("{}")
    assert "training_manifest.json is missing" in push(kmask, hub, tmp_path / "plain").err
    assert "no such folder" in push(kmask, hub, tmp_path / "nowhere").err
    (folder / "notes.txt").write_text("mine")
    assert "so not uploaded: notes.txt" in push(kmask, hub, folder, "--dry-run").err
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + b"?")
    assert "model.safetensors was altered" in push(kmask, hub, folder).err
    (folder / "model.safetensors").unlink()
    assert "model.safetensors is missing" in push(kmask, hub, folder).err
    manifest = json.loads((folder / "training_manifest.json").read_text())
    manifest["files"] = {"../plain/config.json": [2, "x"]}
    (folder / "training_manifest.json").write_text(json.dumps(manifest))
    assert "which is not in the folder" in push(kmask, hub, folder).err
    (folder / "training_manifest.json").write_text(json.dumps({"learned": []}))
    done = push(kmask, hub, folder)
    assert done.code == 2 and "does not list its files" in done.err and not hub.asked[1:]
