"""Preparation from raw JSONL to finished shards, side by side with two other ways to the same units, in one process.

    python benchmarks/bench_preparation.py [DATA_YAML] [MEGABYTES]     (default: configs/data/demo.yaml, 6 MB a
                                                                       language)

    kmask       everything that `kmask prepare` does to a part: read, clean, sentences, words, lexicons, encode, write,
                hash
    map         the same work written per document for `datasets.map`: rjieba, ahocorasick_rs, tokenizers, offsets by
                bisection
    posseg      words and tags by jieba.posseg, tokens matched to them character by character (no lexicons)

The peers get cleaned documents for nothing. Speeds are bytes of the documents' text per second of processor time.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_prep.annotators.lexicon import Lexicon
from data_prep.corpora.jsonl import Jsonl
from data_prep.documents import Document
from data_prep.engines.local import Local
from data_prep.preparing.parts import PartWorker
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation, make_plan
from launch.settings.components import read_config

PEER_BYTES = {"map": 2_000_000, "posseg": 200_000}


def documents_of(preparation: Preparation, language: str, limit: int) -> Iterator[Document]:
    """Cleaned documents of one language, about ``limit`` bytes of them."""
    plan = make_plan(preparation, lambda progress: None)
    worker = PartWorker(preparation=preparation, plan=plan, folder=Path())
    size = 0
    for part in range(plan.parts):
        for document in worker.documents(part):
            if isinstance(document, Document) and document.language == language:
                yield document
                size += len(document.text.encode())
                if size > limit:
                    return


def take(documents: list[Document], limit: int) -> list[Document]:
    """The first documents, ``limit`` bytes of them at most (one at least)."""
    taken, size = [], 0
    for document in documents:
        size += len(document.text.encode())
        if taken and size > limit:
            break
        taken.append(document)
    return taken


def kmask_speed(preparation: Preparation, documents: list[Document], tokenizer: Path) -> float:
    """Bytes per second of the parts after the first, which loads dictionaries and lexicons."""
    with TemporaryDirectory() as temporary:
        file = Path(temporary) / "raw.jsonl"
        with file.open("w", encoding="utf-8") as stream:
            for document in documents:
                stream.write(
                    json.dumps(
                        {"id": document.id, "text": document.text, "lang": document.language}, ensure_ascii=False
                    )
                    + "\n"
                )
        part_bytes = max(1000, file.stat().st_size // 6)
        vocabulary = replace(preparation.vocabulary, path=str(tokenizer))
        folder = Path(temporary) / "out"
        ours = replace(
            preparation,
            corpora=[Jsonl(paths=[str(file)])],
            output=str(folder),
            part_bytes=part_bytes,
            vocabulary=vocabulary,
            engine=Local(workers=1),
        )
        plan = make_plan(ours, lambda progress: None)
        (folder / "tokenizer").parent.mkdir()
        (folder / "tokenizer").symlink_to(tokenizer)
        worker = PartWorker(preparation=ours, plan=plan, folder=folder)
        worker(0)
        begun = time.process_time()
        for part in range(1, plan.parts):
            worker(part)
        seconds = time.process_time() - begun
        return float(sum(plan.part_bytes(part) for part in range(1, plan.parts)) / seconds)


def mapped(preparation: Preparation, backend: Any) -> Callable[[dict[str, list[str]]], dict[str, list[Any]]]:
    """The function a careful user would give to ``datasets.map(batched=True)``."""
    import ahocorasick_rs
    import rjieba

    segmenter = rjieba.Jieba()
    lexicons = [annotator for annotator in preparation.annotators if isinstance(annotator, Lexicon)]
    matchers = [
        (
            lexicon.level,
            ahocorasick_rs.AhoCorasick(lexicon._entries.surfaces, matchkind=ahocorasick_rs.MatchKind.LeftmostLongest),
        )
        for lexicon in lexicons
    ]

    def work(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {"token_ids": [], "word": [], "phrase": [], "entity": []}
        for text, encoding in zip(
            batch["text"], backend.encode_batch(batch["text"], add_special_tokens=False), strict=True
        ):
            starts, ends = [pair[0] for pair in encoding.offsets], [pair[1] for pair in encoding.offsets]
            out["token_ids"].append(encoding.ids)
            spans: dict[str, list[tuple[int, int]]] = {"word": [], "phrase": [], "entity": []}
            spans["word"] = [
                (start, end) for _, start, end in segmenter.tokenize(text, "default", True) if end - start > 1
            ]
            for level, matcher in matchers:
                spans.setdefault(level, []).extend(
                    (start, end) for _, start, end in matcher.find_matches_as_indexes(text)
                )
            for level in ("word", "phrase", "entity"):
                units = []
                for start, end in sorted(spans[level]):
                    first, last = bisect_left(starts, start), bisect_left(ends, end)
                    if first < len(starts) and last < len(ends) and starts[first] == start and ends[last] == end:
                        units.append([first, last + 1 - first])
                out[level].append(units)
        return out

    return work


def map_speed(preparation: Preparation, documents: list[Document], backend: Any) -> float:
    """Bytes per second of ``datasets.map``, writing its Arrow file."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    work = mapped(preparation, backend)
    work({"text": [documents[0].text]})
    with TemporaryDirectory() as temporary:
        rows = Dataset.from_dict({"text": [document.text for document in documents]})
        begun = time.process_time()
        rows.map(
            work,
            batched=True,
            batch_size=64,
            cache_file_name=str(Path(temporary) / "cache.arrow"),
            new_fingerprint="bench",
        )
        return sum(len(document.text.encode()) for document in documents) / (time.process_time() - begun)


