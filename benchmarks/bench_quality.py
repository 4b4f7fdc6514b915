"""How good are words, entities, chunks and token spans? Measured on gold sets; one command prints all tables.

    python benchmarks/train_spacy.py                                  (once; entities and chunks need its pipelines)
    python benchmarks/bench_quality.py [words] [entities] [boundaries] [chunks] [alignment] [--tokenizer FOLDER]
        (default: all parts)

    words       F1 of words, single characters included, on segmented text; with and without a dictionary of the set's
                own words
    entities    gold entities whose edges are edges of units; precision, recall and F1 of the entity level by source
    boundaries  the lexicons under each setting of `boundaries`: gold entities, and the share of words they cut on the
                raw text
    chunks      noun phrases by rule against CoNLL-2000's, with trained tags and with the gold ones; Chinese ones to
                look at
    alignment   every character unit of all raw text looked up in the tokenizer's offsets
                (tests/data_prep/test_alignment.py)

Run from the repository's root. Spans count as equal when both edges are; F1 = 2PR / (P + R).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from quality.alignment import bench_alignment
from quality.boundaries import bench_boundaries
from quality.chunks import bench_chunks
from quality.entities import bench_entities
from quality.words import bench_words


def main() -> None:
    """Print the tables of the parts that were named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="words, entities, boundaries, chunks, alignment (default: all)"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the gold sets")
    parser.add_argument(
        "--models", type=Path, default=Path("runs/quality"), help="what benchmarks/train_spacy.py wrote"
    )
    parser.add_argument(
        "--tokenizer", type=Path, default=Path("runs/real/data/tokenizer"), help="a tokenizer folder, for alignment"
    )
    arguments = parser.parse_args()
    known = {
        "words": lambda: bench_words(arguments.data),
        "entities": lambda: bench_entities(arguments.data, arguments.models),
        "boundaries": lambda: bench_boundaries(arguments.data),
        "chunks": lambda: bench_chunks(arguments.data, arguments.models),
        "alignment": lambda: bench_alignment(arguments.data, arguments.tokenizer),
    }
    if unknown := set(arguments.parts) - set(known):
        parser.error(f"{', '.join(sorted(unknown))} unknown; choose from {', '.join(known)}")
    wanted = {"entities": ("zh_ner", "en_ner"), "chunks": ("en_tagger",)}
    missing = [
        name
        for part in arguments.parts or known
        for name in wanted.get(part, ())
        if not (arguments.models / name / "meta.json").is_file()
    ]
    if missing:
        parser.error(
            f"{arguments.models} holds no {', '.join(missing)}. Run: python benchmarks/train_spacy.py {' '.join(missing)}"
        )
    for part in arguments.parts or known:
        known[part]()


if __name__ == "__main__":
    main()
