"""What a user sees while something runs: on terminals of every width, in pipes, without colours."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from tiny import ROOT

from launch.processes.training_console import TrainConsole
from launch.shell import console
from launch.shell.console import Bar, Stages, fitting

LOSSES = {
    "loss/knowledge_masking": 2.345,
    "loss/span_boundary": 1.234,
    "loss/sentence_reordering": 0.987,
    "tokens_per_second": 12345.0,
}
TRAINING = f"""
from launch.processes.training_console import TrainConsole
console = TrainConsole()
console("begin", 0, {{"total": 20, "resumed": False, "world": 2}})
for step in range(1, 21):
    console("train", step, {LOSSES})
console.close()
"""


def on_terminal(code: str, columns: int, **environment: str) -> str:
    """What ``python -c code`` writes on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR", "CI")
    }
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={**kept, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:
            break
        if not block:
            break
        written += block
    assert child.wait() == 0, written
    os.close(ours)
    return written.decode()


def last_line(written: str) -> str:
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    return [line for line in re.split(r"[\r\n]+", plain) if line.strip()][-1]


def test_parts_that_do_not_fit_are_left_out_whole() -> None:
    assert fitting(["abc", "de", "f"], 8) == "abc de f"
    assert fitting(["abc", "de", "f"], 7) == "abc de"
    assert fitting(["北京", "f"], 4) == "北京"
    assert fitting(["abc"], -3) == ""


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_the_bar_keeps_percent_and_time_left_at_every_width_and_drops_losses(columns: int) -> None:
    line = last_line(on_terminal(TRAINING, columns))
    assert re.match(r"train ━+ 100% 0:00:00", line), line
    assert "…" not in line and len(line.rstrip()) <= columns
    assert ("12,345 tokens/s" in line) == (columns == 200)
    assert ("knowledge_masking 2.345" in line) == (columns > 50)


def test_no_color_means_no_escapes() -> None:
    assert "\x1b" in on_terminal(TRAINING, 80)
    written = on_terminal(TRAINING, 80, NO_COLOR="1")
    assert "\x1b" not in written and "train 100% " in written
    for arguments in (["--help"], ["show", "--help"]):
        code = f"import sys; sys.argv = ['kmask', *{arguments}]; from launch.cli import main; main()"
        assert "\x1b" in on_terminal(code, 80)
        assert "\x1b" not in on_terminal(code, 80, NO_COLOR="1")


def test_a_view_has_no_escapes_without_colours(prepared: Path) -> None:
    code = (
        f"import sys; sys.argv = ['kmask', 'show', 'document', {str(prepared)!r}]; from launch.cli import main; main()"
    )
    assert "\x1b" in on_terminal(code, 80)
    assert "\x1b" not in on_terminal(code, 80, NO_COLOR="1")


def test_a_pipe_gets_whole_lines_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe:
        def __init__(self) -> None:
            self.written: list[str] = []

        def write(self, text: str) -> None:
            self.written.append(text)

        def flush(self) -> None:
            pass

        def isatty(self) -> bool:
            return False

    pipe = Pipe()
    monkeypatch.setattr(sys, "stderr", pipe)
    bar = Bar("prepare", "bytes")
    bar.update(0, 0, "", "3 documents")
    bar.update(5, 5, "5 documents,", "0 set aside")
    console = TrainConsole()
    console("begin", 0, {"total": 2, "resumed": False, "world": 1})
    console("train", 2, LOSSES)
    assert pipe.written[:2] == ["prepare 3 documents\n", "prepare 100% 0:00:00 left 5 documents, 0 set aside\n"]
    assert all(text.endswith("\n") and "  " not in text and text.count("\n") == 1 for text in pipe.written)


def test_time_left_is_told_by_the_stage_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    bar = Bar("prepare", "bytes")
    now[0] += 3600  # a survey, a vocabulary
    bar.update(50, 100)
    assert bar.left(50, 100) == ""
    now[0] += 10
    assert bar.left(60, 100) == "0:00:40"


def test_a_short_stage_leaves_no_line_in_a_log_and_a_long_one_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    stages = Stages()
    for done in (1, 2):
        stages.update("survey", done, 2)
    for done in (1, 2, 3):
        now[0] += 11
        stages.update("vocabulary", done, 3)
    assert capsys.readouterr().err.splitlines() == ["vocabulary  67% 0:00:11 left"]
