"""Near duplicates: how many are found at which similarity, and what a large corpus costs in memory, disk and time.

    python benchmarks/bench_near_duplicates.py recall [--pairs 2000] [--length 400]
        pairs of texts at known similarity, the whole way
    python benchmarks/bench_near_duplicates.py families                                 versions of one text, many in
        one corpus
    python benchmarks/bench_near_duplicates.py scale FOLDER --documents 10000000
        synthetic columns, everything after the texts
    python benchmarks/bench_near_duplicates.py corpus FOLDER --config configs/data/demo.yaml
        the texts of a configuration, this step alone

`scale` makes the columns of each part (digests, band keys, sketches, ids) from random numbers instead of texts, by the
same functions from the signature on, and then runs the same rounds as `kmask prepare`. Kill it and run it again: it
goes on where it was. One document in five repeats an earlier one that lies anywhere before it: 2 in 5 of these exactly,
the others at a similarity of SIMILARITIES. It prints each round with its seconds, the processor seconds of all
processes, the greatest memory of any of them (anonymous: what it holds itself; resident: mapped files, too), and bytes
on disk.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import active_children
from os import getpid, sysconf
from pathlib import Path

import numpy as np

from data_prep.cleaning.characters import code_points
from data_prep.documents import Document
from data_prep.engines.local import Local
from data_prep.files import read_json
from data_prep.filtering.columns import append, write_texts
from data_prep.filtering.dropped import Dropped
from data_prep.filtering.duplicates import Duplicates
from data_prep.filtering.minhash import band_keys, found_share, sketches
from data_prep.filtering.shingles import ngram_hashes, tokens
from data_prep.running.steps import run_step
from masking.keyed import combine_array, mix_array, uniform_array

SIMILARITIES = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
PART_DOCUMENTS, BLOCK, EVERY, EXACT = 5000, 1000, 5, 0.4
CHUNK = 100
"""Pairs in one corpus of `recall`."""


def jaccard(one: str, two: str, n: int) -> float:
    """The share of n-grams two texts have in common, counted."""
    first, second = (set(ngram_hashes(tokens(code_points(text))[0], n).tolist()) for text in (one, two))
    return len(first & second) / len(first | second)


def writing(source: np.random.Generator, length: int) -> str:
    """Random Chinese characters."""
    return "".join(map(chr, source.integers(0x4E00, 0x9FA5, length).tolist()))


def edited(source: np.random.Generator, text: str, wanted: float, n: int) -> str:
    """The text with so many characters replaced that about the wanted share of n-grams stays: single ones anywhere, or
    one whole passage."""
    lost = (1 - wanted) / (1 + wanted) * (len(text) - n + 1)
    if source.random() < 0.5:
        length = max(1, round(lost) - n + 1)
        start = int(source.integers(0, len(text) - length))
        return text[:start] + writing(source, length) + text[start + length :]
    places = source.choice(len(text), max(1, round(lost / n)), replace=False)
    characters = list(text)
    for place in places.tolist():
        characters[place] = writing(source, 1)
    return "".join(characters)


def dropped_of(step: Duplicates, parts: Sequence[Sequence[str]]) -> Dropped:
    """The whole step over parts of texts, in this process."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / f"{index:06d}" for index in range(len(parts))]
        for index, (folder, texts) in enumerate(zip(folders, parts, strict=True)):
            folder.mkdir()
            step.map(
                (
                    (number, Document(id=f"{index}-{number}", language="zh", text=text, title="", source=""))
                    for number, text in enumerate(texts)
                ),
                folder,
            )
        result = Path(name) / "result"
        result.mkdir()
        step.reduce(folders, result)
        found = Dropped.open(result)
        _ = found.kept
        return found


def recall(pairs: int, length: int, threshold: float) -> None:
    """Print which share of pairs of texts is found at which counted similarity."""
    step = Duplicates(threshold=threshold)
    source = np.random.default_rng(0)
    found: defaultdict[int, list[bool]] = defaultdict(list)
    edges = [round(threshold - 0.15 + 0.025 * index, 3) for index in range(13)]
    texts = [writing(source, length) for _ in range(pairs * 12)]
    for start in range(0, len(texts), CHUNK):
        base = texts[start : start + CHUNK]
        other = [
            edited(source, text, float(source.uniform(edges[0], min(0.99, edges[-1]))), step.ngram) for text in base
        ]
        dropped = dropped_of(step, [base, other])
        for index, (one, two) in enumerate(zip(base, other, strict=True)):
            found[int(np.searchsorted(edges, jaccard(one, two, step.ngram), "right"))].append(
                dropped.reason(1, index) is not None
            )
    bands, rows = step._division
    print(f"threshold {threshold}, {step.permutations} places, {bands} bands of {rows}, texts of {length} characters")
    print("| similarity | pairs | found | law, from .. to |\n|---|---|---|---|")
    for bucket in sorted(found):
        if not 0 < bucket < len(edges):
            continue
        middle = (edges[bucket - 1] + edges[bucket]) / 2
        least, most = found_share(middle, threshold, step.permutations, bands, rows)
        share = 100 * np.mean(found[bucket])
        print(
            f"| {edges[bucket - 1]:.3f} to {edges[bucket]:.3f} | {len(found[bucket])} | {share:.2f} % | {100 * least:.1f} .. {100 * most:.1f} % |"
        )


