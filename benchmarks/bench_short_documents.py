"""Preparation of short documents side by side with a plain loop over the same libraries, in one process.

    python benchmarks/bench_short_documents.py [DATA_YAML] [BYTES ...]
        (default: configs/data/demo.yaml, 67 500 5000)

    kmask       everything that `kmask prepare` does to a part: read, clean, sentences, words, lexicons, encode, tally,
                write, hash
    plain loop  for each text: words (rjieba, the tokenizer's own pre-tokeniser), ahocorasick_rs, tokenizers, offsets by
                bisection

The loop gets texts that lie in memory and leaves lists there: no reading, no cleaning, no files. The documents are
pieces of the corpus of DATA_YAML, cut at white space or a sentence end near the wanted size. Processor time, the best
of ROUNDS rounds in turn.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench_preparation import documents_of

from data_prep.annotators.lexicon import Lexicon
from data_prep.corpora.jsonl import Jsonl
from data_prep.engines.local import Local
from data_prep.preparing.parts import PartWorker
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation, make_plan
from launch.settings.components import read_config

ROUNDS, MOST_DOCUMENTS, MOST_BYTES = 5, 20_000, 3_000_000
EDGE = re.compile(r"\s|[。！？；，,;.!?]")


def pieces(texts: list[str], size: int) -> list[str]:
    """Texts cut into pieces of about ``size`` bytes each, at most MOST_DOCUMENTS and MOST_BYTES of them."""
    found: list[str] = []
    done = 0
    for text in texts:
        rest = text
        while rest and len(found) < MOST_DOCUMENTS and done < MOST_BYTES:
            width = len(rest[:size].encode("utf-8")[:size].decode(errors="ignore"))
            edge = EDGE.search(rest, width)
            end = edge.end() if edge and edge.end() < 1.3 * width else width
            piece, rest = rest[:end].strip(), rest[end:]
            if len(piece.encode()) > size // 2:
                found.append(piece)
                done += len(piece.encode())
    return found


def kmask_round(preparation: Preparation, texts: list[str], tokenizer: Path, folder: Path) -> Callable[[], None]:
    """A function that makes all parts of a corpus of ``texts``; the first call loads dictionaries and compiled
    loops."""
    file = folder / "raw.jsonl"
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(
            json.dumps({"id": f"doc-{number}", "text": text}, ensure_ascii=False) + "\n"
            for number, text in enumerate(texts)
        )
    out = folder / "out"
    ours = replace(
        preparation,
        corpora=[Jsonl(paths=[str(file)])],
        output=str(out),
        vocabulary=replace(preparation.vocabulary, path=str(tokenizer)),
        engine=Local(workers=1),
    )
    plan = make_plan(ours, lambda progress: None)
    out.mkdir(exist_ok=True)
    (out / "tokenizer").symlink_to(tokenizer)
    worker = PartWorker(preparation=ours, plan=plan, folder=out)

    def work() -> None:
        shutil.rmtree(out / "parts", ignore_errors=True)
        for part in range(plan.parts):
            worker.make(part)

    return work


def plain_round(preparation: Preparation, texts: list[str], language: str, backend: Any) -> Callable[[], None]:
    """A function that finds tokens and units of ``texts`` one by one."""
    import ahocorasick_rs
    import rjieba

    segmenter, cutter = rjieba.Jieba(), backend.pre_tokenizer
    lexicons = [annotator for annotator in preparation.annotators if isinstance(annotator, Lexicon)]
    leftmost = ahocorasick_rs.MatchKind.LeftmostLongest
    matchers = [
        (lexicon.level, ahocorasick_rs.AhoCorasick(lexicon._entries.surfaces, matchkind=leftmost))
        for lexicon in lexicons
    ]

    def words(text: str) -> list[tuple[int, int]]:
        if language == "zh":
            return [(start, end) for _, start, end in segmenter.tokenize(text, "default", True) if end - start > 1]
        return [(start, end) for _, (start, end) in cutter.pre_tokenize_str(text) if end - start > 1]

    def work() -> None:
        rows = []
        for text in texts:
            encoding = backend.encode(text, add_special_tokens=False)
            offsets = encoding.offsets
            starts, ends = [pair[0] for pair in offsets], [pair[1] for pair in offsets]
            spans: dict[str, list[tuple[int, int]]] = {"word": words(text)}
            for level, matcher in matchers:
                spans.setdefault(level, []).extend(found[1:] for found in matcher.find_matches_as_indexes(text))
            units: dict[str, list[tuple[int, int]]] = {}
            for level, found in spans.items():
                units[level] = []
                for start, end in sorted(found):
                    first, last = bisect_left(starts, start), bisect_left(ends, end)
                    if first < len(starts) and last < len(ends) and starts[first] == start and ends[last] == end:
                        units[level].append((first, last + 1 - first))
            rows.append((encoding.ids, units))

    return work


def measured(work: Callable[[], None]) -> float:
    """Processor seconds of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main(file: Path, sizes: list[int]) -> None:
    """Print documents/s and ratios by language and size."""
    from tokenizers import Tokenizer as Backend

    preparation = read_config(Preparation, file, [])
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        corpus = {
            language: [document.text for document in documents_of(preparation, language, 2 * MOST_BYTES)]
            for language in ("zh", "en")
        }
        sample = work / "sample.jsonl"
        rows = [
            json.dumps({"text": piece}, ensure_ascii=False)
            for texts in corpus.values()
            for piece in pieces(texts, 5000)[:300]
        ]
        sample.write_text("\n".join(rows), encoding="utf-8")
        small = replace(
            preparation,
            corpora=[Jsonl(paths=[str(sample)])],
            output=str(work / "vocabulary"),
            annotators=[],
            engine=Local(workers=1),
        )
        prepare(small, lambda progress: None)
        tokenizer = work / "vocabulary" / "tokenizer"
        backend = Backend.from_file(str(tokenizer / "tokenizer.json"))
        print(f"{file}: documents/s of one core, processor time, the best of {ROUNDS} rounds in turn")
        for language, texts in corpus.items():
            for size in sizes:
                chosen = pieces(texts, size)
                folder = work / f"{language}-{size}"
                folder.mkdir()
                ours, plain = (
                    kmask_round(preparation, chosen, tokenizer, folder),
                    plain_round(preparation, chosen, language, backend),
                )
                ours()
                rounds = [(measured(ours), measured(plain)) for _ in range(ROUNDS)]
                one, two = (min(seconds) for seconds in zip(*rounds, strict=True))
                mean = sum(len(text.encode()) for text in chosen) / len(chosen)
                print(
                    f"{language} {mean:6.0f} bytes x {len(chosen):6,d}   kmask {len(chosen) / one:8,.0f} ({1e6 * one / len(chosen):7.1f} us each)   "
                    f"plain loop {len(chosen) / two:8,.0f} ({1e6 * two / len(chosen):7.1f} us)   {two / one:5.2f} x",
                    flush=True,
                )


if __name__ == "__main__":
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else "configs/data/demo.yaml"),
        [int(size) for size in sys.argv[2:]] or [67, 500, 5000],
    )
