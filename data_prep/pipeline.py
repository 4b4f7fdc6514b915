"""Raw files -> a prepared folder, exactly once.

    1. survey   read every file once: hash, size, slices that begin at documents
    2. plan     an immutable plan.json: settings, content hashes, parts; a different plan for the same folder is refused
    3. tokenizer  trained on the cleaned corpus or copied; also made once
    4. parts    each part -> parts/NNNNNN/, staged, fsynced, renamed; finished parts are skipped
    5. finish   manifest.json and rejected.jsonl from the parts' own reports

A part is a pure function of (plan, part number), so killing, repeating and running twice all end in the same bytes.

    kmask prepare configs/data/demo.yaml
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.documents import Document
from data_prep.files import remove_staging, staged_folder, write_atomic, write_json
from data_prep.parts import PartWorker
from data_prep.plan import Listener, Preparation, Progress, adopt_plan, make_plan
from data_prep.shards import MANIFEST, SCHEMA_VERSION


def sample_texts(worker: PartWorker, limit: int, listen: Listener) -> Iterator[str]:
    """Cleaned texts for vocabulary training: all of them, or every n-th part when the corpus is larger than ``limit`` characters."""
    total = sum(item["size"] for item in worker.plan["inputs"])
    parts = len(worker.plan["parts"])
    step = max(1, total // (2 * limit))  # at about two bytes a character
    read = 0
    for part in range(0, parts, step):
        for document in worker.documents(part):
            if isinstance(document, Document):
                read += len(document.text)
                yield document.text
        listen(Progress("vocabulary", part + 1, parts, 0, 0))
        if read > limit:
            return


def prepare(preparation: Preparation, listen: Listener) -> dict[str, Any]:
    """Do everything that is not done yet and return the manifest.

    Raises:
        ValueError, OSError: something the user can put right; finished parts stay.
    """
    folder = Path(preparation.output)
    plan = make_plan(preparation, listen)
    if not plan["parts"]:
        raise ValueError(f"the corpus is empty: {len(plan['paths'])} file(s), no text in any of them ({', '.join(plan['paths'][:3])})")
    adopt_plan(folder, plan)
    remove_staging(folder)
    worker = PartWorker(preparation=preparation, plan=plan, folder=folder)
    if not (folder / "tokenizer").is_dir():
        with staged_folder(folder / "tokenizer") as staging:
            preparation.vocabulary.make(staging, sample_texts(worker, preparation.vocabulary.train_characters, listen))
    _ = worker.tokenizer.special_ids
    total = sum(item["size"] for item in plan["inputs"])
    reports: dict[int, dict[str, Any]] = {}
    done = documents = rejected = 0
    (folder / "parts").mkdir(exist_ok=True)
    remove_staging(folder / "parts")
    for report in preparation.engine.run(worker, range(len(plan["parts"]))):
        reports[report["part"]] = report
        done += report["bytes"]
        documents += sum(shard["documents"] for shard in report["shards"])
        rejected += len(report["rejected"])
        listen(Progress("parts", done, total, documents, rejected))
    return finish(worker, [reports[part] for part in sorted(reports)])


def empty_files(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Inputs without a single byte, listed like documents that were set aside."""
    empty = [path for path, item in zip(plan["paths"], plan["inputs"], strict=True) if not item["size"]]
    return [{"path": path, "line": 1, "offset": 0, "reason": "empty file", "detail": "no bytes in it"} for path in empty]


def finish(worker: PartWorker, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Write manifest.json and rejected.jsonl."""
    counts: Counter[str] = Counter()
    rejected = [item for report in reports for item in report["rejected"]] + empty_files(worker.plan)
    for report in reports:
        counts.update(report["counts"])
    counts.update({f"rejected.{reason}": count for reason, count in Counter(item["reason"] for item in rejected).items()})
    shards = [shard for report in reports for shard in report["shards"]]
    if not shards:
        first = f" First reason: {rejected[0]['path']}:{rejected[0]['line']}: {rejected[0]['reason']} ({rejected[0]['detail']})." if rejected else ""
        raise ValueError(f"no usable document in the whole corpus ({len(rejected)} set aside).{first}")
    tokenizer = worker.tokenizer
    manifest = {
        "schema": SCHEMA_VERSION,
        "fingerprint": worker.plan["fingerprint"],
        "tokenizer": {"vocabulary_sha256": tokenizer.vocabulary_sha256, "rules_sha256": tokenizer.rules_sha256, "size": len(tokenizer.tokens)},
        "settings": worker.plan["settings"],
        "levels": worker.preparation.levels,
        "labels": worker.plan["labels"],
        "shards": shards,
        "counts": dict(sorted(counts.items())),
    }
    write_atomic(worker.folder / "rejected.jsonl", "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in rejected))
    write_json(worker.folder / MANIFEST, manifest)
    return manifest
