"""How a command ended, as its exit code tells a script; the README lists them for users."""

from __future__ import annotations

DONE = 0
FAILED = 1
"""Something unexpected; a traceback says what."""
USER_ERROR = 2
"""Something the user can put right; one message says what."""
SET_ASIDE = 3
"""Done, but documents were set aside."""
STOPPED = 5
"""Stopped on request, after saving."""
INTERRUPTED = 130
"""Ctrl-C, as shells count it: 128 + SIGINT."""