def families(threshold: float) -> None:
    """Print how many versions of one text are dropped when all of them are alike and all are in the corpus."""
    step = Duplicates(threshold=threshold)
    source = np.random.default_rng(1)
    print("| versions of a text | alike in pairs | dropped of those alike to an earlier one |\n|---|---|---|")
    for size in (2, 5, 20, 100):
        documents, expected, hit, alike = [], 0, 0, []
        for _ in range(400 // size):
            base = writing(source, 300)
            documents.append([edited(source, base, float(source.uniform(0.85, 0.97)), step.ngram) for _ in range(size)])
        order = source.permutation(sum(map(len, documents)))
        flat = [(family, text) for family, versions in enumerate(documents) for text in versions]
        shuffled = [flat[index] for index in order.tolist()]
        dropped = dropped_of(step, [[text for _, text in shuffled]])
        for index, (family, text) in enumerate(shuffled):
            figures = [jaccard(text, other, step.ngram) for before, other in shuffled[:index] if before == family]
            alike += figures
            if figures and max(figures) >= threshold:
                expected += 1
                hit += dropped.reason(0, index) is not None
        print(f"| {size} | {min(alike):.2f} to {max(alike):.2f} | {100 * hit / max(1, expected):.2f} % of {expected} |")


@dataclass(frozen=True, kw_only=True)
class Synthetic(Duplicates):
    """The step with columns from random numbers: the one document of a part says its number."""

    documents: int
    """How many there are in all."""

    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        part = int(next(iter(documents))[1].id)
        first, last = part * PART_DOCUMENTS, min(self.documents, (part + 1) * PART_DOCUMENTS)
        for start in range(first, last, BLOCK):
            self._write(np.arange(start, min(last, start + BLOCK), dtype=np.uint64), first, folder)
        write_texts(folder, "ids", [f"document/{number}" for number in range(first, last)])

    def _write(self, numbers_D: np.ndarray, first: int, folder: Path) -> None:
        base_D, alike_D = planted(numbers_D)
        exact = alike_D == 1
        same_D = np.where(exact, base_D, numbers_D)
        places_K = np.arange(self.permutations, dtype=np.uint64)

        def signature(documents: np.ndarray) -> np.ndarray:
            return mix_array(combine_array(documents, 1)[:, None] + places_K)

        values_DK = signature(same_D)
        near = np.flatnonzero((alike_D > 0) & ~exact)
        coins = uniform_array(combine_array(numbers_D[near], 2)[:, None] + (places_K << np.uint64(20)), 0)
        values_DK[near] = np.where(coins < alike_D[near, None], signature(base_D[near]), values_DK[near])
        signatures_DK = (values_DK >> np.uint64(32)).astype(np.uint32)
        bands, rows = self._division
        append(folder / "numbers", (numbers_D - np.uint64(first)).astype(np.int64))
        append(folder / "digests", np.stack([combine_array(same_D, 3), combine_array(same_D, 4)], axis=1))
        append(folder / "usable", np.ones(len(numbers_D), np.bool_))
        append(folder / "sketches", sketches(signatures_DK))
        append(folder / "bands", np.stack([band_keys(signatures_DK, band, rows) for band in range(bands)], axis=1))

    @staticmethod
    def source(part: int) -> Iterator[Document]:
        """What stands for the documents of a part."""
        yield Document(id=str(part), language="zh", text="", title="", source="")


def planted(numbers_D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For documents by number: an earlier one that is no copy itself, and the similarity to it (0: none)."""
    draws = uniform_array(numbers_D, 11)
    base_D = (uniform_array(numbers_D, 12) * numbers_D).astype(np.uint64)
    base_D += base_D % np.uint64(EVERY) == 0
    copies = (numbers_D % np.uint64(EVERY) == 0) & (numbers_D > EVERY)
    which = np.minimum(((draws - EXACT) / (1 - EXACT) * len(SIMILARITIES)).astype(np.int64), len(SIMILARITIES) - 1)
    return base_D, np.where(copies, np.where(draws < EXACT, 1.0, np.array(SIMILARITIES)[which]), 0.0)


class Meter(threading.Thread):
    """Asks for the memory of this process and its workers, and remembers the greatest of each round."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks: dict[str, int] = {}
        self.ticks: dict[int, int] = {}
        self.before = 0

    def run(self) -> None:
        while True:
            for process in (getpid(), *(child.pid for child in active_children())):
                try:
                    lines = Path(f"/proc/{process}/status").read_text().split("\n")
                    self.ticks[process] = sum(
                        map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13])
                    )
                except (OSError, TypeError):
                    continue
                for name, value in (line.split(":", 1) for line in lines if line.startswith(("RssAnon", "VmHWM"))):
                    self.peaks[name] = max(self.peaks.get(name, 0), int(value.split()[0]))
            time.sleep(0.1)

    def take(self) -> str:
        """The peaks since the last call."""
        found, self.peaks = self.peaks, {}
        ticks = sum(self.ticks.values())
        used, self.before = (ticks - self.before) / sysconf("SC_CLK_TCK"), ticks
        return f"{used:.0f} | {found.get('RssAnon', 0) / 2**20:.2f} GB anonymous, {found.get('VmHWM', 0) / 2**20:.2f} GB resident"


