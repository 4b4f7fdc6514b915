"""Random and mutated files for every corpus reader and for the lexicon parsers: no crash, no hang, nothing lost
silently.

    python tests/data_prep/fuzz_readers.py --inputs 100000 [--only jsonl-gz ...] [--start 0]

Input number n of a target is a pure function of its name and n, so a failure is repeated with `--only TARGET --start n
--inputs 1`. What holds for every input (test_fuzz.py tries a few of them):

1. a reader raises nothing but ValueError and OSError, with a message that names the file, and ends within SECONDS
2. every byte of the file belongs to one document, whose result is a Record, a Rejected, or nothing where there is only
   white space (or a header); every row of a table is a Record or a Rejected
3. texts are storable (no lone surrogates) and not empty; given spans are sorted, disjoint and inside the text; lines
   are counted right
4. slices of any size, with and without a cache, give the same results; so does a compressed copy
"""

from __future__ import annotations

import argparse
import bz2
import faulthandler
import gzip
import io
import json
import lzma
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_prep.corpora import Corpus, LineCorpus, Survey
from data_prep.documents import Record, Rejected

SECONDS = 20
"""An input that takes longer counts as a hang."""
CHUNK = 5000
SUFFIXES = ("", ".gz", ".zst", ".bz2", ".xz")
WORDS = [
    *(
        "江水东流",
        "北京烤鸭",
        "dragon",
        "the",
        "of,",
        "3.14",
        "“引号”",
        "。",
        "！",
        "café",
        "𠀀𪛖",
        "👩‍👩‍👧",
        "ｆｕｌｌ",
        "かな",
        "한국",
        "http://a.b",
    ),
    *("\u3000", "\ufeff", "\u2028", "\x00", "naïve", "--", "……", "e\u0301"),
]
WIKI = [
    "'''数学'''（{{lang|en|Mathematics}}）是-{zh-hans:信息;zh-hant:資訊}-[[数|數]]。",
    "<ref name=x>a</ref>",
    "== 历史 ==\n* 古代\n",
    "{| class=x\n|-\n| a || b\n|}\n",
    "[[File:a.jpg|thumb|[[b]]]]",
    "<nowiki>[[</nowiki>",
    "<!-- x -->",
    "{{Infobox|a={{b|c}}}}",
    "-{H|zh:a;zh-tw:b}-",
    "&nbsp;&#xD800;&lt;",
    "[http://x y]",
    "{{{1|d}}}",
    "#REDIRECT [[x]]",
    "[[Category:x]]",
    "<br/>",
]


# --- valid files
# ----------------------------------------------------------------------------------------------------------------


def words(rng: random.Random, most: int = 12) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, most)))


def json_line(rng: random.Random, value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=rng.random() < 0.2).encode() + rng.choice([b"\n", b"\n", b"\r\n"])


def jsonl(rng: random.Random) -> bytes:
    def value() -> dict[str, Any]:
        return {
            "text": words(rng),
            "id": rng.choice([1, "a", None]),
            "title": words(rng, 2),
            "lang": rng.choice(["zh", "en", "fr"]),
        }

    return b"".join(json_line(rng, value()) for _ in range(rng.randint(0, 8)))


def annotated(rng: random.Random) -> bytes:
    lines = []
    for _ in range(rng.randint(0, 8)):
        text = words(rng)
        edges = sorted(rng.randint(-1, len(text) + 1) for _ in range(2 * rng.randint(0, 3)))
        spans: list[Any] = [
            [start, end, rng.choice(["PER", "TERM", "W", "X"])]
            for start, end in zip(edges[::2], edges[1::2], strict=True)
        ]
        spans = [
            dict(zip(("start", "end", "label"), span, strict=True)) if rng.random() < 0.3 else span for span in spans
        ]
        lines.append(json_line(rng, {"text": text, "spans": spans}))
    return b"".join(lines)


def plain(rng: random.Random) -> bytes:
    return "\n".join(words(rng) for _ in range(rng.randint(0, 12))).encode()


