"""`kmask bench prepare`: how fast one process annotates and encodes documents of your corpus, without writing."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from launch.settings.components import read_config

if TYPE_CHECKING:
    from data_prep.preparing.parts import PartWorker

SAMPLE_CHARACTERS = 5_000_000
"""Of the corpus, from which a vocabulary is trained where the prepared folder has none."""


def bench_prepare(file: Path, seconds: float) -> None:
    """Annotate and encode documents of the corpus in one process, without writing."""
    from data_prep.preparing.parts import PartWorker
    from data_prep.preparing.pipeline import sample_texts
    from data_prep.preparing.plan import Preparation, make_plan

    preparation = read_config(Preparation, file, [])
    plan = make_plan(preparation, lambda progress: None)
    existing = Path(preparation.output)
    with TemporaryDirectory() as temporary:
        folder = existing if (existing / "tokenizer").is_dir() else Path(temporary)
        worker = PartWorker(preparation=preparation, plan=plan, folder=folder)
        if folder != existing:
            texts = sample_texts(worker, SAMPLE_CHARACTERS, lambda progress: None)
            preparation.vocabulary.make(folder / "tokenizer", texts)
        done, speed = encoded(worker, seconds)
    whole = f"the whole corpus ({plan.bytes / 1e6:,.1f} MB) takes about {plan.bytes / speed / 60:.1f} core-minutes"
    print(f"{speed / 1e6:.2f} MB/s per core over {done / 1e6:.1f} MB; {whole}")


def encoded(worker: PartWorker, seconds: float) -> tuple[int, float]:
    """Encode for so long: bytes of text, bytes per second. Resources load with the first block, which is not timed."""
    from data_prep.documents import Document

    counts: Counter[str] = Counter()
    done, begun = 0, 0.0
    for block in (block for part in range(worker.plan.parts) for block in worker.reader.blocks(part)):
        documents = [document for _, document in block if isinstance(document, Document)]
        for _ in worker.encode(documents, counts):
            pass
        if not begun:
            begun = time.perf_counter()
        else:
            done += sum(len(document.text.encode()) for document in documents)
        if time.perf_counter() - begun > seconds:
            break
    return done, done / max(time.perf_counter() - begun, 1e-9)
