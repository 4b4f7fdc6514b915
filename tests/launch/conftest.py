"""What tests of the command line have in common."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command within a test is no rank, even where an earlier file made this process one: it would end the process."""
    monkeypatch.setattr("launch.cli.has_joined", lambda: False)
