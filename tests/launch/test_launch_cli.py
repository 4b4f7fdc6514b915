"""The command line: exit codes, and one readable line for everything that the user can put right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import Result, command

from launch.cli import main

GOOD = {"id": "a1", "text": "The river rises in the west. It rained.", "title": "River"}
TOKENS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    ".",
    "the",
    "river",
    "it",
    "in",
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
]


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run `kmask <arguments>` in this process."""
    return command(monkeypatch, capsys)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data configuration that works: one document, a tiny vocabulary."""
    (tmp_path / "vocabulary").mkdir()
    (tmp_path / "vocabulary/vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    (tmp_path / "corpus.jsonl").write_text(json.dumps(GOOD) + "\n")
    config = tmp_path / "data.yaml"
    config.write_text(
        f"output: {tmp_path}/out\ncorpora:\n  - {{kind: jsonl, paths: [{tmp_path}/corpus.jsonl]}}\n"
        f"segmenters: {{en: pretokenizer}}\nvocabulary: {{path: {tmp_path}/vocabulary}}\nheldout: 0\nengine: {{workers: 1}}\n"
    )
    return config


def refused(result: Result) -> str:
    """The one line of a refusal."""
    assert result.code == 2
    assert "Traceback" not in result.out + result.err
    (line,) = result.err.strip().splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


# --- done
# -----------------------------------------------------------------------------------------------------------------------


def test_preparing_a_good_corpus_exits_with_0_and_says_what_was_made(kmask: Callable[..., Result], data: Path) -> None:
    result = kmask("prepare", data)
    assert result.code == 0
    assert f"{data.parent}/out: 1 documents" in result.out
    assert "word:" in result.out
    assert (data.parent / "out/manifest.json").is_file()
    assert kmask("prepare", data).code == 0


def test_preparing_with_one_bad_line_exits_with_3_and_names_it(kmask: Callable[..., Result], data: Path) -> None:
    with (data.parent / "corpus.jsonl").open("a") as file:
        file.write("{oops\n" + json.dumps({**GOOD, "id": "a2"}) + "\n")
    result = kmask("prepare", data)
    assert result.code == 3
    assert "2 documents" in result.out
    assert f"1 document(s) set aside, listed in {data.parent}/out/rejected.jsonl" in result.err
    assert f"{data.parent}/corpus.jsonl:2: not JSON" in result.err
    assert "Traceback" not in result.err
    assert kmask("prepare", data).code == 3


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(kmask: Callable[..., Result], data: Path) -> None:
    before = sorted(data.parent.rglob("*"))
    result = kmask("prepare", data, "--dry-run", "output=elsewhere")
    assert result.code == 0
    assert "1 file(s)" in result.out and "1 part(s)" in result.out and "-> elsewhere" in result.out
    assert sorted(data.parent.rglob("*")) == before


def test_config_show_prints_every_value_with_its_origin(kmask: Callable[..., Result], data: Path) -> None:
    result = kmask("config", "show", data, "heldout=0.5")
    assert result.code == 0
    lines = {line.split(":")[0].strip(): line for line in result.out.splitlines()}
    assert lines["heldout"].split() == ["heldout:", "0.5", "#", "command", "line"]
    assert lines["output"].endswith(f"# {data}:1")
    assert lines["lowercase"].split() == ["lowercase:", "true", "#", "default"]
    assert "kind: jsonl" in result.out


@pytest.mark.parametrize("kind", ["data", "pretrain", "cluster"])
def test_config_schema_prints_json(kind: str, kmask: Callable[..., Result]) -> None:
    result = kmask("config", "schema", kind)
    assert result.code == 0
    assert json.loads(result.out)


@pytest.mark.parametrize("arguments", [["--help"], ["prepare", "--help"], ["config", "--help"]])
def test_help_is_shown(arguments: list[str], kmask: Callable[..., Result]) -> None:
    result = kmask(*arguments)
    assert result.code == 0
    assert "Usage" in result.out


# --- what the user can put right
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [["prepare"], ["config", "show"], ["train", "--dry-run"]])
def test_a_missing_configuration_is_named(verb: list[str], kmask: Callable[..., Result], tmp_path: Path) -> None:
    assert refused(kmask(*verb, tmp_path / "nowhere.yaml")).startswith(
        f"configuration {tmp_path}/nowhere.yaml: no such file"
    )


@pytest.mark.parametrize("verb", [["prepare"], ["config", "show"], ["train", "--dry-run"]])
def test_a_folder_instead_of_a_configuration_is_named(
    verb: list[str], kmask: Callable[..., Result], tmp_path: Path
) -> None:
    assert refused(kmask(*verb, tmp_path)) == f"configuration {tmp_path} is a folder; give the YAML file"


@pytest.mark.parametrize("verb", [["prepare"], ["config", "show"]])
def test_an_unknown_key_is_named_with_its_line(verb: list[str], kmask: Callable[..., Result], data: Path) -> None:
    data.write_text(data.read_text() + "heldotu: 0.1\n")
    line = refused(kmask(*verb, data))
    assert line.startswith(f"{data}:8: heldotu: unknown key; did you mean `heldout`?")
    assert not (data.parent / "out").exists()


def test_a_missing_corpus_is_named(kmask: Callable[..., Result], data: Path) -> None:
    (data.parent / "corpus.jsonl").unlink()
    assert refused(kmask("prepare", data)).startswith(f"corpus path {data.parent}/corpus.jsonl: no such file")
    assert not (data.parent / "out").exists()


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("nonsense", "override 'nonsense': write it as dotted.key=value"),
        ("heldout=2", "command line: heldout: 2.0 must lie in [0, 1)"),
        ("heldout=x", "command line: heldout: input should be a valid number"),
        ("corpora.0.kind=pdf", "command line: corpora.0.kind: unknown kind 'pdf'"),
        ("corpora.3.paths=[x]", "command line: item 3 does not exist"),
        ("engine.workers=-1", "command line: engine.workers: -1 must be 0"),
    ],
)
def test_a_wrong_override_is_named(override: str, complaint: str, kmask: Callable[..., Result], data: Path) -> None:
    assert refused(kmask("prepare", data, override)).startswith(complaint)


def test_several_mistakes_are_told_at_once(kmask: Callable[..., Result], data: Path) -> None:
    result = kmask("prepare", data, "heldout=x", "part_bytes=y", "bogus=1")
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert len(result.err.strip().splitlines()) == 3
    assert "Traceback" not in result.err


def test_an_output_that_is_a_file_is_named(kmask: Callable[..., Result], data: Path) -> None:
    (data.parent / "out").write_text("in the way")
    assert f"{data.parent}/out" in refused_last(kmask("prepare", data))


def refused_last(result: Result) -> str:
    """The last line of a refusal that comes after lines of progress."""
    assert result.code == 2
    assert "Traceback" not in result.err
    line = result.err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


def test_other_settings_for_a_folder_in_use_are_refused(kmask: Callable[..., Result], data: Path) -> None:
    assert kmask("prepare", data).code == 0
    result = kmask("prepare", data, "heldout=0.5")
    assert result.code == 2
    assert "heldout: 0.0 -> 0.5" in result.err
    assert "Nothing was touched" in result.err
    assert "Traceback" not in result.err


def test_an_unknown_schema_name_is_refused(kmask: Callable[..., Result]) -> None:
    assert refused(kmask("config", "schema", "nonsense")) == "'nonsense' is not one of data, pretrain, cluster"


def test_a_broken_yaml_file_is_named_with_its_line(kmask: Callable[..., Result], data: Path) -> None:
    data.write_text("output: x\ncorpora: [\n")
    assert refused(kmask("prepare", data)).startswith(f"{data}:3: not valid YAML")


def test_other_ranks_name_themselves(
    kmask: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "3")
    result = kmask("prepare", tmp_path / "nowhere.yaml")
    assert result.code == 2
    assert result.err.startswith("rank 3: configuration ")


def test_the_debugging_variable_shows_the_traceback(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMASK_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["kmask", "prepare", str(data), "heldout=2"])
    with pytest.raises(ValueError, match="must lie in"):
        main()


def test_units_of_one_type_from_two_origins_are_added_up(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from launch.reports.prepared.summary import summarise

    counts = {"units.entity.LOC.lexicon": 5, "units.entity.LOC.user": 2}
    summarise({"counts": counts, "shards": [], "levels": ["entity"], "tokenizer": {"size": 9}}, tmp_path, 1.0)
    assert "entity: 7 units (LOC 7)" in capsys.readouterr().out


def test_the_command_works_as_a_program_of_its_own(data: Path) -> None:
    data.write_text(data.read_text() + "heldotu: 0.1\n")
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "KMASK_DEBUG")}
    done = subprocess.run(
        [sys.executable, "-m", "launch.cli", "prepare", str(data)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        check=False,
    )
    assert refused(Result(done.returncode, done.stdout, done.stderr)).startswith(f"{data}:8: heldotu: unknown key")
