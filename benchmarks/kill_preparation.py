"""Kill preparation at a hundred random moments and compare what comes out with one undisturbed run in a single process.

    python benchmarks/kill_preparation.py [--kills 100] [--megabytes 4] [--ray] [--seed 1]

A history is a number of launches into one folder, each with another number of workers (and, with --ray, now and then on
a local Ray cluster of two nodes), now and then two at once; each is killed -9 at a random moment, or one of its workers
is. A launch that is left alone ends the history, and every file of the folder is compared by hash. Histories are played
until so many kills have hit.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ZH = [
    "长江",
    "发源",
    "于",
    "青藏高原",
    "流入",
    "东海",
    "他",
    "在",
    "北京大学",
    "读书",
    "上海",
    "是",
    "一座",
    "大",
    "城市",
    "学生",
    "坐",
    "火车",
    "去",
]
EN = [
    "the",
    "river",
    "rises",
    "in",
    "west",
    "and",
    "it",
    "rained",
    "Rome",
    "New",
    "York",
    "opened",
    "a",
    "station",
    "students",
    "read",
    "books",
]


def write_corpus(folder: Path, size: int, draw: random.Random) -> None:
    """About ``size`` bytes of Chinese and English documents in a plain, a compressed and a damaged file, and a
    lexicon."""
    import gzip

    def document(number: int) -> str:
        words, joint, end = (ZH, "", "。") if number % 2 else (EN, " ", ". ")
        sentences = (
            "" + joint.join(draw.choices(words, k=draw.randint(4, 14))) + end for _ in range(draw.randint(3, 40))
        )
        return (
            json.dumps({"id": f"d{number}", "text": "".join(sentences), "title": f"T{number}"}, ensure_ascii=False)
            + "\n"
        )

    number = 0
    for name, share in (("plain.jsonl", 0.6), ("packed.jsonl.gz", 0.35), ("damaged.jsonl", 0.05)):
        with (
            gzip.open(folder / name, "wt", encoding="utf-8")
            if name.endswith(".gz")
            else (folder / name).open("w", encoding="utf-8") as file
        ):
            written = 0
            while written < size * share:
                line = document(number) if name != "damaged.jsonl" or number % 7 else "{oops\n"
                file.write(line)
                written += len(line.encode())
                number += 1
    (folder / "entities.tsv").write_text(
        "北京大学\tORG\n上海\tLOC\n长江\tLOC\n青藏高原\tLOC\nRome\tLOC\nNew York\tLOC\n", encoding="utf-8"
    )


def write_configuration(folder: Path, part_bytes: int) -> Path:
    """A configuration with everything that works over the whole corpus."""
    file = folder / "data.yaml"
    file.write_text(
        f"""output: {folder}/out
corpora: [{{kind: jsonl, paths: ["{folder}/*.jsonl", "{folder}/*.jsonl.gz"]}}]
annotators: [{{kind: lexicon, level: entity, paths: ["{folder}/entities.tsv"]}}]
duplicates: {{}}
vocabulary: {{size: 400, min_frequency: 1}}
heldout: 0.1
part_bytes: {part_bytes}
"""
    )
    return file


def digest(folder: Path) -> dict[str, str]:
    """The hash of every file in a folder."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


class Launch:
    """`kmask prepare` as a process of its own."""

    def __init__(self, file: Path, *overrides: str) -> None:
        self.overrides = overrides
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        arguments = [sys.executable, "-m", "launch.cli", "prepare", str(file), *overrides]
        self.process = subprocess.Popen(arguments, cwd=ROOT, stdout=self.log, stderr=self.log)

    def workers(self) -> list[int]:
        """Its child processes that do parts."""
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            return [child for child in map(int, children) if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
        return []

    def kill(self, draw: random.Random) -> str:
        """Kill it or one of its workers; what was hit."""
        if self.process.poll() is not None:
            return "nothing"
        workers = self.workers()
        if workers and draw.random() < 0.5:
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(workers), signal.SIGKILL)
                return "worker"
            return "nothing"
        self.process.kill()
        return "launcher"

    def end(self, allowed: tuple[int, ...]) -> None:
        """Wait for it and check how it ended."""
        code = self.process.wait(timeout=900)
        if code not in allowed:
            self.log.seek(0)
            raise SystemExit(f"a launch with {self.overrides} ended with exit code {code}:\n{self.log.read()}")


def play(file: Path, draw: random.Random, seconds: float, kills: int, ray: str, tally: Counter[str]) -> None:
    """One history of at most ``kills`` kills, up to a finished folder."""
    for _ in range(draw.randint(3, 9)):
        engines = [f"engine.workers={draw.randint(1, 4)}"]
        if ray and draw.random() < 0.25:
            engines = ["engine.kind=ray", f"engine.address={ray}"]
        launches = [Launch(file, *engines) for _ in range(2 if draw.random() < 0.25 else 1)]
        tally["launches"] += len(launches)
        tally["launches on ray"] += len(launches) * (len(engines) - 1)
        tally["double launches"] += len(launches) - 1
        while tally["kills"] < kills and any(launch.process.poll() is None for launch in launches):
            time.sleep(draw.uniform(0.0, seconds / 2))
            hit = draw.choice(launches).kill(draw)
            tally["kills"] += hit != "nothing"
            tally[f"{hit} killed"] += 1
        for launch in launches:
            launch.end((3, -signal.SIGKILL))
    Launch(file, f"engine.workers={draw.randint(1, 4)}").end((3,))


def main() -> None:
    """Play histories until enough kills have hit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--megabytes", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ray", action="store_true", help="use a local Ray cluster of two nodes now and then")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        write_corpus(folder, int(arguments.megabytes * 1e6), draw)
        file = write_configuration(folder, max(10_000, int(arguments.megabytes * 1e6) // 16))
        begun = time.monotonic()
        Launch(file, "engine.workers=1").end((3,))
        seconds = time.monotonic() - begun
        wanted = digest(folder / "out")
        print(f"undisturbed, one process: {seconds:.1f} s, {len(wanted)} files", flush=True)
        address = stack.enter_context(ray_cluster()) if arguments.ray else ""
        while tally["kills"] < arguments.kills:
            shutil.rmtree(folder / "out")
            play(file, draw, seconds, arguments.kills, address, tally)
            found = digest(folder / "out")
            tally["histories"] += 1
            different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
            print(
                f"history {tally['histories']}: {tally['kills']} kills so far, {'EQUAL' if not different else different[:5]}",
                flush=True,
            )
            if different:
                raise SystemExit("not the same bytes")
    print("all histories ended in the same bytes: " + ", ".join(f"{name} {count}" for name, count in tally.items()))


@contextlib.contextmanager
def ray_cluster() -> Any:
    """The address of a small Ray cluster of two nodes on this machine."""
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        cluster.add_node(**small)
        yield cluster.address
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
