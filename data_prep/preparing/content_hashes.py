"""What settings alone do not tell about a preparation: the files of its word lists and of an adopted vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.component_settings import settings_of
from data_prep.files import sha256_file
from data_prep.segmenters import Segmenter
from data_prep.vocabularies.tokenizer_folders import check_folder
from data_prep.vocabularies.vocabulary import Vocabulary


def word_list_hashes(segmenter: Segmenter) -> dict[str, Any]:
    """Hashes of a segmenter's user dictionaries and lexicons, of those it has."""
    found: dict[str, list[str]] = {
        name: paths for name in ("user_words", "lexicons") if (paths := getattr(segmenter, name, []))
    }
    for name, paths in found.items():
        for path in paths:
            if not Path(path).is_file():
                raise FileNotFoundError(f"{name} {path}: no such file (looked from {Path.cwd()})")
    _ = getattr(segmenter, "dictionary", None)  # a malformed line is told now, not by every worker
    return {name: [sha256_file(Path(path)) for path in paths] for name, paths in found.items()}


def vocabulary_files(vocabulary: Vocabulary) -> dict[str, Any]:
    """Hashes of an adopted tokenizer's files."""
    folder = Path(vocabulary.path)
    check_folder(folder)
    files = [
        folder / name for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json") if (folder / name).is_file()
    ]
    return {"files": {file.name: sha256_file(file) for file in files}}


def segmenter_settings(segmenter: Segmenter) -> dict[str, Any]:
    """A segmenter's settings, its word lists by content, and its version."""
    return {
        **settings_of(segmenter, drop=("user_words", "lexicons")),
        **word_list_hashes(segmenter),
        "version": segmenter.version(),
    }


def vocabulary_settings(vocabulary: Vocabulary) -> dict[str, Any]:
    """How a vocabulary is trained, or the files of the one that is adopted."""
    return vocabulary_files(vocabulary) if vocabulary.path else settings_of(vocabulary, drop=("path",))
