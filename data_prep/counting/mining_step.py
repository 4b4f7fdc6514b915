"""Mining as a corpus-wide step: parts -> blocks of tokens -> entries (mining.py) -> lexicon.tsv."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.annotating.annotation import Annotation
from data_prep.counting.collocations import write_counts
from data_prep.counting.mining import Entry, Mining, select
from data_prep.counting.ngrams import StoredTokenBlock, TokenBlock, TokenKeys
from data_prep.documents import Document
from data_prep.files import write_atomic
from data_prep.running.steps import Step
from masking.keyed import hash_key, uniform

LEXICON = "lexicon.tsv"
COLUMNS = ("surface", "score", "count", "npmi", "left entropy", "right entropy", "example")


@dataclass(frozen=True, kw_only=True)
class MiningStep(Step):
    """Mining as a corpus-wide step."""

    mining: Mining
    annotation: Annotation
    """Finds the words."""
    share: float
    """Of the documents that are read, in (0, 1]."""
    name: str = "mining"

    def fingerprint(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self.mining), "share": self.share, "rules": 1}

    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        blocks = {language: TokenBlock(TokenKeys(language)) for language in self.mining.languages}
        written = 0
        for _, document in documents:
            if document.language not in blocks or uniform(hash_key("mining", document.id), 0) >= self.share:
                continue
            blocks[document.language].add(document, self.annotation.words(document))
            if blocks[document.language].full:
                self._write(blocks[document.language], folder / f"{document.language}-{written:06d}")
                blocks[document.language] = TokenBlock(blocks[document.language].keys)
                written += 1
        for language, block in blocks.items():
            self._write(block, folder / f"{language}-{written:06d}")

    @staticmethod
    def _write(block: TokenBlock, folder: Path) -> None:
        if block.write(folder):
            write_counts(StoredTokenBlock(folder))

    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        blocks = [StoredTokenBlock(path) for part in folders for path in sorted(part.iterdir()) if path.is_dir()]
        entries = select(blocks, self.mining, self.annotation.languages, folder) if blocks else []
        write_lexicon(folder / LEXICON, entries, {**dataclasses.asdict(self.mining), "share": self.share})


def write_lexicon(file: Path, found: Sequence[Entry], settings: dict[str, Any]) -> None:
    """Write the reviewable list."""
    notes = [
        (
            "Mined by `kmask lexicon mine`: delete the lines that are no terms, then name this file under `annotators` "
            "(kind: lexicon, origin: mined)."
        ),
        f"{len(found)} entries; " + " ".join(f"{key}={value}" for key, value in settings.items()),
        "\t".join(COLUMNS),
    ]
    lines = [f"# {note}" for note in notes]
    lines += [
        f"{e.surface}\t{e.score:.3f}\t{e.count}\t{e.npmi:.3f}\t{e.left:.3f}\t{e.right:.3f}\t{e.example}" for e in found
    ]
    write_atomic(file, "\n".join(lines) + "\n")
