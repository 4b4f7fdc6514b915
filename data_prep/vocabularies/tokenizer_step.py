"""The tokenizer as a corpus-wide step: words are counted where the parts are read, and the pieces are made of all
counts, once.

map      a part's documents (all, or the passages of sampling.py)  ->  counts.json: characters and words, as the
         tokenizer sees them
reduce   the counts of all parts added up  ->  the files of a tokenizer folder
place    PREPARED/tokenizer/: a copy, made again when it is not what was trained
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.component_settings import settings_of
from data_prep.documents import Document
from data_prep.files import staged_folder
from data_prep.running.rounds import STEP, remove_stale
from data_prep.running.steps import Step
from data_prep.vocabularies.vocabulary import Vocabulary, bert_normalizer
from data_prep.vocabularies.vocabulary_training import WordTally

COUNTS = "counts.json"


@dataclass(frozen=True, kw_only=True)
class TokenizerStep(Step):
    """Trains a vocabulary, or takes an existing one."""

    vocabulary: Vocabulary
    name: str = "vocabulary"

    def fingerprint(self) -> dict[str, Any]:
        return settings_of(self.vocabulary, drop=("path",))  # the content of an existing one is in the plan

    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        tally = WordTally(bert_normalizer(self.vocabulary.lowercase))
        for _, document in documents:
            tally.add(document.text.encode(errors="replace").decode())  # half a surrogate pair is no text
        tally.write(folder / COUNTS)

    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        tally = WordTally(bert_normalizer(self.vocabulary.lowercase))
        for part in folders:
            tally.join(part / COUNTS)
        self.vocabulary.make_counted(folder, tally)


def place_tokenizer(made: Path, folder: Path) -> None:
    """Copy the tokenizer from the step's result to ``folder``, unless it is there."""
    files = [file for file in made.iterdir() if file.name != STEP]

    def is_good() -> bool:
        return all(
            (folder / file.name).is_file() and (folder / file.name).read_bytes() == file.read_bytes() for file in files
        )

    if is_good():
        return
    remove_stale(folder, is_good)
    with staged_folder(folder) as staging:
        for file in files:
            shutil.copyfile(file, staging / file.name)
