"""Preparation of one large file: is it linear, is memory bounded, do two workers help?

    python benchmarks/bench_large.py DATA_YAML TOKENIZER [MEGABYTES ...]     (default: 250 and 1000)

A JSONL file of each size is built by repeating the corpus of DATA_YAML (its documents get new ids), plain and gzip, and
prepared by `kmask prepare` with 1 and with 2 workers. Printed: seconds, MB/s, and the peak resident memory of the
largest process.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from data_prep.documents import Record
from data_prep.preparing.plan import Preparation
from launch.settings.components import read_config


def texts(preparation: Preparation) -> list[str]:
    """The raw texts of the corpus, 200 MB of them at most."""
    found, size = [], 0
    for corpus in preparation.corpora:
        for path in corpus.files():
            for piece in corpus.survey(path, 1 << 26).slices:
                for record in corpus.read(piece):
                    if isinstance(record, Record):
                        found.append(record.text)
                        size += len(record.text.encode())
                        if size > 2e8:
                            return found
    return found


def lines(found: list[str], size: float) -> Iterator[bytes]:
    """JSON lines of about ``size`` bytes together, texts repeated in turn."""
    written = 0
    for number in count():
        line = json.dumps({"id": f"d{number}", "text": found[number % len(found)]}, ensure_ascii=False).encode() + b"\n"
        yield line
        written += len(line)
        if written > size:
            return


def resident(process: int) -> int:
    """Resident bytes of a process, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def family(process: int) -> list[int]:
    """A process and all below it."""
    members = [process]
    for member in members:
        for task in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                members.extend(map(int, task.read_text().split()))
            except OSError:
                continue
    return members


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds a command took, and the peak resident megabytes of its largest process."""
    begun, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            peak = max(peak, *(resident(member) for member in family(process.pid)))
            time.sleep(0.2)
        if process.returncode not in (0, 3):
            raise RuntimeError(
                f"{' '.join(command)}: exit {process.returncode}\n{process.stderr.read().decode() if process.stderr else ''}"
            )
    return time.perf_counter() - begun, peak / 1e6


def main(file: Path, tokenizer: Path, sizes: list[float]) -> None:
    """Print one line a run."""
    found = texts(read_config(Preparation, file, []))
    for megabytes in sizes:
        with TemporaryDirectory() as temporary:
            plain, packed = Path(temporary) / "large.jsonl", Path(temporary) / "large.jsonl.gz"
            with plain.open("wb") as stream, gzip.open(packed, "wb", compresslevel=1) as squeezed:
                for line in lines(found, megabytes * 1e6):
                    stream.write(line)
                    squeezed.write(line)
            for path, workers in ((plain, 1), (plain, 2), (packed, 2)):
                output = Path(temporary) / f"{path.suffix}{workers}"
                corpora = json.dumps([{"kind": "jsonl", "paths": [str(path)]}])
                changes = [
                    f"output={output}",
                    f"corpora={corpora}",
                    f"vocabulary.path={tokenizer}",
                    f"engine.workers={workers}",
                ]
                seconds, peak = measured([sys.executable, "-m", "launch.cli", "prepare", str(file), *changes])
                speed = plain.stat().st_size / 1e6 / seconds
                print(
                    f"{megabytes:7.0f} MB {path.suffix:6s} {workers} worker(s) {seconds:7.1f} s {speed:6.2f} MB/s   peak {peak:5.0f} MB",
                    flush=True,
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [float(size) for size in sys.argv[3:]] or [250.0, 1000.0])
