"""`kmask prepare verify`: every byte and array of a prepared folder checked again, and what to do about damage."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from launch.shell.console import Bar
from launch.shell.exit_codes import DONE, USER_ERROR

SHOWN_PROBLEMS, SHOWN_PLACES = 100, 6


def verify_folder(folder: Path) -> int:
    """Tell whether a prepared folder is as it was made; the exit code says so too."""
    from data_prep.preparing.verification import verify

    bar = Bar("verify", "bytes")
    try:
        problems = list(verify(folder, lambda done, total: bar.update(done, total, f"{done / 1e6:,.1f} MB")))
    finally:
        bar.close()
    if not problems:
        shards = json.loads((folder / "manifest.json").read_bytes())["shards"]
        documents = sum(shard["documents"] for shard in shards)
        print(f"{folder}: {len(shards):,} shard(s) with {documents:,} documents are as they were made")
        return DONE
    print(f"error: {folder}: {len(problems):,} problem(s)", file=sys.stderr)
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"  {problem}", file=sys.stderr)
    if len(problems) > SHOWN_PROBLEMS:
        print(f"  ... and {len(problems) - SHOWN_PROBLEMS:,} more", file=sys.stderr)
    print(f"  {remedy(problems)}", file=sys.stderr)
    return USER_ERROR


def remedy(problems: Sequence[str]) -> str:
    """What to do about them."""
    places = (problem.partition(":")[0].split("/") for problem in problems if problem.startswith("parts/"))
    damaged = sorted({"/".join(place[:2]) for place in places})
    damaged += ["tokenizer"] if any(problem.startswith("tokenizer") for problem in problems) else []
    if not damaged:
        return "Run `kmask prepare CONFIG` again."
    shown = ", ".join(damaged[:SHOWN_PLACES]) + (" ..." if len(damaged) > SHOWN_PLACES else "")
    return f"Delete {shown} and run `kmask prepare CONFIG` again: it makes what is missing."
