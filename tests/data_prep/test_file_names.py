"""Patterns -> files: each once, and nothing that they name is left out without a word."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from data_prep.corpora.hub_dataset import HubDataset
from data_prep.corpora.jsonl import Jsonl
from data_prep.filtering.evaluation_files import find_evaluation_files as evaluation_files
from data_prep.inputs.file_names import FoundFiles, find_files
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation, make_plan
from data_prep.vocabularies.vocabulary import Vocabulary
from launch.cli import main
from launch.reports.prepared.warning_lines import file_lines


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sound files, and the working directory above them."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps({"id": f"{name}{row}", "text": f"The river {name} {row}."}) + "\n" for row in range(20))
        )
    monkeypatch.chdir(tmp_path)
    return folder


def reasons(found: FoundFiles) -> dict[str, str]:
    return {item.path: item.reason for item in found.left_out}


def test_links_that_lead_nowhere_and_what_is_no_file_are_left_out_with_their_reason(corpus: Path) -> None:
    (corpus / "gone.jsonl").symlink_to("../elsewhere/gone.jsonl")
    (corpus / "loop.jsonl").symlink_to("loop.jsonl")
    os.mkfifo(corpus / "pipe.jsonl")
    (corpus / "folder.jsonl").mkdir()
    found = find_files(["corpus/*.jsonl"])
    assert found.files == [Path("corpus/a.jsonl"), Path("corpus/b.jsonl")]
    assert reasons(found) == dict.fromkeys(["corpus/gone.jsonl", "corpus/loop.jsonl", "corpus/pipe.jsonl"], "no file")
    assert next(item.detail for item in found.left_out) == "a link to ../elsewhere/gone.jsonl, where there is nothing"
    assert len(find_files(["corpus/*.jsonl", "corpus/*"]).left_out) == 3
    with pytest.raises(
        FileNotFoundError,
        match=r"corpus path corpus/g\*: nothing that can be read, such as corpus/gone\.jsonl: no file \(a link to",
    ):
        find_files(["corpus/*.jsonl", "corpus/g*"])


def test_files_and_folders_that_may_not_be_read_are_left_out_with_their_reason(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("closed", "open/closed", "open/other"):
        (corpus / name).mkdir(parents=True)
    (corpus / "open/x.jsonl").write_text("{}")
    allowed = os.access
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode: "closed" not in str(path) and not str(path).endswith("b.jsonl") and allowed(path, mode),
    )
    assert reasons(find_files(["corpus/*.jsonl"])) == {"corpus/b.jsonl": "not readable"}
    assert reasons(find_files(["corpus/**/*.jsonl"])) == dict.fromkeys(
        ["corpus/b.jsonl", "corpus/closed", "corpus/open/closed"], "not readable"
    )
    assert reasons(find_files(["corpus/*/*.jsonl"])) == {"corpus/closed": "not readable"}
    with pytest.raises(FileNotFoundError, match=r"corpus/b\.jsonl: not readable \(no permission to read it\)"):
        find_files(["corpus/b.jsonl"])
    with pytest.raises(
        ValueError, match=r"evaluation file corpus/b\.jsonl: not readable .* its texts would stay in the corpus"
    ):
        evaluation_files(["corpus/*.jsonl"])


def test_a_file_is_read_under_its_first_name_only(corpus: Path, tmp_path: Path) -> None:
    (corpus / "c.jsonl").symlink_to("a.jsonl")
    (tmp_path / "same").symlink_to("corpus")
    os.link(corpus / "b.jsonl", corpus / "d.jsonl")
    (corpus / "like_a.jsonl").write_bytes((corpus / "a.jsonl").read_bytes())
    found = find_files(
        [
            "corpus/b.jsonl",
            "corpus/*.jsonl",
            "corpus/../corpus/a.jsonl",
            "same/a.jsonl",
            str(corpus / "a.jsonl"),
            "corpus/a.jsonl",
        ]
    )
    assert found.files == [Path(f"corpus/{name}.jsonl") for name in ("b", "a", "like_a")]
    assert [name for name, _ in found.again] == [
        "corpus/c.jsonl",
        "corpus/d.jsonl",
        "corpus/../corpus/a.jsonl",
        "same/a.jsonl",
        str(corpus / "a.jsonl"),
    ]
    assert file_lines([found]) == [
        "warning: 5 other name(s) of files that are read already: corpus/c.jsonl (is corpus/a.jsonl), corpus/d.jsonl (is corpus/b.jsonl), "
        f"corpus/../corpus/a.jsonl (is corpus/a.jsonl), same/a.jsonl (is corpus/a.jsonl), {corpus / 'a.jsonl'} (is corpus/a.jsonl)"
    ]
    hub = HubDataset(paths=["corpus", "corpus/../corpus", "same", "corpus"]).found()
    assert hub.files == [Path("corpus")] and len(hub.again) == 2


def test_a_folder_that_holds_itself_is_read_once(corpus: Path) -> None:
    (corpus / "self").symlink_to(".")
    assert find_files(["corpus/**/*.jsonl"]).files == [Path("corpus/a.jsonl"), Path("corpus/b.jsonl")]


def test_a_name_with_brackets_is_a_name(corpus: Path) -> None:
    (corpus / "a[1].jsonl").write_text("{}")
    assert find_files(["corpus/a[1].jsonl"]) == FoundFiles(["corpus/a[1].jsonl"], [2], [], [])


def test_what_is_left_out_is_counted_and_the_command_says_it_by_its_exit_code(
    corpus: Path,
    tmp_path: Path,
    tokenizer_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (corpus / "gone.jsonl").symlink_to("nowhere")
    settings = Preparation(
        output=str(tmp_path / "one"),
        corpora=[Jsonl(paths=["corpus/*.jsonl"])],
        vocabulary=Vocabulary(path=str(tokenizer_folder)),
    )
    fingerprint = make_plan(settings, lambda progress: None).fingerprint
    manifest = prepare(settings, lambda progress: None)
    assert manifest["counts"]["rejected.no file"] == 1 and manifest["fingerprint"] == fingerprint
    (item,) = map(json.loads, (tmp_path / "one/rejected.jsonl").read_text().splitlines())
    assert prepare(settings, lambda progress: None) == manifest
    assert item == {
        "path": "corpus/gone.jsonl",
        "line": 1,
        "offset": 0,
        "reason": "no file",
        "detail": "a link to nowhere, where there is nothing",
    }
    (corpus / "gone.jsonl").unlink()
    assert "rejected.no file" not in prepare(settings, lambda progress: None)["counts"]
    (corpus / "gone.jsonl").symlink_to("nowhere")
    (tmp_path / "data.yaml").write_text(
        f"output: two\ncorpora: [{{kind: jsonl, paths: [corpus/*.jsonl]}}]\nvocabulary: {{path: {tokenizer_folder}}}\n"
    )
    monkeypatch.setattr(sys, "argv", ["kmask", "prepare", "data.yaml"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert (
        "warning: 1 file(s) left out, no file: corpus/gone.jsonl (a link to nowhere, where there is nothing)"
        in capsys.readouterr().err
    )
