"""Preparation of very many files and parts: what planning, a launch that finds everything done, and opening for
training cost.

    python benchmarks/bench_many_files.py FOLDER [FILES]     (default: 1,000,000 files of one short document; ten files
                                                             a part)

FOLDER is made and left behind; every step is skipped when it has been done, so the program may be killed and run again.
The files and their plan are real. The parts are copies of one that the worker made (making them all is another
benchmark): the reports name the part, the shards are listed, everything is where a finished folder has it. Printed:
seconds, and the peak resident memory of the process and of its largest worker.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from data_prep.corpora.jsonl import Jsonl
from data_prep.engines.local import Local
from data_prep.files import read_json, staging_name
from data_prep.planned import Plan
from data_prep.preparing.adoption import adopt_plan
from data_prep.preparing.finishing import finish_once
from data_prep.preparing.parts import PartWorker
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation, make_plan
from data_prep.running.supervision import NOTES, Watch
from data_prep.shards import Prepared
from data_prep.vocabularies.vocabulary import Vocabulary
from pretrain.feed.sources import Source

TEXT = "The river rises in the west and flows through the old town. 长江发源于西部，流经古城。"
IN_A_FOLDER, IN_A_PART = 1000, 10


def preparation(folder: Path) -> Preparation:
    """The settings."""
    line = len(json.dumps({"id": "d0000000", "text": TEXT}, ensure_ascii=False).encode()) + 1
    return Preparation(
        output=str(folder / "prepared"),
        corpora=[Jsonl(paths=[str(folder / "raw/*/*.jsonl")])],
        vocabulary=Vocabulary(size=300, min_frequency=1, train_characters=10_000),
        part_bytes=line * IN_A_PART,
        engine=Local(workers=2),
    )


def write_files(folder: Path, count: int) -> None:
    """One document a file."""
    for number in range(count):
        file = folder / f"raw/{number // IN_A_FOLDER:05d}/{number:08d}.jsonl"
        if number % IN_A_FOLDER == 0:
            if file.parent.with_suffix(".done").exists():
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
        if not file.parent.with_suffix(".done").exists():
            file.write_text(
                json.dumps({"id": f"d{number:07d}", "text": TEXT}, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            if number % IN_A_FOLDER == IN_A_FOLDER - 1 or number == count - 1:
                file.parent.with_suffix(".done").touch()


def plan(folder: Path) -> None:
    """Survey and plan, as a launch does it."""
    settings = preparation(folder)
    watch = Watch(folder=Path(settings.output), launch=staging_name(NOTES))
    try:
        made = make_plan(settings, lambda progress: None, watch)
        print(f"{made.files:,} files, {made.parts:,} parts", end="; ")
        adopt_plan(Path(settings.output), made, Path(settings.output) / watch.launch)
    finally:
        shutil.rmtree(Path(settings.output) / watch.launch, ignore_errors=True)


def parts(folder: Path) -> None:
    """One part made, the others copied from it."""
    settings = preparation(folder)
    output = Path(settings.output)
    settings.vocabulary.make(output / "tokenizer", iter([TEXT]))
    worker = PartWorker(preparation=settings, plan=Plan.read(output), folder=output)
    report = worker.finished(0) or worker.make(0)
    texts = {name: (worker.part_folder(0) / name).read_text() for name in ("rejected.jsonl", "tally.json")}
    for part in range(1, worker.plan.parts):
        target = worker.part_folder(part)
        if (target / "part.json").exists():
            continue
        target.mkdir(exist_ok=True)
        shards = [{**shard, "path": f"parts/{part:06d}/{Path(shard['path']).name}"} for shard in report["shards"]]
        for shard in report["shards"]:
            shutil.copyfile(output / shard["path"], target / Path(shard["path"]).name)
        for name, text in texts.items():
            (target / name).write_text(text)
        (target / "part.json").write_text(json.dumps({**report, "part": part, "shards": shards}, indent=1))


def finish(folder: Path) -> None:
    """Write the manifest."""
    settings = preparation(folder)
    manifest = finish_once(
        PartWorker(preparation=settings, plan=Plan.read(Path(settings.output)), folder=Path(settings.output))
    )
    print(f"{len(manifest['shards']):,} shards", end="; ")


def again(folder: Path) -> None:
    """A launch that finds everything done."""
    prepare(preparation(folder), lambda progress: None)


def again_without_inventory(folder: Path) -> None:
    """One that looks at every part's report."""
    (folder / "prepared/inventory.arrow").unlink()
    settings = preparation(folder)
    worker = PartWorker(preparation=settings, plan=Plan.read(Path(settings.output)), folder=Path(settings.output))
    print(f"{sum(worker.finished(part) is not None for part in range(worker.plan.parts)):,} finished", end="; ")
    finish_once(worker)


def status(folder: Path) -> None:
    """`kmask prepare status`."""
    from data_prep.preparing.folder_status import status as found

    print(found(folder / "prepared")["state"], end="; ")


def training(folder: Path) -> None:
    """Open the folder and cut it into windows."""
    source = Source(name="one", prepared=Prepared.open(folder / "prepared"), split="train", max_tokens=506)
    print(
        f"{len(source):,} windows, manifest {(folder / 'prepared/manifest.json').stat().st_size / 1e6:.0f} MB", end="; "
    )
    assert source.read(len(source) - 1).document_id == source.read(0).document_id or read_json(
        folder / "prepared/manifest.json"
    )


STEPS = [plan, plan, parts, finish, again, again_without_inventory, status, training]


def watch_workers(largest: list[float]) -> None:
    """Remember the most resident memory (MiB) of a child. (What the kernel says of children counts this process, from
    which they began.)"""
    while True:
        for task in Path("/proc/self/task").glob("*/children"):
            with contextlib.suppress(OSError, IndexError):
                for child in task.read_text().split():
                    largest[0] = max(
                        largest[0], int(Path(f"/proc/{child}/statm").read_text().split()[1]) * 4096 / 2**20
                    )
        time.sleep(0.1)


def main(arguments: list[str]) -> None:
    """Each step in a process of its own, so that its peak memory is its own."""
    folder = Path(arguments[0])
    if len(arguments) > 1 and not arguments[1].isdigit():
        step = next(step for step in STEPS if step.__name__ == arguments[1])
        workers = [0.0]
        threading.Thread(target=watch_workers, args=(workers,), daemon=True).start()
        begun = time.perf_counter()
        step(folder)
        mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{time.perf_counter() - begun:.1f} s, {mine:.0f} MiB here, {workers[0]:.0f} MiB in a worker", flush=True)
        return
    write_files(folder, int(arguments[1]) if len(arguments) > 1 else 1_000_000)
    for step in STEPS:
        print(f"{step.__name__:24s}", end=" ", flush=True)
        subprocess.run([sys.executable, __file__, str(folder), step.__name__], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
