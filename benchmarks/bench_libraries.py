"""Own code beside the libraries that could stand in its place: speed and equality of what comes out.

    python benchmarks/bench_libraries.py [DATA_YAML [MEGABYTES]]     (default: benchmarks/real/data.yaml, 4 MB of
                                                                     Chinese)

Three comparisons, processor time of one process, best of three: lexicon matches against ahocorasick_rs, words against
jieba and rjieba, wikitext against mwparserfromhell (on pages made of the corpus' own texts, with links, templates,
references and tables put in). A library that is not installed is left out with the reason.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.annotators.lexicon import Lexicon, Matcher
from data_prep.documents import Document, Record
from data_prep.inputs.wikitext import Wikitext
from data_prep.preparing.plan import Preparation
from data_prep.segmenters.compiled_jieba import CompiledJieba
from data_prep.segmenters.jieba import Jieba
from data_prep.segmenters.rjieba import Rjieba
from launch.settings.components import read_config

ROUNDS = 3


def chinese(preparation: Preparation, size: float) -> list[str]:
    """Cleaned Chinese texts."""
    return list(_within(_texts(preparation), size))


def _texts(preparation: Preparation) -> Iterator[str]:
    for corpus in preparation.corpora:
        for path in corpus.files():
            for piece in corpus.survey(path, 1 << 22).slices:
                for record in corpus.read(piece):
                    document = preparation.cleaning.clean(record, "") if isinstance(record, Record) else None
                    if isinstance(document, Document) and document.language == "zh":
                        yield document.text


def _within(texts: Iterator[str], size: float) -> Iterator[str]:
    for text in texts:
        if size <= 0:
            return
        yield text
        size -= len(text.encode())


def speed(work: Callable[[str], Any], texts: list[str]) -> tuple[float, list[Any]]:
    """MB/s of processor time, and what came out."""
    size, found = sum(len(text.encode()) for text in texts), [work(text) for text in texts]
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for text in texts:
            work(text)
        best = min(best, time.process_time() - begun)
    return size / best / 1e6, found


def missing(name: str) -> bool:
    """Is a library not here? Says so."""
    if find_spec(name) is None:
        print(f"  {name} is not installed: left out")
        return True
    return False


def lexicons(preparation: Preparation, texts: list[str]) -> None:
    """Entries of Han characters alone: where Latin words begin and end is a rule that the library does not have."""
    found = {entry for one in preparation.annotators if isinstance(one, Lexicon) for entry in one._entries.surfaces}
    entries = sorted(entry for entry in found if all("\u4e00" <= character <= "\u9fff" for character in entry))
    print(f"lexicon, {len(entries):,} entries")
    begun = time.process_time()
    matcher = Matcher.over(entries, np.zeros((len(entries), 1), np.int16))
    built = time.process_time() - begun
    nothing = np.zeros((0, 2), np.int32)

    def ours(text: str) -> list[tuple[int, int]]:
        units = matcher.find(Document(id="", language="zh", text=text, title="", source=""), nothing, nothing)[0].units
        return list(zip(units.start_U.tolist(), units.end_U.tolist(), strict=True))

    mine, expected = speed(ours, texts)
    print(f"  ours               {mine:8.1f} MB/s, built in {built:.1f} s")
    if missing("ahocorasick_rs"):
        return
    import ahocorasick_rs

    begun = time.process_time()
    automaton = ahocorasick_rs.AhoCorasick(entries, matchkind=ahocorasick_rs.MatchKind.LeftmostLongest)
    built = time.process_time() - begun
    theirs, matches = speed(
        lambda text: [(start, end) for _, start, end in automaton.find_matches_as_indexes(text)], texts
    )
    same = sum(a == b for a, b in zip(expected, matches, strict=True))
    print(
        f"  ahocorasick_rs     {theirs:8.1f} MB/s, built in {built:.1f} s; ours {mine / theirs:.1f} x, equal in {same:,} of {len(texts):,} texts"
    )


def segmenters(texts: list[str]) -> None:
    """Words of Chinese."""
    print("words")
    engines = {"jieba": Jieba(), "rjieba": Rjieba(), "compiled_jieba": CompiledJieba()}
    reference: list[Any] = []
    for name, engine in engines.items():
        rate, found = speed(lambda text, engine=engine: np.asarray(engine.words(text)).reshape(-1, 2).tolist(), texts)  # type: ignore[misc]
        reference = reference or found
        same = sum(len({*map(tuple, a)} & {*map(tuple, b)}) for a, b in zip(reference, found, strict=True))
        total = sum(len(one) for one in reference)
        print(f"  {name:18s} {rate:8.2f} MB/s, {same:,} of {total:,} of jieba's words, {sum(map(len, found)):,} in all")


def page(text: str) -> str:
    """A page as an editor writes it: the text, with marks in its lines and things around them that a reader does not
    see."""
    lines = [line for line in text.split("\n") if line]
    marked = [
        f"'''{line[:4]}'''[[{line[4:8]}|{line[4:8]}]]{line[8:]}<ref name=a>{{{{cite|title={line[:6]}|year=1999}}}}</ref>"
        for line in lines
    ]
    box = "{{Infobox\n| name = x\n| list = {{flat|a|b}}\n}}\n{| class=wikitable\n! a !! b\n|-\n| 1 || 2\n|}\n"
    return box + "\n\n== 节 ==\n".join(marked) + "\n[[Category:甲]]\n"


def wikitext(texts: list[str]) -> None:
    """Pages to plain text; what a reader sees is the text that the page was made of."""
    print("wikitext")
    pages = [page(text) for text in texts if len(text) > 200][:400]
    expected = ["\n".join(line for line in text.split("\n") if line) for text in texts if len(text) > 200][:400]
    programs: dict[str, Callable[[str], str]] = {"ours": Wikitext(variant="zh-hans", shown_templates={}).plain}
    if not missing("mwparserfromhell"):
        import mwparserfromhell  # type: ignore[import-not-found, unused-ignore]

        programs["mwparserfromhell"] = lambda text: str(mwparserfromhell.parse(text).strip_code())
    rates = {}
    for name, program in programs.items():
        rates[name], found = speed(program, pages)
        alike = [
            SequenceMatcher(None, a.replace("节", "")[:2000], b.replace("节", "")[:2000], autojunk=False).ratio()
            for a, b in zip(expected, found, strict=True)
        ]
        print(
            f"  {name:18s} {rates[name]:8.2f} MB/s, {np.mean(alike):.1%} alike to the text, {rates['ours'] / rates[name]:.1f} x"
        )


def main(arguments: list[str]) -> None:
    """All three."""
    preparation = read_config(Preparation, Path(arguments[0] if arguments else "benchmarks/real/data.yaml"), [])
    texts = chinese(preparation, float(arguments[1]) * 1e6 if len(arguments) > 1 else 4e6)
    print(f"{len(texts):,} Chinese texts, {sum(len(text.encode()) for text in texts) / 1e6:.1f} MB")
    lexicons(preparation, texts)
    segmenters(texts)
    wikitext(texts)


if __name__ == "__main__":
    main(sys.argv[1:])
