"""Parts of speech: a document -> its tokens and what each one is, by rjieba, jieba, or a spaCy pipeline's tagger.

    "他在北京大学读书"  ->  start_T [0, 1, 2, 6], end_T [1, 2, 6, 8], tags ["r", "p", "nt", "n"]

Tagger(engine="rjieba")            jieba's dictionary tags, fast
Tagger(engine="jieba")             jieba.posseg: tags chosen in context, some fifty times slower
Tagger(engine="en_core_web_sm")    fine tags (Penn's for English) of a spaCy pipeline the user has, universal ones if it
                                   has no others

Shape legend: T tokens, S sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.documents import Document, Spans
from data_prep.files import sha256_file
from data_prep.pieces import places
from data_prep.portable import Portable
from data_prep.segmenters.jieba import Jieba
from data_prep.segmenters.rjieba import Rjieba
from data_prep.spacy_pipelines import LEMMATIZERS, PARSERS, RECOGNISERS, SENTENCES, Pipeline, pipeline

JIEBA_ENGINES, JIEBA_LANGUAGES = ("rjieba", "jieba"), ("zh",)
UNNEEDED = RECOGNISERS | SENTENCES | LEMMATIZERS | PARSERS


class Tagged(NamedTuple):
    """The tokens of a document."""

    start_T: npt.NDArray[np.int32]
    end_T: npt.NDArray[np.int32]
    tags: list[str]


@dataclass(frozen=True, kw_only=True)
class Tagger(Portable):
    """One source of parts of speech. Sent to worker processes; engines load on first use."""

    engine: str
    """`rjieba`, `jieba`, or the name or folder of a spaCy pipeline with a tagger."""
    hmm: bool = True
    """Of the jieba engines: join unknown characters into words with the hidden Markov model."""
    user_words: Sequence[str] = ()
    """Of the jieba engines: dictionary files whose words and tags are added."""

    @cached_property
    def _pipeline(self) -> Pipeline:
        found = pipeline(self.engine, UNNEEDED)
        if not {"token.tag", "token.pos"} & {
            item for name in found.nlp.pipe_names for item in found.nlp.get_pipe_meta(name).assigns
        }:
            raise ValueError(
                f"spaCy pipeline {self.engine!r} has no component that tags parts of speech (its components: "
                f"{', '.join(found.components) or 'none'})"
            )
        return found

    @cached_property
    def _jieba(self) -> Any:
        if self.engine == "rjieba":
            return Rjieba(user_words=list(self.user_words)).engine
        from jieba.posseg import POSTokenizer

        return POSTokenizer(Jieba(user_words=list(self.user_words)).engine)

    def reads(self, document: Document, languages: Sequence[str]) -> bool:
        """Is the document in one of ``languages``, or, when none is named, in the engine's own?"""
        if self.engine not in JIEBA_ENGINES:
            return self._pipeline.reads(document, languages)
        return document.language in (languages or JIEBA_LANGUAGES)

    def tag(self, document: Document, sentences_S2: Spans) -> Tagged:
        """Every token of the document in order; tokens of spaCy lie in sentences, those of jieba fill the text."""
        if self.engine not in JIEBA_ENGINES:
            return self._tag_sentences(document, sentences_S2)
        if self.engine == "rjieba":
            pairs = self._jieba.tag(document.text, self.hmm)
        else:
            pairs = [(pair.word, pair.flag) for pair in self._jieba.lcut(document.text, HMM=self.hmm)]
        return Tagged(*places([word for word, _ in pairs], document.text), [tag for _, tag in pairs])

    def _tag_sentences(self, document: Document, sentences_S2: Spans) -> Tagged:
        from spacy.attrs import IDX, LENGTH

        starts: list[npt.NDArray[np.int32]] = [np.zeros(0, np.int32)]
        ends: list[npt.NDArray[np.int32]] = [np.zeros(0, np.int32)]
        tags: list[str] = []
        for start, doc in self._pipeline.analysed(document, sentences_S2):
            table_T2 = doc.to_array([IDX, LENGTH]).astype(np.int32)
            starts.append(start + table_T2[:, 0])
            ends.append(start + table_T2.sum(1, dtype=np.int32))
            tags += [token.tag_ or token.pos_ for token in doc]
        return Tagged(np.concatenate(starts), np.concatenate(ends), tags)

    def fingerprint(self) -> dict[str, Any]:
        """What decides the tags."""
        if self.engine not in JIEBA_ENGINES:
            return {"pipeline": self._pipeline.identity()}
        from importlib.metadata import version
        from pathlib import Path

        words = [sha256_file(Path(path)) for path in self.user_words]
        return {"engine": self.engine, "version": version(self.engine), "hmm": self.hmm, "user_words": words}