def posseg_speed(documents: list[Document], backend: Any) -> float:
    """Bytes per second of jieba.posseg and a match character by character."""
    import jieba
    import jieba.posseg

    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    list(jieba.posseg.cut("北京"))
    begun = time.process_time()
    for document in documents:
        tags: list[tuple[str, bool]] = []
        for pair in jieba.posseg.cut(document.text):
            tags.extend((pair.flag, position == 0) for position in range(len(pair.word)))
        encoding = backend.encode(document.text, add_special_tokens=False)
        _ = [tags[start] for start, _ in encoding.offsets if start < len(tags)]
    return sum(len(document.text.encode()) for document in documents) / (time.process_time() - begun)


def main(file: Path, megabytes: float) -> None:
    """Print MB/s and ratios by language."""
    from tokenizers import Tokenizer as Backend

    preparation = read_config(Preparation, file, [])
    with TemporaryDirectory() as temporary:
        corpus = {
            language: list(documents_of(preparation, language, int(megabytes * 1e6))) for language in ("zh", "en")
        }
        sample = Path(temporary) / "sample.jsonl"
        rows = [
            json.dumps({"text": document.text}, ensure_ascii=False)
            for documents in corpus.values()
            for document in take(documents, 1_000_000)
        ]
        sample.write_text("\n".join(rows), encoding="utf-8")
        small = replace(
            preparation,
            corpora=[Jsonl(paths=[str(sample)])],
            output=str(Path(temporary) / "vocabulary"),
            annotators=[],
            engine=Local(workers=1),
        )
        prepare(small, lambda progress: None)
        tokenizer = Path(temporary) / "vocabulary" / "tokenizer"
        backend = Backend.from_file(str(tokenizer / "tokenizer.json"))
        entries = sum(
            len(annotator._entries.surfaces) for annotator in preparation.annotators if isinstance(annotator, Lexicon)
        )
        print(f"{file}: {entries:,} lexicon entries")
        for language, documents in corpus.items():
            if not documents:
                continue
            speeds = {
                "kmask": kmask_speed(preparation, documents, tokenizer),
                "map": map_speed(preparation, take(documents, PEER_BYTES["map"]), backend),
                "posseg": posseg_speed(take(documents, PEER_BYTES["posseg"]), backend),
                "kmask again": kmask_speed(preparation, documents, tokenizer),
            }
            for name, speed in speeds.items():
                print(
                    f"{language}  {name:12s} {speed / 1e6:7.3f} MB/s per core   kmask is {speeds['kmask'] / speed:6.1f} x this"
                )


if __name__ == "__main__":
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else "configs/data/demo.yaml"),
        float(sys.argv[2]) if len(sys.argv) > 2 else 6.0,
    )