def extracted(rng: random.Random) -> bytes:
    def article(number: int) -> str:
        title = words(rng, 2)
        body = "\n".join(words(rng) for _ in range(rng.randint(0, 4)))
        return f'<doc id="{number}" url="https://x?curid={number}" title="{title}">\n{title}\n\n{body}\n</doc>\n'

    return "\n".join(article(number) for number in range(rng.randint(0, 5))).encode()


def dump(rng: random.Random) -> bytes:
    from xml.sax.saxutils import escape

    pages = ['<mediawiki xmlns="x" version="0.11">\n  <siteinfo>\n    <sitename>W</sitename>\n  </siteinfo>\n']
    for number in range(rng.randint(0, 4)):
        text = escape(
            "".join(rng.choice([*WIKI, words(rng, 4), "\n"]) for _ in range(rng.randint(0, 14))).replace("\x00", "")
        )
        redirect = '    <redirect title="x" />\n' if rng.random() < 0.1 else ""
        head = f"  <page>\n    <title>T{number}</title>\n    <ns>{rng.choice([0, 0, 0, 10])}</ns>\n    <id>{number}</id>\n{redirect}"
        model = rng.choice(["wikitext", "wikitext", "css"])
        pages.append(
            f"{head}    <revision>\n      <model>{model}</model>\n      <text bytes='1'>{text}</text>\n    </revision>\n  </page>\n"
        )
    return "".join([*pages, "</mediawiki>\n"]).encode()


def table(rng: random.Random) -> Any:
    import pyarrow as pa

    rows = rng.randint(0, 12)
    texts = pa.array(
        [rng.choice([None, words(rng), words(rng)]) for _ in range(rows)], rng.choice([pa.string(), pa.large_string()])
    )
    if rng.random() < 0.2:
        texts = texts.dictionary_encode()
    columns = {
        "text": texts,
        "id": pa.array(range(rows), pa.int64()),
        "title": pa.array([words(rng, 2) for _ in range(rows)]),
        "other": pa.array([1.5] * rows),
    }
    return pa.table(
        {
            name: columns[name]
            for name in rng.sample(sorted(columns), len(columns))
            if name == "text" or rng.random() < 0.8
        }
    )


def parquet(rng: random.Random) -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    compression = rng.choice(["none", "snappy", "zstd", "gzip"])
    pq.write_table(
        table(rng),
        sink,
        row_group_size=rng.randint(1, 6),
        compression=compression,
        write_page_checksum=rng.random() < 0.5,
    )
    return sink.getvalue()


def arrow_stream(rng: random.Random) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    content = table(rng)
    with pa.ipc.new_stream(sink, content.schema) as stream:
        stream.write_table(content, max_chunksize=rng.randint(1, 6))
    return bytes(sink.getvalue())


def pairs_text(separator: str) -> Callable[[random.Random], bytes]:
    def write(rng: random.Random) -> bytes:
        rows = [
            ["first", "second", "label"],
            *([words(rng, 4), words(rng, 4), rng.choice("012")] for _ in range(rng.randint(0, 8))),
        ]
        quoted = [[f'"{cell}"' if separator == "," and rng.random() < 0.5 else cell for cell in row] for row in rows]
        return "".join(separator.join(row) + rng.choice(["\n", "\r\n"]) for row in quoted).encode()

    return write


def pairs_jsonl(rng: random.Random) -> bytes:
    return b"".join(
        json_line(rng, {"first": words(rng), "second": words(rng), "label": rng.choice([0, "1", True])})
        for _ in range(rng.randint(0, 8))
    )


def triples_jsonl(rng: random.Random) -> bytes:
    return b"".join(
        json_line(
            rng,
            {
                "text": words(rng),
                "triples": [[words(rng, 1) for _ in range(rng.choice([2, 3, 3, 3]))] for _ in range(rng.randint(0, 3))],
            },
        )
        for _ in range(rng.randint(0, 8))
    )


