"""The files of a finished part: how its shards are described, its lists, and whether it is complete on disk.

parts/000003/  train.arrow  heldout.arrow  (discourse.arrow)  rejected.jsonl  tally.json
               part.json (counts, shards with sizes and hashes)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.counting.tallies import TALLY
from data_prep.encoded import EncodedBlock
from data_prep.files import read_json, sha256_file, write_atomic
from data_prep.preparing.part_content import PartContent
from data_prep.preparing.reading import REJECTED

PART = "part.json"


def described(file: Path, path: str, split: str, items: Sequence[EncodedBlock]) -> dict[str, Any]:
    """A shard as reports list it; ``path`` counts from the prepared folder."""
    return {
        "path": path,
        "split": split,
        "documents": sum(map(len, items)),
        "tokens": sum(len(item.token_ids[0]) for item in items),
        "sha256": sha256_file(file),
        "size": file.stat().st_size,
    }


def write_lists(folder: Path, content: PartContent) -> None:
    """Write the documents that were set aside and the tally."""
    lines = ({**item.place._asdict(), "reason": item.reason, "detail": item.detail} for item in content.rejected)
    write_atomic(folder / REJECTED, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    write_atomic(folder / TALLY, json.dumps(content.tally.plain(), ensure_ascii=False))


def complete_report(prepared: Path, folder: Path, fingerprint: str, thorough: bool = False) -> dict[str, Any] | None:
    """The report of a part under this fingerprint whose files are all there, else None.

    Shards are known by their sizes; ``thorough``: by their hashes.
    """
    try:
        report: dict[str, Any] = read_json(folder / PART)
        if report["fingerprint"] != fingerprint or not all((folder / name).is_file() for name in (REJECTED, TALLY)):
            return None
        for shard in report["shards"]:
            file = prepared / shard["path"]
            if file.stat().st_size != shard["size"] or (thorough and sha256_file(file) != shard["sha256"]):
                return None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return report
