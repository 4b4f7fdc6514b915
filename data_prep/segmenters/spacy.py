"""Words by spaCy's tokenizer: a blank pipeline of a language, or one the user has installed. Nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from data_prep.documents import Span
from data_prep.segmenters import Segmenter


@dataclass(frozen=True, kw_only=True)
class Spacy(Segmenter):
    """spaCy's tokenizer."""

    pipeline: str = "en"
    """A language code for a blank pipeline (`en`), or the name or folder of an installed one (`en_core_web_sm`)."""

    @cached_property
    def _nlp(self) -> Any:
        import spacy

        try:
            return spacy.blank(self.pipeline) if len(self.pipeline) <= 3 else spacy.load(self.pipeline)
        except (OSError, ImportError) as error:
            raise ValueError(f"spaCy pipeline {self.pipeline!r} cannot be loaded: {error}") from None

    def words(self, text: str) -> list[Span]:
        spans = ((token.idx, token.idx + len(token)) for token in self._nlp.tokenizer(text) if not token.is_space)
        return [Span(start, end) for start, end in spans if end - start > 1]

    def version(self) -> str:
        from importlib.metadata import version

        return f"spacy {version('spacy')} {self.pipeline} {self._nlp.meta.get('version', '')}".strip()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_nlp"}