def searches_jsonl(rng: random.Random) -> bytes:
    def title() -> dict[str, object]:
        return {"title": rng.choice([words(rng), "", 7]), "clicked": rng.choice([True, False, 3, -1, "yes", None])}

    return b"".join(
        json_line(rng, {"query": words(rng, 3), **rng.choice([{"titles": [title() for _ in range(3)]}, title()])})
        for _ in range(rng.randint(0, 8))
    )


def dialogues_jsonl(rng: random.Random) -> bytes:
    def turn() -> object:
        return rng.choice([words(rng), {"role": rng.choice("QRZ"), "text": words(rng)}, {"text": ""}, 7])

    return b"".join(
        json_line(rng, {"turns": [turn() for _ in range(rng.randint(0, 5))]}) for _ in range(rng.randint(0, 8))
    )


def entries(rng: random.Random) -> bytes:
    lines = [
        words(rng, 3),
        f"{words(rng, 2)}\tLOC",
        f"{words(rng, 2)}\tLOC\t{rng.randint(0, 99)}",
        f"{rng.choice(WORDS)} {rng.randint(0, 9)} nz",
        json.dumps({"label": "LOC", "pattern": words(rng, 3)}),
        json.dumps({"label": "LOC", "pattern": [{"LOWER": "rome"}, {"ORTH": words(rng, 1)}]}),
        f"{words(rng, 2)}\t0.7\t42\tx",
        "# surface score count",
        "",
    ]
    chosen = rng.sample(lines, rng.randint(1, len(lines)))
    return "".join(
        rng.choice(chosen) + rng.choice(["\n", "\n", "\r\n", "\r"]) for _ in range(rng.randint(0, 10))
    ).encode()


# --- mutations
# ------------------------------------------------------------------------------------------------------------------


def mutated(rng: random.Random, content: bytes, other: bytes, gently: bool = False) -> bytes:
    """``content`` after a few random changes; ``other`` lends pieces. ``gently`` flips a few bits only, so that more is
    read."""
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 8])):
        start = rng.randint(0, len(content))
        end = min(len(content), start + rng.choice([1, 2, 10, 100, 1000]))
        change = 0 if gently else rng.randrange(10)
        if change == 0 and start < len(content):
            flipped = bytes([content[start] ^ 1 << rng.randrange(8)])
            content = content[:start] + flipped + content[start + 1 :]
        elif change == 1:
            content = content[:start]
        elif change == 2:
            content = content[:start] + content[end:]
        elif change == 3:
            content = content[:end] + content[start:]
        elif change == 4:
            at = rng.randint(0, len(other))
            content = content[:start] + other[at:]
        elif change == 5:
            content = content[:start] + rng.randbytes(end - start) + content[end:]
        elif change == 6:
            content = (
                content[:start]
                + rng.choice(
                    [
                        b"\n",
                        b"\r",
                        b"\n\n",
                        b"\x00",
                        b"\xff",
                        b'"',
                        b"\xef\xbb\xbf",
                        b"{",
                        b"<",
                        b"\t",
                        b"</doc>",
                        b"  <page>\n",
                    ]
                )
                + content[start:]
            )
        elif change == 7:
            content = content.decode("utf-8", "replace").encode(
                rng.choice(["utf-16", "utf-16-le", "gb18030", "utf-8-sig", "utf-7"]), "replace"
            )
        elif change == 8:
            content = content[:start] + content[start:end] * rng.randint(2, 6) + content[end:]
        else:
            content = content[end:] + content[:start]
    return content


def compressed(content: bytes, suffix: str) -> bytes:
    import zstandard

    if suffix == ".gz":
        return gzip.compress(content, 1, mtime=0)
    return {"": bytes, ".zst": zstandard.compress, ".bz2": bz2.compress, ".xz": partial(lzma.compress, preset=0)}[
        suffix
    ](content)


# --- targets
# --------------------------------------------------------------------------------------------------------------------


def reader(kind: str, **settings: Any) -> Corpus:
    from launch.settings.components import find_kind

    cls = find_kind(Corpus, kind)
    assert cls is not None
    made: Corpus = cls(**settings)
    return made


