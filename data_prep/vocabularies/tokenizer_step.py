"""The tokenizer as a corpus-wide step: the texts it is trained on are read by the engine, and it is made once.

map      every n-th part -> texts.jsonl, cleaned
reduce   the texts in order, up to `train_characters` -> the files of a tokenizer folder
place    PREPARED/tokenizer/: a copy, made again when it is not what was trained
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.documents import Document
from data_prep.files import staged_folder
from data_prep.running.steps import STEP, Step, take_away
from data_prep.running.surveying import settings_of
from data_prep.vocabularies.vocabulary import Vocabulary

TEXTS = "texts.jsonl"


def sampled_parts(plan: dict[str, Any], characters: int) -> range:
    """The parts that hold about so many characters, evenly over the corpus: all, or every n-th."""
    total = sum(item["size"] for item in plan["inputs"])
    return range(0, len(plan["parts"]), max(1, total // (2 * characters)))  # at about two bytes a character


@dataclass(frozen=True, kw_only=True)
class TokenizerStep(Step):
    """Trains a vocabulary, or takes an existing one."""

    vocabulary: Vocabulary
    name: str = "vocabulary"

    def fingerprint(self) -> dict[str, Any]:
        return settings_of(self.vocabulary, drop=("path",))  # the content of an existing one is in the plan

    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        import orjson

        read = 0
        with (folder / TEXTS).open("wb") as file:
            for _, document in documents:
                file.write(orjson.dumps(document.text.encode(errors="replace").decode()) + b"\n")  # half a surrogate pair is no text
                read += len(document.text)
                if read > self.vocabulary.train_characters:
                    return

    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        self.vocabulary.make(folder, self.texts(folders))

    def texts(self, folders: Sequence[Path]) -> Iterator[str]:
        """What was mapped, in order, up to the limit."""
        import orjson

        read = 0
        for part in folders:
            with (part / TEXTS).open("rb") as lines:
                for line in lines:
                    text = orjson.loads(line)
                    read += len(text)
                    yield text
            if read > self.vocabulary.train_characters:
                return


def place_tokenizer(made: Path, folder: Path) -> None:
    """Copy the tokenizer from the step's result to ``folder``, unless it is there."""
    files = [file for file in made.iterdir() if file.name != STEP]

    def is_good() -> bool:
        return all((folder / file.name).is_file() and (folder / file.name).read_bytes() == file.read_bytes() for file in files)

    if is_good():
        return
    take_away(folder, is_good)
    with staged_folder(folder) as staging:
        for file in files:
            shutil.copyfile(file, staging / file.name)
