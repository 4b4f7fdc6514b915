"""Words by spaCy's tokenizer: a blank pipeline of a language, or one the user has installed. Nothing is downloaded.

    "Dr. Li doesn't"  ->  Dr. | Li | does | n't  ->  [[0, 3], [4, 6], [7, 11], [11, 14]]

White space between words is no word.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.documents import Spans
from data_prep.files import sha256_json
from data_prep.pieces import long_spans
from data_prep.segmenters import Segmenter
from data_prep.spacy_pipelines import pipeline


@dataclass(frozen=True, kw_only=True)
class Spacy(Segmenter):
    """spaCy's tokenizer."""

    pipeline: str = "en"
    """A language code for a blank pipeline (`en`), or the name or folder of an installed one (`en_core_web_sm`)."""

    def words(self, text: str) -> Spans:
        from spacy.attrs import IDX, IS_SPACE, LENGTH

        table_T3 = pipeline(self.pipeline).nlp.tokenizer(text).to_array([IDX, LENGTH, IS_SPACE])
        table_T3 = table_T3[table_T3[:, 2] == 0].astype(np.int32)
        return long_spans(table_T3[:, 0], table_T3[:, 0] + table_T3[:, 1])

    def version(self) -> str:
        known = pipeline(self.pipeline).identity()
        return " ".join(
            ["spacy", known["spacy"], known["name"] or known["language"], known["version"], sha256_json(known)[:12]]
        )