@dataclass(frozen=True)
class Target:
    """A reader with settings, and how valid files for it are made."""

    kind: str
    make: Callable[[random.Random], bytes]
    settings: dict[str, Any] = field(default_factory=dict)
    header: Callable[[bytes], bool] = lambda raw: False
    """Is this a part of the file that rightly gives no result, besides white space?"""
    folder: str = ""
    """For datasets: the name of the file inside a folder."""


def is_wiki_header(raw: bytes) -> bool:
    return not any(mark in raw for mark in (b"<page", b"</page", b"<text", b"</text"))


PAIRS = {"classes": ["0", "1", "true"]}
TARGETS = {
    "jsonl": Target("jsonl", jsonl),
    **{
        f"plain_text-{document}": Target("plain_text", plain, {"document": document})
        for document in ("file", "block", "line")
    },
    **{
        f"pre_segmented-{document}": Target("pre_segmented", plain, {"document": document})
        for document in ("file", "block", "line")
    },
    "conll": Target("conll", plain, {"kinds": ["PER"]}),
    "annotated_jsonl": Target(
        "annotated_jsonl", annotated, {"kinds": ["PER", "TERM", "W"], "levels": {"TERM": "phrase", "W": "word"}}
    ),
    "wikiextractor-plain": Target("wikiextractor", extracted, {"output": "plain"}),
    "wikiextractor-json": Target("wikiextractor", jsonl, {"output": "json"}),
    "wiki_dump": Target("wiki_dump", dump, header=is_wiki_header),
    "parquet": Target("parquet", parquet),
    "hub_dataset-saved": Target("hub_dataset", arrow_stream, folder="data-00000-of-00001.arrow"),
    "hub_dataset-jsonl": Target("hub_dataset", jsonl, folder="train.jsonl"),
    "hub_dataset-parquet": Target("hub_dataset", parquet, folder="train.parquet"),
    "pairs-jsonl": Target("pairs", pairs_jsonl, {**PAIRS, "format": "jsonl"}),
    "pairs-tsv": Target("pairs", pairs_text("\t"), {**PAIRS, "format": "tsv"}, header=lambda raw: True),
    "triples": Target("triples", triples_jsonl),
    "search_log": Target("search_log", searches_jsonl),
    "dialogues": Target("dialogues", dialogues_jsonl, {"roles": ["Q", "R"]}),
    "pairs-csv": Target("pairs", pairs_text(","), {**PAIRS, "format": "csv"}, header=lambda raw: True),
    "lexicon": Target("", entries),
}


class BrokenRuleError(Exception):
    """An input for which something does not hold."""


def check(condition: bool, message: str, *details: Any) -> None:
    if not condition:
        raise BrokenRuleError(f"{message} {' '.join(map(repr, details))[:1500]}")


def try_input(name: str, number: int, folder: Path, counts: Counter[str]) -> None:
    """Make input ``number`` of a target and check what must hold.

    Raises:
        BrokenRuleError: it does not.
    """
    target = TARGETS[name]
    rng = random.Random(f"{name}/{number}")
    suffix = rng.choice(SUFFIXES) if rng.random() < 0.4 and target.kind not in ("parquet", "hub_dataset") else ""
    gently = target.kind in ("parquet", "hub_dataset") and rng.random() < 0.5
    content = mutated(rng, target.make(rng), target.make(rng), gently)
    if rng.random() < 0.08:
        content = rng.randbytes(rng.choice([0, 1, 5, 50, 500]))
    packed = compressed(content, suffix)
    if suffix and rng.random() < 0.3:
        packed, content = mutated(rng, packed, compressed(target.make(rng), suffix)), b""
    file = folder / (target.folder or f"input{suffix}")
    file.write_bytes(packed)
    if not target.kind:
        try_lexicon(file, rng, counts)
        return
    path = folder if target.folder else file
    if target.folder.endswith(".arrow"):
        (folder / "state.json").write_text(STATE, encoding="utf-8")
        (folder / "dataset_info.json").write_text("{}", encoding="utf-8")
    corpus = reader(target.kind, paths=[str(path)], source="s", **target.settings)
    small = rng.choice([1, 2, 10, 50, 200])
    whole = outcome(corpus, target, path, 1 << 30, None, content if suffix == "" or content else None)
    cut = outcome(corpus, target, path, small, None, None)
    kept = (
        outcome(corpus, target, path, small, folder / "cache", None) if suffix or target.kind == "hub_dataset" else cut
    )
    for name_, other in (("slices", cut), ("cache", kept)):
        if isinstance(whole, list) and isinstance(other, list):
            check(whole == other, f"{name_} of {small} bytes differ", whole, other)
        elif target.kind not in ("parquet", "hub_dataset"):
            check(type(whole) is type(other), f"{name_}: one fails", whole, other)
    if isinstance(whole, list):
        counts.update("record" if isinstance(item, Record) else item.reason for item in whole)
    counts["refused files" if isinstance(whole, str) else "read files"] += 1


