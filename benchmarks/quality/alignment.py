"""Every character unit of all raw text looked up in the tokenizer's offsets, by the checker of
tests/data_prep/test_alignment.py."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_prep.annotators.chunks import Chunks
from data_prep.corpora import Slice
from data_prep.documents import Document, Record
from data_prep.encoding import Tokenizer, encode
from data_prep.preparing.plan import Preparation
from launch.settings.components import read_config
from quality.scores import REAL, annotation_of, table


def documents(preparation: Preparation) -> Iterator[Document]:
    """The cleaned documents of a preparation's corpora."""
    for corpus in preparation.corpora:
        for path in corpus.files():
            for piece in corpus.survey(path, 1 << 40).slices:
                for record in corpus.read(Slice(*piece)):
                    document = (
                        preparation.cleaning.clean(record, path.name.removesuffix(".jsonl.gz"))
                        if isinstance(record, Record)
                        else record
                    )
                    if isinstance(document, Document):
                        yield document


def bench_alignment(data: Path, folder: Path) -> None:
    """Look up every unit of every raw document."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "data_prep"))
    from test_alignment import Alignment, added, backend_of, check

    preparation = read_config(Preparation, REAL, [])
    preparation = replace(
        preparation,
        corpora=[
            replace(
                preparation.corpora[0], paths=[str(data / f"raw/{language}/*.jsonl.gz") for language in ("zh", "en")]
            )
        ],
    )
    annotation = annotation_of(preparation, [*preparation.annotators, Chunks(level="chunk")])
    tokenizer, backend = Tokenizer(folder=folder), backend_of(folder)
    results: dict[str, dict[str, Alignment]] = {}
    counted, characters, begun = dict[str, int](), 0, time.monotonic()
    for document in documents(preparation):
        annotated = annotation.annotate(document)
        result = check(annotated, encode(annotated, tokenizer), backend)
        results[document.source] = added([results.get(document.source, {}), result])
        counted[document.source] = counted.get(document.source, 0) + 1
        characters += len(document.text)
    rows = [
        [f"{source}, {level}", *(f"{count:,}" for count in counts)]
        for source, levels in results.items()
        for level, counts in levels.items()
        if counts.seen
    ]
    rows += [
        [f"all, {level}", *(f"{count:,}" for count in counts)]
        for level, counts in added(list(results.values())).items()
    ]
    head = ["", *(name.replace("_", " ") for name in Alignment._fields)]
    table(
        f"Units of {sum(counted.values()):,} documents ({characters:,} characters) against the tokenizer's offsets",
        head,
        rows,
    )
    print(f"\n{time.monotonic() - begun:.0f} s; token ids equal to the tokenizers library's on every document")
