"""spaCy pipelines that the user has: found by name or folder, loaded without what is not needed, identified by content.

    pipeline("en_core_web_sm")   an installed package
    pipeline("./my_ner")         a folder written by ``nlp.to_disk``
    pipeline("zh")               a blank pipeline of a language: its tokenizer and nothing else

Nothing is ever downloaded. spaCy keeps every word it ever met, about 4 MB for each MB of new text; so that memory does
not grow with the corpus, a pipeline is loaded again (and the old one freed) whenever it has met many new words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_prep.documents import Document, Spans
from data_prep.files import sha256_file, sha256_json

LANGUAGE_CODE = re.compile("[a-z]{2,3}")
NEVER_NEEDED = frozenset(
    {"textcat", "textcat_multilabel", "spancat", "spancat_singlelabel", "span_finder", "entity_linker"}
)
"""Factories whose components no use here depends on."""
RECOGNISERS = frozenset({"ner", "beam_ner"})
SENTENCES = frozenset({"senter", "sentencizer"})
LEMMATIZERS = frozenset({"lemmatizer", "trainable_lemmatizer"})
PARSERS = frozenset({"parser", "beam_parser"})
TAGGERS = frozenset({"tagger", "morphologizer", "attribute_ruler"})
MODELS = RECOGNISERS | SENTENCES | LEMMATIZERS | PARSERS | TAGGERS | {"tok2vec", "transformer", "curated_transformer"}
"""Components that do not look at each other's annotations, except at embeddings."""
BATCH_SENTENCES = 128
MOST_NEW_WORDS = 250_000


@lru_cache(maxsize=8)
def pipeline(name: str, unneeded: frozenset[str] = frozenset()) -> Pipeline:
    """The pipeline of that name, one object a process.

    Components of ``unneeded`` factories are left out if all components are models: rules and components of the user's
    own may look at anything that other components annotate.
    """
    return Pipeline(name, unneeded)


class Pipeline:
    """A spaCy pipeline that stays within bounds."""

    def __init__(self, name: str, unneeded: frozenset[str]) -> None:
        self.name, self.unneeded = name, unneeded
        self._nlp: Any = None
        self.components: list[str] = []
        """Its components as it was saved, those left out here included; known once it is loaded."""
        self._most_words = 0

    @property
    def nlp(self) -> Any:
        """The pipeline itself, read-only; ask for it once a document.

        Raises:
            ValueError: there is none of that name, or it cannot be loaded here; says what to do.
        """
        if self._nlp is None or len(self._nlp.vocab.strings) > self._most_words:
            self._nlp = None
            self._nlp, self.components = _load(self.name, self.unneeded)
            self._most_words = len(self._nlp.vocab.strings) + MOST_NEW_WORDS
        return self._nlp

    def reads(self, document: Document, languages: Sequence[str]) -> bool:
        """Is the document in one of ``languages``, or, when none is named, in the pipeline's own (`xx` is every
        language)?"""
        if languages:
            return document.language in languages
        return self.nlp.lang in (document.language, "xx")

    def analysed(self, document: Document, sentences_S2: Spans) -> Iterator[tuple[int, Any]]:
        """Each sentence's start and its spaCy ``Doc``, in order. A batch holds sentences of one document, so none
        depends on another document."""
        sentences = sentences_S2.tolist()
        docs = self.nlp.pipe((document.text[start:end] for start, end in sentences), batch_size=BATCH_SENTENCES)
        for (start, _), doc in zip(sentences, docs, strict=True):
            yield start, doc

    def identity(self) -> dict[str, Any]:
        """Name, language and versions, and a hash of the files of its folder: what decides its annotations."""
        from importlib.metadata import version

        files: dict[str, str] = {}
        if self.nlp.path is not None:
            folder = Path(self.nlp.path)
            found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
            files = {path.relative_to(folder).as_posix(): sha256_file(path) for path in found}
        return {
            "name": self.nlp.meta.get("name", ""),
            "language": self.nlp.lang,
            "version": self.nlp.meta.get("version", ""),
            "components": list(self.nlp.pipe_names),
            "files": sha256_json(files) if files else "",
            "spacy": version("spacy"),
        }


def _load(name: str, unneeded: frozenset[str]) -> tuple[Any, list[str]]:
    import spacy

    try:
        nlp = spacy.blank(name) if LANGUAGE_CODE.fullmatch(name) and not Path(name).is_dir() else spacy.load(name)
    except (OSError, ImportError, ValueError) as error:
        raise ValueError(
            f"spaCy pipeline {name!r} cannot be loaded: {' '.join(str(error).split())[:400]} Nothing is downloaded "
            "here: install the pipeline's package, or give the folder that `nlp.to_disk(folder)` wrote."
        ) from None
    components = list(nlp.pipe_names)
    _drop(nlp, NEVER_NEEDED)
    if all(factory in MODELS for factory in factories(nlp).values()):
        _drop(nlp, unneeded)
    for component in list(nlp.pipe_names):
        # Embeddings that no remaining component listens to.
        listeners = getattr(nlp.get_pipe(component), "listening_components", None)
        if unneeded and listeners is not None and not set(listeners) & set(nlp.pipe_names):
            nlp.remove_pipe(component)
    return nlp, components


def factories(nlp: Any) -> dict[str, str]:
    """Component -> the factory that made it, in order."""
    return {name: nlp.get_pipe_meta(name).factory.rpartition(".")[2] for name in nlp.pipe_names}


def _drop(nlp: Any, unwanted: frozenset[str]) -> None:
    for component, factory in factories(nlp).items():
        if factory in unwanted:
            nlp.remove_pipe(component)
