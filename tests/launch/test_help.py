"""`kmask --version`, and help that reads like a table of contents."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import commands
import pytest
from in_process import Result, command


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run `kmask <arguments>` in this process."""
    return command(monkeypatch, capsys)


def test_the_version_is_that_of_the_package(kmask: Callable[..., Result]) -> None:
    assert kmask("--version") == Result(0, f"kmask {version('kmask')}\n", "")


def test_the_panels_of_help_stand_in_order_and_hold_every_command(kmask: Callable[..., Result]) -> None:
    text = kmask("--help").out
    panels = re.findall(r"─ (\d)\. ([A-Z][a-z]+) ─", text)
    assert panels == [("1", "Begin"), ("2", "Prepare"), ("3", "Look"), ("4", "Train"), ("5", "Use")]
    assert "─ Commands ─" not in text


@pytest.mark.parametrize(
    ("view", "options", "others"),
    [
        ("document", ["PREPARED", "--number", "--html"], ["--schemes", "KEY=VALUE"]),
        ("shard", ["PREPARED", "--number"], ["--schemes"]),
        ("masks", ["--schemes", "--windows", "--tokens", "--progress"], []),
        ("batch", ["CONFIG", "--number", "KEY=VALUE"], ["--schemes"]),
        ("schedule", ["CONFIG"], ["--number", "--schemes"]),
    ],
)
def test_every_view_has_help_of_its_own(
    view: str, options: list[str], others: list[str], kmask: Callable[..., Result]
) -> None:
    assert re.search(rf"^\W*{view}\s", kmask("show", "--help").out, re.MULTILINE)
    text = kmask("show", view, "--help").out
    assert all(option in text for option in options)
    assert not any(option in text for option in others)


def test_report_has_help_with_its_options(kmask: Callable[..., Result]) -> None:
    text = kmask("report", "--help").out
    assert all(option in text for option in ("RUN...", "--html", "--json", "side by side"))
    assert re.search(r"^\W*report\s", kmask("--help").out, re.MULTILINE)


def test_an_unknown_view_is_refused_with_those_that_there_are(kmask: Callable[..., Result], tmp_path: Path) -> None:
    assert kmask("show", "mask", tmp_path) == Result(
        2, "", "error: show mask: one of document, shard, masks, batch, step, schedule, task\n"
    )


def test_a_start_that_is_refused_leaves_no_folder(tiny_run: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    start = ("train", tiny_run, "--processes", 2, f"data.0.path={tmp_path}/nowhere")
    assert commands.run(*start).returncode == 2
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("mine")
    assert commands.run(*start).returncode == 2
    assert (tmp_path / "run/notes.txt").read_text() == "mine"
