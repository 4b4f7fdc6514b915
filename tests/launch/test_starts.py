"""Starts of a run: recorded, watched, stopped, started again, and no oftener than it helps."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from launch.backends import Command, Session, Start
from launch.backends._variables import read_variables
from launch.backends.local import Local
from launch.cluster import starts
from launch.processes.enter import enter

SCRIPT = """
import json, os, sys, time
from pathlib import Path
run = Path(os.environ["KMASK_RUN"])
number = len(list((run / "attempts").iterdir()))
{body}
"""


class Scripted(Local):
    """Ranks that run a script."""

    body = ""

    def commands(self, start: Start) -> list[Command]:
        code = SCRIPT.format(body=self.body)
        return [Command([sys.executable, "-c", code], {"RANK": str(rank)}) for rank in range(self.count())]


def run(body: str, output: Path, **settings: Any) -> int:
    kind = type("Kind", (Scripted,), {"body": body})
    return starts.run(kind(processes=1, **settings), ["train"], output, {"seed": 1}, 600.0)


SAVE = '(run / f"checkpoints/step-{number:08d}").mkdir(parents=True)\n'


def test_every_start_is_recorded_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "do not tell")
    assert run("", tmp_path / "run", environment={"MY_FLAG": "1"}) == 0
    (attempt,) = (tmp_path / "run/attempts").iterdir()
    assert attempt.name.startswith("0001-")
    assert json.loads((attempt / "start.json").read_text())["environment"]["MY_FLAG"] == "1"
    assert json.loads((attempt / "configuration.json").read_text()) == {"seed": 1}
    assert json.loads((attempt / "versions.json").read_text())["torch"]
    assert sys.executable in (attempt / "command.txt").read_text()
    assert not any("do not tell" in file.read_text() for file in attempt.iterdir())


def test_a_run_that_fails_is_started_again_while_it_saves_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(SAVE + "sys.exit(0 if number == 4 else 1)", tmp_path / "run", max_restarts=9) == 0
    assert len(list((tmp_path / "run/attempts").iterdir())) == 4
    told = capsys.readouterr().err
    assert "starting again (3 of 9), the newest checkpoint is step 3" in told


def test_starts_that_save_nothing_new_come_to_an_end_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("sys.exit(1)", tmp_path / "run", max_restarts=9) == 1
    assert len(list((tmp_path / "run/attempts").iterdir())) == 2
    assert "2 starts in a row saved nothing new" in capsys.readouterr().err


def test_no_more_restarts_than_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SAVE + "sys.exit(1)", tmp_path / "run", max_restarts=1) == 1
    assert len(list((tmp_path / "run/attempts").iterdir())) == 2
    assert "failed 2 times (max_restarts: 1); the newest checkpoint is step 2" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 2, 5])
def test_what_a_restart_cannot_mend_is_not_started_again(tmp_path: Path, code: int) -> None:
    assert run(f"sys.exit({code})", tmp_path / "run", max_restarts=3) == code
    assert len(list((tmp_path / "run/attempts").iterdir())) == 1


def test_a_request_to_stop_reaches_processes_elsewhere_through_the_run_and_is_no_failure(tmp_path: Path) -> None:
    """The session has no process of ours; the file alone tells them."""
    body = "while not (run / 'ranks' / os.environ['KMASK_ATTEMPT'] / 'stop').exists(): time.sleep(.05)\nsys.exit(5)"
    kind = type("Kind", (Scripted,), {"body": "import signal; signal.signal(15, signal.SIG_IGN)\n" + body})
    timer = threading.Timer(1.0, lambda: signal.raise_signal(signal.SIGTERM))
    timer.start()
    assert starts.run(kind(processes=1), ["train"], tmp_path / "run", {}, 600.0) == 5


def test_silence_ends_a_start_everywhere_and_the_next_one_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {
        **{"rank": 0, "host": "b", "process": 1, "started": 1, "pulse": 5, "doing": "step", "step": 3, "seconds": 9.9},
        **{"longest": 0.1, "long": False, "code": None, "text": "", "lost": False, "world": 1, "total": 9, "spent": {}},
    }
    body = (
        f"told = {{**{told!r}, 'attempt': os.environ['KMASK_ATTEMPT']}}\n"
        "if number > 1: sys.exit(0)\n"
        + SAVE
        + "(run / 'ranks' / os.environ['KMASK_ATTEMPT'] / 'rank-0.json').write_text(json.dumps(told)); time.sleep(300)"
    )
    assert run(body, tmp_path / "run", max_restarts=1, quiet_seconds=1.0) == 0
    said = capsys.readouterr().err
    assert "rank 0 on b has been in step 3 for 10 s. Ending the run on all machines" in said


class Away(Scripted):
    """Machines of which one has gone."""

    allowed = True

    def unreachable(self) -> list[str]:
        return ["b"]

    def enough(self, left_out: Any) -> bool:
        return self.allowed

    def begin(self, start: Start) -> Session:
        (start.folder / "without").write_text(",".join(start.left_out))
        return super().begin(start)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_machine_that_stays_away_is_left_out_where_that_is_allowed(
    allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(starts, "BACK_SECONDS", 0.5)
    kind = type("Kind", (Away,), {"allowed": allowed, "body": SAVE + "sys.exit(number == 1)"})
    code = starts.run(kind(processes=1, max_restarts=3), ["train"], tmp_path, {}, 600.0)
    attempts = sorted((tmp_path / "attempts").iterdir())
    if allowed:
        assert code == 0 and (attempts[1] / "without").read_text() == "b"
        assert "without b" in capsys.readouterr().err
    else:
        assert code == 1 and len(attempts) == 1 and "b does not answer" in capsys.readouterr().err


def test_a_process_elsewhere_finds_what_it_needs_in_the_run(tmp_path: Path) -> None:
    attempt = tmp_path / "run/attempts/0001-x"
    attempt.mkdir(parents=True)
    keys = tmp_path / "keys"
    keys.write_text("# for a service\nWANDB_API_KEY=a b$c\n")
    keys.chmod(0o600)
    hostile = ["train", "a b.yaml", "x='$(touch hit)';`id`"]
    value = {"arguments": hostile, "environment": {"A": "$B; x"}, "python": "/py thon", "folder": str(tmp_path)}
    (attempt / "start.json").write_text(json.dumps({**value, "environment_file": str(keys)}))
    argv, variables, place = enter(attempt, {"PATH": "/bin", "A": "old"})
    assert argv == ["/py thon", "-m", "launch.cli", *hostile] and place == str(tmp_path)
    assert variables["A"] == "$B; x" and variables["WANDB_API_KEY"] == "a b$c" and variables["PATH"] == "/bin"
    assert (variables["KMASK_ATTEMPT"], variables["KMASK_RUN"]) == ("0001-x", str(tmp_path / "run"))


def test_a_run_that_is_not_shared_is_told_with_the_machine(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="must be on a disk that all machines share"):
        enter(tmp_path / "attempts/0001-x", {})


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("A=1")
    keys.chmod(0o644)
    with pytest.raises(ValueError, match="chmod 600"):
        read_variables(keys)
    keys.chmod(0o600)
    assert read_variables(keys) == {"A": "1"}
    keys.write_text("A\n")
    with pytest.raises(ValueError, match="line 1: write NAME=value"):
        read_variables(keys)
    with pytest.raises(ValueError, match="no such file"):
        read_variables(tmp_path / "none")
