"""F1 of words, single characters included, on segmented text; with and without a dictionary of the same kind of
text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from data_prep.segmenters import Segmenter
from data_prep.segmenters.jieba import Jieba
from data_prep.segmenters.rjieba import Rjieba
from data_prep.segmenters.spacy import Spacy
from quality.gold_sets import words
from quality.scores import Score, table

WORD_SETS = {
    "as": "cws/as_test_gold.utf8.gz",
    "cityu": "cws/cityu_test_gold.utf8.gz",
    "wtb dev": "cws/wtb_dev.conll.gz",
    "gsdsimp dev": "cws/zh_gsdsimp-ud-dev.conllu.gz",
}


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
    rows = [
        [name, *(cell for gold in sets.values() for cell in word_score(segmenter, gold).cells())]
        for name, segmenter in plain.items()
    ]
    head = ["", *(cell for name in sets for cell in (f"{name} P", "R", "F1"))]
    table(
        "Precision, recall and F1 of words (%)",
        head,
        [["sentences", *(cell for gold in sets.values() for cell in ("", "", f"{len(gold):,}"))], *rows],
    )
    rows = []
    with TemporaryDirectory() as temporary:
        for name, gold in sets.items():
            seen, measured = (
                (words(data / "cws/wtb_train.conll.gz"), gold)
                if name == "wtb dev"
                else (gold[: len(gold) // 2], gold[len(gold) // 2 :])
            )
            dictionaries: dict[str, list[str]] = {"none": []}
            for title, least in (("all words", 2), ("3 characters and more", 3)):
                own = dict.fromkeys(word for sentence in seen for word in sentence if len(word) >= least)
                file = Path(temporary) / f"{least}.txt"
                file.write_text("".join(f"{word}\n" for word in own), encoding="utf-8")
                dictionaries[f"{title} ({len(own):,})"] = [str(file)]
            rows.append([f"{name}, {len(measured):,} sentences", *[""] * 4])
            for title, chosen in dictionaries.items():
                segmenters = [kind(hmm=hmm, user_words=chosen) for kind in (Rjieba, Jieba) for hmm in (True, False)]
                rows.append([f"  {title}", *(word_score(segmenter, measured).cells()[2] for segmenter in segmenters)])
    table(
        "F1 of words with a user dictionary: words of the set's first half, measured on the second (wtb: train, dev)",
        ["", *list(plain)[:4]],
        rows,
    )
