"""How good are words, entities, chunks and token spans? Measured on gold sets; one command prints all tables.

    python benchmarks/train_spacy.py                                  (once; entities and chunks need its pipelines)
    python benchmarks/bench_quality.py [words] [entities] [chunks] [alignment] [--tokenizer FOLDER]          (default: all parts)

    words       F1 of words, single characters included, on segmented text; with and without a dictionary of the set's own words
    entities    gold entities whose edges are edges of units; precision, recall and F1 of the entity level by source
    chunks      noun phrases by rule against CoNLL-2000's, with trained tags and with the gold ones; Chinese ones to look at
    alignment   every character unit of all raw text looked up in the tokenizer's offsets (tests/data_prep/test_alignment.py)

Run from the repository's root. Spans count as equal when both edges are; F1 = 2PR / (P + R).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from gold_sets import Chunked, Marked, chunked, entities, words, written
from train_spacy import divided

from data_prep.annotation import WORD, Annotation
from data_prep.annotators import Annotator
from data_prep.annotators.chunks import ENGLISH, Chunks
from data_prep.annotators.lexicon import Lexicon
from data_prep.annotators.part_of_speech import PartOfSpeech
from data_prep.annotators.spacy_pipeline import SpacyPipeline
from data_prep.corpora import Slice
from data_prep.documents import Document, Record
from data_prep.plan import Preparation
from data_prep.segmenters import Segmenter
from data_prep.segmenters.jieba import Jieba
from data_prep.segmenters.rjieba import Rjieba
from data_prep.segmenters.spacy import Spacy
from data_prep.sentences import split_sentences
from data_prep.tag_patterns import TagMatcher
from launch.config import read_config

REAL = Path("benchmarks/real/data.yaml")
WORD_SETS = {
    "as": "cws/as_test_gold.utf8.gz",
    "cityu": "cws/cityu_test_gold.utf8.gz",
    "wtb dev": "cws/wtb_dev.conll.gz",
    "gsdsimp dev": "cws/zh_gsdsimp-ud-dev.conllu.gz",
}
ENTITY_SETS = {
    "people's daily dev": ("zh", "ner/zh/peoples_daily_example.dev.gz"),
    "people's daily test": ("zh", "ner/zh/peoples_daily_example.test.gz"),
    "weibo dev": ("zh", "ner/zh/weibo_dev.conll.gz"),
    "cluener train": ("zh", "ner/zh/cluener_train.json.gz"),
    "wnut17 dev": ("en", "ner/en/wnut17dev.conll.gz"),
    "gum dev": ("en", "ner/en/gum_dev.conllu.gz"),
}
TYPED = ("PER", "LOC", "ORG")
SANITY = (
    "他喜欢古典音乐，也研究现代汉语语法。",
    "中国科学家最近发表了一项重要的研究成果。",
    "这家公司已经完成了新产品的开发工作。",
    "昨天晚上我们在上海的老房子里吃了一顿非常好吃的饭。",
)


class Score(NamedTuple):
    """Spans in common, found, and in the gold set."""

    common: int = 0
    found: int = 0
    gold: int = 0

    def plus(self, found: Iterable[Any], gold: Iterable[Any]) -> Score:
        """With the spans of one more text."""
        found, gold = set(found), set(gold)
        return Score(self.common + len(found & gold), self.found + len(found), self.gold + len(gold))

    def cells(self) -> list[str]:
        """Precision, recall and F1 in per cent."""
        precision, recall = self.common / max(1, self.found), self.common / max(1, self.gold)
        return [f"{100 * value:.1f}" for value in (precision, recall, 2 * precision * recall / max(1e-9, precision + recall))]


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}\n")
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))))
    sys.stdout.flush()


# Words


def word_score(segmenter: Segmenter, sentences: Sequence[Sequence[str]]) -> Score:
    """Over the sentences' words joined without spaces, as the SIGHAN bakeoffs do it."""
    score = Score()
    for sentence in sentences:
        ends = np.cumsum([len(word) for word in sentence]).tolist()
        long = segmenter.words("".join(sentence)).tolist()
        inside = {character for start, end in long for character in range(start, end)}
        found = [*map(tuple, long), *((place, place + 1) for place in range(ends[-1]) if place not in inside)]
        score = score.plus(found, zip([0, *ends], ends, strict=False))
    return score


