"""`kmask bench prepare`: how fast documents of your corpus are annotated and encoded by one process, without writing."""

from __future__ import annotations

import time
from pathlib import Path

from launch.settings.components import read_config


def bench_prepare(file: Path, seconds: float) -> None:
    """Annotate and encode documents of the corpus in one process, without writing."""
    from collections import Counter
    from tempfile import TemporaryDirectory

    from data_prep.documents import Document
    from data_prep.parts import PartWorker
    from data_prep.pipeline import sample_texts
    from data_prep.plan import Preparation, make_plan

    preparation = read_config(Preparation, file, [])
    plan = make_plan(preparation, lambda progress: None)
    existing = Path(preparation.output)
    with TemporaryDirectory() as temporary:
        folder = existing if (existing / "tokenizer").is_dir() else Path(temporary)
        worker = PartWorker(preparation=preparation, plan=plan, folder=folder)
        if folder != existing:
            preparation.vocabulary.make(folder / "tokenizer", sample_texts(worker, 5_000_000, lambda progress: None))
        counts: Counter[str] = Counter()
        done, begun = 0, 0.0
        for part in range(plan.parts):
            for block in worker.reader.blocks(part):
                documents = [document for _, document in block if isinstance(document, Document)]
                for _ in worker.encode(documents, counts):
                    pass
                if not begun:  # resources load with the first documents
                    begun = time.perf_counter()
                else:
                    done += sum(len(document.text.encode()) for document in documents)
                if time.perf_counter() - begun > seconds:
                    break
            if begun and time.perf_counter() - begun > seconds:
                break
        speed = done / max(time.perf_counter() - begun, 1e-9)
    size = plan.bytes
    print(
        f"{speed / 1e6:.2f} MB/s per core over {done / 1e6:.1f} MB; the whole corpus ({size / 1e6:,.1f} MB) takes about {size / speed / 60:.1f} core-minutes"
    )