def on_disk(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


class Rounds:
    """Prints a line for each round that has ended."""

    def __init__(self, name: str, folder: Path) -> None:
        self.place = folder / "steps" / name
        self.meter = Meter()
        self.meter.start()
        self.begun = self.last = time.monotonic()

    def head(self, title: str) -> None:
        """The head of the table."""
        print(
            f"{title}\n| round | tasks | seconds | processor seconds | greatest process | on disk |\n|---|---|---|---|---|---|",
            flush=True,
        )

    def __call__(self, name: str, done: int, tasks: int) -> None:
        if done == tasks:
            now = time.monotonic()
            print(
                f"| {name} | {tasks} | {now - self.last:.0f} | {self.meter.take()} | {on_disk(self.place / name) / 1e9:.2f} GB |",
                flush=True,
            )
            self.last = now

    def end(self, result: Path) -> None:
        """The line of the result, and what was found."""
        print(
            f"| result | 1 | {time.monotonic() - self.last:.0f} | {self.meter.take()} | {on_disk(result) / 1e9:.3f} GB |"
        )
        print(f"{time.monotonic() - self.begun:.0f} s in this launch; {read_json(result / 'counts.json')}")


def scale(folder: Path, documents: int, workers: int, keep: bool) -> None:
    """Run the step on synthetic columns and print what each round took."""
    step = Synthetic(documents=documents)
    parts = -(-documents // PART_DOCUMENTS)
    measure = Rounds(step.name, folder)
    measure.head(f"{documents:,} documents in {parts} parts, {workers} workers")
    result = run_step(
        step,
        step.source,
        parts,
        Local(workers=workers),
        folder,
        str(documents),
        lambda done: measure("parts", done, parts),
        listen_round=measure,
    )
    measure.end(result)
    check(Dropped.open(result), documents)
    if not keep:
        shutil.rmtree(folder)


def corpus(config: Path, folder: Path, workers: int) -> None:
    """Run the step alone on the texts of a configuration."""
    from data_prep.preparing.corpus_tasks import survey
    from data_prep.preparing.plan import Preparation
    from launch.settings.components import read_config

    worker = survey(read_config(Preparation, config, []), lambda progress: None)
    step, parts = Duplicates(), worker.plan.parts
    size = worker.plan.bytes
    measure = Rounds(step.name, folder)
    measure.head(f"{size / 1e6:.1f} MB in {parts} parts, {workers} workers")
    result = run_step(
        step,
        worker.documents,
        parts,
        Local(workers=workers),
        folder,
        "corpus",
        lambda done: measure("parts", done, parts),
        listen_round=measure,
    )
    measure.end(result)
    shutil.rmtree(folder)


def check(dropped: Dropped, documents: int) -> None:
    """Print what was found of what was planted, and what was dropped though nothing was."""
    entries = dropped._entries
    is_dropped = np.zeros(documents, np.bool_)
    for start in range(0, len(entries), 1 << 20):
        piece = entries[start : start + (1 << 20)]
        is_dropped[piece["part"] * PART_DOCUMENTS + piece["number"]] = True
    planted_of, found_of, wrong = defaultdict(int), defaultdict(int), 0
    for start in range(0, documents, 1 << 20):
        numbers = np.arange(start, min(documents, start + (1 << 20)), dtype=np.uint64)
        _, alike = planted(numbers)
        hit = is_dropped[start : start + (1 << 20)]
        wrong += int(np.count_nonzero(hit & (alike == 0)))
        for value in np.unique(alike[alike > 0]).tolist():
            planted_of[value] += int(np.count_nonzero(alike == value))
            found_of[value] += int(np.count_nonzero(hit & (alike == value)))
    print(
        "found: "
        + "; ".join(f"{value:.2f}: {100 * found_of[value] / planted_of[value]:.2f} %" for value in sorted(planted_of))
    )
    print(f"dropped without a planted copy: {wrong}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("recall", "families", "scale", "corpus"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--config", type=Path, default=Path("configs/data/demo.yaml"), help="of `corpus`")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=500, help="of each of 12 ranges of similarity, about")
    parser.add_argument("--length", type=int, default=400)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--keep", action="store_true", help="do not remove the folder at the end")
    given = parser.parse_args()
    if given.what == "recall":
        recall(given.pairs, given.length, given.threshold)
    elif given.what == "families":
        families(given.threshold)
    elif given.folder is None:
        parser.error(f"{given.what} needs a FOLDER")
    elif given.what == "corpus":
        corpus(given.config, given.folder, given.workers)
    else:
        scale(given.folder, given.documents, given.workers, given.keep)


if __name__ == "__main__":
    main()