STATE = json.dumps(
    {
        "_data_files": [{"filename": "data-00000-of-00001.arrow"}],
        "_fingerprint": "f",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
)


def outcome(
    corpus: Corpus, target: Target, path: Path, slice_bytes: int, cache: Path | None, content: bytes | None
) -> list[Record | Rejected] | str:
    """All results of a file, or the message of the error that refuses it."""
    try:
        survey = corpus.survey(path, slice_bytes, cache)
        results = (
            read_lines(corpus, target, survey, cache, content)
            if isinstance(corpus, LineCorpus)
            else read_rows(corpus, survey, cache)
        )
    except (ValueError, OSError) as error:
        check(str(path) in str(error), "an error that does not name the file", error)
        return str(error)
    for item in results:
        check(item.place.path == str(path), "wrong path", item)
        json.dumps(item._asdict(), ensure_ascii=False).encode()
        if isinstance(item, Record):
            check(bool(item.text.strip()) and bool(item.id), "an empty text or id", item)
            for spans in item.given.values():
                edges = [edge for span in spans for edge in (span.start, span.end)]
                check(
                    edges == sorted(edges) and all(span.start < span.end for span in spans), "spans out of order", item
                )
                check(not edges or (edges[0] >= 0 and edges[-1] <= len(item.text)), "spans outside", item)
    return results


def read_lines(
    corpus: LineCorpus, target: Target, survey: Survey, cache: Path | None, content: bytes | None
) -> list[Record | Rejected]:
    """The results of all slices; checks that every byte is accounted for."""
    seen: list[tuple[int, bytes]] = []
    parse_all = type(corpus).parse_all

    def spy(raw: bytes, place: Any, source: str) -> list[Record | Rejected]:
        seen.append((place.offset, raw))
        results = list(parse_all(corpus, raw, place, source))
        check(
            bool(results) or not raw.decode("utf-8", "replace").strip() or target.header(raw),
            "a part without result",
            raw,
        )
        check(content is None or place.line == content[: place.offset].count(b"\n") + 1, "wrong line", place)
        return results

    object.__setattr__(corpus, "parse_all", spy)
    results = [item for piece in survey.slices for item in corpus.read(piece, cache)]
    position = 0
    for offset, raw in seen:
        check(offset == position or (position == 0 and offset == 3), "a gap or overlap at", position, offset)
        position = offset + len(raw)
    check(position == survey.size or survey.size == 0, "bytes at the end are lost", position, survey.size)
    check(content is None or survey.size == len(content), "wrong size", survey.size)
    return results


def read_rows(corpus: Corpus, survey: Survey, cache: Path | None) -> list[Record | Rejected]:
    """The results of all slices; checks that every row is accounted for."""
    results: list[Record | Rejected] = []
    for piece in survey.slices:
        check(piece.start == len(results), "a gap or overlap at", piece)
        results += corpus.read(piece, cache)
        check(piece.end == len(results), "rows are lost", piece, len(results))
    check([item.place.line for item in results] == list(range(1, len(results) + 1)), "wrong rows")
    return results


def try_lexicon(file: Path, rng: random.Random, counts: Counter[str]) -> None:
    from data_prep.word_lists.lexicons import FORMATS, load_entries

    try:
        found = load_entries(
            [str(file)], min_characters=1, on_malformed=rng.choice(["refuse", "skip"]), format=rng.choice(FORMATS)
        )
    except (ValueError, OSError) as error:
        check(str(file) in str(error), "an error that does not name the file", error)
        counts["refused files"] += 1
        return
    check(len(found.surfaces) == len(found.types) == len(set(found.surfaces)), "entries are not distinct")
    check(all(surface.strip() for surface in found.surfaces), "an empty entry")
    check(all(str(file) in problem for problem in found.malformed), "a problem without its file", found.malformed)
    "".join([*found.surfaces, *found.types]).encode()
    counts["read files"] += 1
    counts["entries"] += len(found.surfaces)
    counts["malformed lines"] += len(found.malformed)


# --- running
# --------------------------------------------------------------------------------------------------------------------


def inputs(name: str, start: int, count: int, folder: Path) -> Iterator[tuple[int, str]]:
    """Try inputs and yield (number, problem) for each that fails; the counts of what came out are printed by
    ``main``."""
    counts: Counter[str] = Counter()
    for number in range(start, start + count):
        place = folder / str(number)
        place.mkdir()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            try_input(name, number, place, counts)
        except Exception as error:
            yield number, f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            shutil.rmtree(place, ignore_errors=True)
    COUNTS.update(counts)


COUNTS: Counter[str] = Counter()


def hang(signum: int, frame: Any) -> None:
    raise BrokenRuleError(f"no end within {SECONDS} s")


def chunk(name: str, start: int, count: int, folder: Path) -> int:
    """Try one chunk in this process; prints problems and counts as JSON lines."""
    faulthandler.enable()
    signal.signal(signal.SIGALRM, hang)
    os.environ["HF_HUB_OFFLINE"] = "1"
    import logging

    logging.disable(logging.CRITICAL)
    failures = 0
    for number, problem in inputs(name, start, count, folder):
        failures += 1
        print(json.dumps({"target": name, "input": number, "problem": problem}), flush=True)
    print(json.dumps({"counts": COUNTS}), flush=True)
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument(
        "--folder",
        type=Path,
        help="work in this process, without chunks, and in this folder (used for the chunks themselves)",
    )
    arguments = parser.parse_args()
    if arguments.folder:
        return (
            1 if sum(chunk(name, arguments.start, arguments.inputs, arguments.folder) for name in arguments.only) else 0
        )
    failed = 0
    for name in arguments.only:
        began, counts, problems = time.monotonic(), Counter[str](), 0
        for start in range(arguments.start, arguments.start + arguments.inputs, CHUNK):
            count = min(CHUNK, arguments.start + arguments.inputs - start)
            command = [sys.executable, __file__, "--only", name, "--start", str(start), "--inputs", str(count)]
            with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
                run = subprocess.run([*command, "--folder", folder], capture_output=True, text=True, check=False)
                in_work = "".join(sorted(place.name for place in Path(folder).iterdir()))
            lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
            counts.update(next((line["counts"] for line in lines if "counts" in line), {}))
            found = [line for line in lines if "problem" in line]
            if not any("counts" in line for line in lines):
                found.append(
                    {"target": name, "input": in_work, "problem": f"crash {run.returncode}: {run.stderr[:1500]}"}
                )
            for line in found:
                print(f"{line['target']} {line['input']}: {line['problem'][:600]}", flush=True)
            problems += len(found)
        failed += problems
        seconds = time.monotonic() - began
        shown = ", ".join(f"{key} {value:,}" for key, value in counts.most_common(14))
        print(f"{name}: {arguments.inputs:,} inputs, {problems} problems, {seconds:.0f} s ({shown})", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