def bench_words(data: Path) -> None:
    """Plain segmenters on whole sets, then with a dictionary of words of the same kind of text."""
    sets = {name: words(data / file) for name, file in WORD_SETS.items()}
    plain: dict[str, Segmenter] = {
        **{f"rjieba, hmm {state}": Rjieba(hmm=state == "on") for state in ("on", "off")},
        **{f"jieba, hmm {state}": Jieba(hmm=state == "on") for state in ("on", "off")},
        "spacy, blank zh": Spacy(pipeline="zh"),
    }
    rows = [[name, *(cell for gold in sets.values() for cell in word_score(segmenter, gold).cells())] for name, segmenter in plain.items()]
    head = ["P, R, F1 of words", *(cell for name in sets for cell in (name, "", ""))]
    table("Words", head, [["sentences", *(cell for gold in sets.values() for cell in ("", "", f"{len(gold):,}"))], *rows])
    rows = []
    with TemporaryDirectory() as temporary:
        for name, gold in sets.items():
            seen, measured = (words(data / "cws/wtb_train.conll.gz"), gold) if name == "wtb dev" else (gold[: len(gold) // 2], gold[len(gold) // 2 :])
            file = Path(temporary) / "words.txt"
            own = dict.fromkeys(word for sentence in seen for word in sentence if len(word) > 1)
            file.write_text("".join(f"{word}\n" for word in own), encoding="utf-8")
            cells = [
                word_score(kind(hmm=hmm, user_words=chosen), measured).cells()[2]
                for kind in (Rjieba, Jieba)
                for hmm in (True, False)
                for chosen in ([], [str(file)])
            ]
            rows.append([name, f"{len(own):,}", f"{len(measured):,}", *cells])
    head = ["F1 of words without, with", "words", "sentences", *(cell for name in list(plain)[:4] for cell in (name, "with"))]
    table("Words with a user dictionary: the words of the set's first half, measured on the second (wtb: train part, dev part)", head, rows)


# Entities


def sources(preparation: Preparation, language: str, models: Path) -> dict[str, list[Annotator]]:
    """The ways to find entities that are compared; within each, earlier ones win."""
    lexicons: list[Annotator] = [annotator for annotator in preparation.annotators if isinstance(annotator, Lexicon)]
    untitled = [annotator for annotator in lexicons if isinstance(annotator, Lexicon) and annotator.type != "TITLE"]
    hints: list[Annotator] = [PartOfSpeech(level="entity")]
    recogniser: list[Annotator] = [SpacyPipeline(level="entity", pipeline=str(models / f"{language}_ner"))]
    found: dict[str, list[Annotator]] = {"words only": [], "lexicons": lexicons, "lexicons without titles": untitled}
    if language == "zh":
        found |= {"POS hints": hints, "lexicons + hints": [*lexicons, *hints]}
    return {**found, "spaCy NER": recogniser, "all, lexicons first": [*lexicons, *recogniser, *hints], "all, NER first": [*recogniser, *lexicons, *hints]}


def bench_entities(data: Path, models: Path) -> None:
    """Two tables: edges, and the entity level."""
    preparation = read_config(Preparation, REAL, [])
    edges: list[list[str]] = []
    level: list[list[str]] = []
    for name, (language, file) in ENTITY_SETS.items():
        gold = entities(data / file)
        total = sum(len(sentence.entities) for sentence in gold)
        edges.append([f"{name}: {total:,} entities", *[""] * 3])
        level.append([edges[-1][0], *[""] * 7])
        for source, annotators in sources(preparation, language, models).items():
            row, scores = entity_rows(annotation_of(preparation, annotators), gold, language)
            edges.append([f"  {source}", *row])
            if annotators:
                level.append([f"  {source}", *scores])
    table("Gold entities at the edges of units (%)", ["", "both edges", "exactly one unit", "words cut of 1,000"], edges)
    table(
        "The entity level against the gold entities (%); typed: PER, LOC and ORG on both sides, others left out",
        ["", "found", "P", "R", "F1", "typed P", "typed R", "typed F1"],
        level,
    )


def annotation_of(preparation: Preparation, annotators: Sequence[Annotator]) -> Annotation:
    """The preparation's segmenters with these annotators."""
    labels = dict.fromkeys([WORD, *(label for annotator in annotators for label in annotator.labels())])
    return Annotation(segmenters=preparation.segmenters, annotators=annotators, labels={label: number for number, label in enumerate(labels)})


def entity_rows(annotation: Annotation, gold: Sequence[Marked], language: str) -> tuple[list[str], list[str]]:
    """Cells of both tables for one way to find entities."""
    kinds = [label.type for label in annotation.labels]
    fitting = whole = cut = seen = 0
    plain, typed = Score(), Score()
    for text, marked in gold:
        document = Document(id="", language=language, text=text, title="", source="")
        annotated = annotation.annotate(document)
        spans = {name: set(zip(units.start_U.tolist(), units.end_U.tolist(), strict=True)) for name, units in annotated.units.items()}
        inside = {place for start, end in spans["word"] for place in range(start + 1, end)}
        listed = set[tuple[int, int]]().union(*spans.values())
        on_edges = {(start, end) for start, end, _ in marked if start not in inside and end not in inside}
        fitting += len(on_edges)
        whole += sum(span in listed or span[1] - span[0] == 1 for span in on_edges)
        cut += annotated.dropped.get("word cut by a higher unit or a sentence end", 0)
        seen += len(spans["word"])
        units = annotated.units.get("entity")
        found = set(zip(units.start_U.tolist(), units.end_U.tolist(), (kinds[label] for label in units.label_U), strict=True)) if units else set()
        plain = plain.plus((span[:2] for span in found), (span[:2] for span in marked))
        typed = typed.plus((span for span in found if span[2] in TYPED), (span for span in marked if span[2] in TYPED))
    total = max(1, plain.gold)
    shares = [f"{100 * fitting / total:.1f}", f"{100 * whole / total:.1f}", f"{1000 * cut / max(1, seen):.1f}"]
    return shares, [f"{plain.found:,}", *plain.cells(), *typed.cells()]


# Chunks


def chunk_scores(sentences: Sequence[Chunked], tagger: str, least: int) -> dict[str, Score]:
    """Noun phrases of at least ``least`` words: with gold tags on gold words, and with a pipeline's own on the text as in print."""
    matcher = TagMatcher(ENGLISH)
    noun_phrase = list(ENGLISH).index("NP")
    chunks = Chunks(level="phrase", tagger=tagger, min_words=1)
    scores = {"gold tags": Score(), "trained tagger": Score()}
    for sentence in sentences:
        wanted = {(first, end) for first, end, kind in sentence.chunks if kind == "NP" and end - first >= least}
        matched = {(first, end) for first, end, kind in matcher.find(sentence.tags, []) if kind == noun_phrase and end - first >= least}
        scores["gold tags"] = scores["gold tags"].plus(matched, wanted)
        shown, spaces = written(sentence.words)
        end_W = np.cumsum([len(word) + space for word, space in zip(shown, spaces, strict=True)]).tolist()
        start_W = [0, *end_W[:-1]]
        text = "".join(word + " " * space for word, space in zip(shown, spaces, strict=True))
        document = Document(id="", language="en", text=text, title="", source="")
        units = chunks.annotate(document, split_sentences(document.characters)[0])
        found = zip(units.start_U.tolist(), units.end_U.tolist(), units.label_U.tolist(), strict=True)
        phrases = {(start, end) for start, end, kind in found if kind == noun_phrase and sum(start <= place < end for place in start_W) >= least}
        scores["trained tagger"] = scores["trained tagger"].plus(phrases, {(start_W[first], start_W[end - 1] + len(shown[end - 1])) for first, end in wanted})
    return scores


def tag_accuracy(sentences: Sequence[Chunked], pipeline: str) -> float:
    """Share of right tags, over gold words."""
    import spacy
    from spacy.tokens import Doc

    nlp = spacy.load(pipeline)
    right = total = 0
    for sentence in sentences:
        shown, spaces = written(sentence.words)
        doc = nlp(Doc(nlp.vocab, words=shown, spaces=spaces))
        right += sum(token.tag_ == tag for token, tag in zip(doc, sentence.tags, strict=True))
        total += len(doc)
    return right / total


def possessives_joined(sentence: Chunked) -> Chunked:
    """The same with noun phrases that begin at a possessive mark joined to the one before: [the bank] ['s chairman] is one."""
    joined: list[tuple[int, int, str]] = []
    for first, end, kind in sentence.chunks:
        if kind == "NP" and sentence.tags[first] == "POS" and joined and joined[-1][1:] == (first, "NP"):
            joined[-1] = (joined[-1][0], end, kind)
        else:
            joined.append((first, end, kind))
    return sentence._replace(chunks=tuple(joined))


def bench_chunks(data: Path, models: Path) -> None:
    """English against gold, Chinese to look at."""
    tagger = str(models / "en_tagger")
    sentences = divided(chunked(data / "chunk/conll2000_train.txt.gz"))[1]
    kinds = {
        "of two words or more": (2, sentences),
        "all": (1, sentences),
        "of two words or more, possessives joined": (2, [*map(possessives_joined, sentences)]),
    }
    rows = []
    for name, (least, measured) in kinds.items():
        rows += [[f"{name}, {tags}", f"{score.gold:,}", f"{score.found:,}", *score.cells()] for tags, score in chunk_scores(measured, tagger, least).items()]
    title = f"English noun phrases of the rules against CoNLL-2000's, last {len(sentences):,} sentences (%); the tagger's accuracy there is"
    table(f"{title} {100 * tag_accuracy(sentences, tagger):.1f} %", ["noun phrases", "gold", "found", "P", "R", "F1"], rows)
    print("\nChinese chunks of the rules, with rjieba's tags\n")
    chunks = Chunks(level="phrase")
    for text in SANITY:
        document = Document(id="", language="zh", text=text, title="", source="")
        units = chunks.annotate(document, split_sentences(document.characters)[0])
        for start, end, label in reversed(list(zip(units.start_U.tolist(), units.end_U.tolist(), units.label_U.tolist(), strict=True))):
            text = f"{text[:start]}[{text[start:end]}]{chunks.labels()[label].type}{text[end:]}"
        print(text)


# Alignment


def documents(preparation: Preparation) -> Iterator[Document]:
    """The cleaned documents of a preparation's corpora."""
    for corpus in preparation.corpora:
        for path in corpus.files():
            for piece in corpus.survey(path, 1 << 40).slices:
                for record in corpus.read(Slice(*piece)):
                    document = preparation.cleaning.clean(record, path.name.removesuffix(".jsonl.gz")) if isinstance(record, Record) else record
                    if isinstance(document, Document):
                        yield document


def bench_alignment(data: Path, folder: Path) -> None:
    """Look up every unit of every raw document."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "data_prep"))
    from test_alignment import Alignment, added, backend_of, check

    from data_prep.encoding import Tokenizer, encode

    preparation = read_config(Preparation, REAL, [])
    preparation = replace(preparation, corpora=[replace(preparation.corpora[0], paths=[str(data / f"raw/{language}/*.jsonl.gz") for language in ("zh", "en")])])
    annotation = annotation_of(preparation, [*preparation.annotators, PartOfSpeech(level="hint"), Chunks(level="chunk")])
    tokenizer, backend = Tokenizer(folder=folder), backend_of(folder)
    results: dict[str, dict[str, Alignment]] = {}
    counted, characters, begun = dict[str, int](), 0, time.monotonic()
    for document in documents(preparation):
        annotated = annotation.annotate(document)
        result = check(annotated, encode(annotated, tokenizer), backend)
        results[document.source] = added([results.get(document.source, {}), result])
        counted[document.source] = counted.get(document.source, 0) + 1
        characters += len(document.text)
    rows = [[f"{source}, {level}", *(f"{count:,}" for count in counts)] for source, levels in results.items() for level, counts in levels.items()]
    rows += [[f"all, {level}", *(f"{count:,}" for count in counts)] for level, counts in added(list(results.values())).items()]
    head = ["", *(name.replace("_", " ") for name in Alignment._fields)]
    table(f"Units of {sum(counted.values()):,} documents ({characters:,} characters) against the tokenizer's offsets", head, rows)
    print(f"\n{time.monotonic() - begun:.0f} s; token ids equal to the tokenizers library's on every document")


def main() -> None:
    """Print the tables of the parts that were named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="words, entities, chunks, alignment (default: all)")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the gold sets")
    parser.add_argument("--models", type=Path, default=Path("runs/quality"), help="what benchmarks/train_spacy.py wrote")
    parser.add_argument("--tokenizer", type=Path, default=Path("runs/real/data/tokenizer"), help="a tokenizer folder, for alignment")
    arguments = parser.parse_args()
    known = {
        "words": lambda: bench_words(arguments.data),
        "entities": lambda: bench_entities(arguments.data, arguments.models),
        "chunks": lambda: bench_chunks(arguments.data, arguments.models),
        "alignment": lambda: bench_alignment(arguments.data, arguments.tokenizer),
    }
    if unknown := set(arguments.parts) - set(known):
        parser.error(f"{', '.join(sorted(unknown))} unknown; choose from {', '.join(known)}")
    for part in arguments.parts or known:
        known[part]()


if __name__ == "__main__":
    main()
