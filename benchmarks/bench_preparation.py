"""Preparation speed against the usual route (jieba + transformers tokenizer + matching by character), side by side in one process.

    python benchmarks/bench_preparation.py [DATA_YAML]     (default: configs/data/demo.yaml)

Both read the same cleaned documents. Ours finds words, phrases and entities and encodes; the usual route finds words only.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_prep.documents import Document
from data_prep.parts import PartWorker
from data_prep.pipeline import sample_texts
from data_prep.plan import Preparation, make_plan
from launch.config import read_config

LIMIT_BYTES = 3_000_000


def usual_route(tokenizer: Any) -> Callable[[Document], None]:
    """Segment with jieba, tokenize with transformers, mark word starts character by character."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()

    def work(document: Document) -> None:
        starts = set()
        position = 0
        for word in jieba.cut(document.text):
            starts.add(position)
            position += len(word)
        encoding = tokenizer(document.text, return_offsets_mapping=True, add_special_tokens=False, verbose=False)
        _ = [start in starts for start, _ in encoding["offset_mapping"]]

    return work


def main(file: Path) -> None:
    """Print MB/s per core and the ratio, by language."""
    from transformers import AutoTokenizer

    preparation = read_config(Preparation, file, [])
    plan = make_plan(preparation, lambda progress: None)
    with TemporaryDirectory() as temporary:
        worker = PartWorker(preparation=preparation, plan=plan, folder=Path(temporary))
        preparation.vocabulary.make(Path(temporary) / "tokenizer", sample_texts(worker, 5_000_000, lambda progress: None))
        tokenizer = AutoTokenizer.from_pretrained(Path(temporary) / "tokenizer")
        documents: dict[str, list[Document]] = {"zh": [], "en": []}
        sizes = Counter[str]()
        for part in range(len(plan["parts"])):
            for document in worker.documents(part):
                if isinstance(document, Document) and sizes[document.language] < LIMIT_BYTES:
                    documents[document.language].append(document)
                    sizes[document.language] += len(document.text.encode())
        counts: Counter[str] = Counter()
        routes = {"kmask": lambda document: worker.encode(document, counts), "usual route": usual_route(tokenizer)}
        for language, chosen in documents.items():
            speeds = {}
            for name, work in routes.items():
                if not chosen:
                    continue
                work(chosen[0])
                begun = time.perf_counter()
                for document in chosen:
                    work(document)
                speeds[name] = sizes[language] / (time.perf_counter() - begun)
            for name, speed in speeds.items():
                ratio = speed / speeds["usual route"]
                print(f"{language}  {name:12s} {speed / 1e6:6.2f} MB/s per core   {ratio:5.2f} x the usual route ({sizes[language] / 1e6:.1f} MB)")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "configs/data/demo.yaml"))
