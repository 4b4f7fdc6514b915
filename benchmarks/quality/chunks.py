"""Noun phrases by rule against CoNLL-2000's, with a trained tagger and with the gold tags; Chinese ones to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.annotators.chunks import ENGLISH, Chunks
from data_prep.documents import Document
from data_prep.sentences import split_sentences
from data_prep.tagging.tag_patterns import TagMatcher
from quality.gold_sets import Chunked, chunked, divided, written
from quality.scores import Score, table

SANITY = (
    "他喜欢古典音乐，也研究现代汉语语法。",
    "中国科学家最近发表了一项重要的研究成果。",
    "这家公司已经完成了新产品的开发工作。",
    "昨天晚上我们在上海的老房子里吃了一顿非常好吃的饭。",
)


def chunk_scores(sentences: Sequence[Chunked], tagger: str, least: int) -> dict[str, Score]:
    """Noun phrases of at least ``least`` words: with gold tags on gold words, and with a pipeline's own on the text as
    in print."""
    matcher = TagMatcher(ENGLISH)
    noun_phrase = list(ENGLISH).index("NP")
    chunks = Chunks(level="phrase", tagger=tagger, min_words=1)
    scores = {"gold tags": Score(), "trained tagger": Score()}
    for sentence in sentences:
        wanted = {(first, end) for first, end, kind in sentence.chunks if kind == "NP" and end - first >= least}
        matched = {
            (first, end)
            for first, end, kind in matcher.find(sentence.tags, [])
            if kind == noun_phrase and end - first >= least
        }
        scores["gold tags"] = scores["gold tags"].plus(matched, wanted)
        shown, spaces = written(sentence.words)
        end_W = np.cumsum([len(word) + space for word, space in zip(shown, spaces, strict=True)]).tolist()
        start_W = [0, *end_W[:-1]]
        text = "".join(word + " " * space for word, space in zip(shown, spaces, strict=True))
        document = Document(id="", language="en", text=text, title="", source="")
        units = chunks.annotate(document, split_sentences(document.characters)[0])
        found = zip(units.start_U.tolist(), units.end_U.tolist(), units.label_U.tolist(), strict=True)
        phrases = {
            (start, end)
            for start, end, kind in found
            if kind == noun_phrase and sum(start <= place < end for place in start_W) >= least
        }
        scores["trained tagger"] = scores["trained tagger"].plus(
            phrases, {(start_W[first], start_W[end - 1] + len(shown[end - 1])) for first, end in wanted}
        )
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


def bench_chunks(data: Path, models: Path) -> None:
    """English against gold, Chinese to look at."""
    tagger = str(models / "en_tagger")
    sentences = divided(chunked(data / "chunk/conll2000_train.txt.gz"))[1]
    rows = []
    for name, least in (("of two words or more", 2), ("all", 1)):
        rows += [
            [f"{name}, {tags}", f"{score.gold:,}", f"{score.found:,}", *score.cells()]
            for tags, score in chunk_scores(sentences, tagger, least).items()
        ]
    title = f"English noun phrases of the rules against CoNLL-2000's, last {len(sentences):,} sentences (%); the tagger's accuracy there is"
    table(
        f"{title} {100 * tag_accuracy(sentences, tagger):.1f} %",
        ["noun phrases", "gold", "found", "P", "R", "F1"],
        rows,
    )
    print("\nChinese chunks of the rules, with rjieba's tags\n")
    chunks = Chunks(level="phrase")
    for text in SANITY:
        document = Document(id="", language="zh", text=text, title="", source="")
        units = chunks.annotate(document, split_sentences(document.characters)[0])
        for start, end, label in reversed(
            list(zip(units.start_U.tolist(), units.end_U.tolist(), units.label_U.tolist(), strict=True))
        ):
            text = f"{text[:start]}[{text[start:end]}]{chunks.labels()[label].type}{text[end:]}"
        print(text)
