"""What will be done, before anything is done: the settings, the inputs by content, and the parts.

    Preparation (from YAML)  --survey the files-->  plan: settings, hashes, labels, parts [input, start, end, line, size]

The plan is pure: equal inputs and settings give an equal plan, and its fingerprint names the shards. A folder that was begun
with another plan is refused with the difference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.annotation import WORD
from data_prep.annotators import Annotator
from data_prep.cleaning import Cleaning
from data_prep.corpora import Corpus, Slice
from data_prep.documents import Label
from data_prep.engines import Engine
from data_prep.engines.local import Local
from data_prep.files import read_json, sha256_file, sha256_json, write_json
from data_prep.segmenters import Segmenter
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.shards import SCHEMA_VERSION
from data_prep.vocabulary import Vocabulary, check_folder

RULES_VERSION = 1
"""Raised whenever cleaning, sentences, annotation or encoding change what they produce."""
MAX_LABELS = 255
MIN_PART_BYTES, MAX_PART_BYTES, WANTED_PARTS = 1 << 20, 1 << 26, 64


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Everything that `kmask prepare` needs to know."""

    output: str
    """Folder to fill. Running again continues it."""
    corpora: list[Corpus]
    """What to read; each entry names its format with `kind`."""
    cleaning: Cleaning = field(default_factory=Cleaning)
    """Normalisation and language recognition."""
    segmenters: dict[str, Segmenter] = field(default_factory=lambda: {"zh": Rjieba(), "en": Pretokenizer()})
    """How words are found, by language (`zh`, `en`)."""
    annotators: list[Annotator] = field(default_factory=list)
    """Sources of phrases and entities; within a level, earlier ones win."""
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    """Train a vocabulary, or take an existing one."""
    heldout: float = 0.01
    """Share of documents kept apart for evaluation, chosen by a hash of their id."""
    part_bytes: int = 0
    """Text per part and shard in bytes; 0 chooses from the size of the corpus (about 64 parts, 1 to 64 MiB each)."""
    engine: Engine = field(default_factory=Local)
    """Where parts run."""

    def __post_init__(self) -> None:
        if not self.corpora:
            raise ValueError("corpora: give at least one")
        if not 0 <= self.heldout < 1:
            raise ValueError(f"heldout: {self.heldout} must lie in [0, 1)")
        if self.part_bytes < 0:
            raise ValueError(f"part_bytes: {self.part_bytes} must be 0 (automatic) or more")
        unknown = set(self.segmenters) - {"zh", "en"}
        if unknown:
            raise ValueError(f"segmenters: {', '.join(sorted(unknown))} unknown; languages are zh, en")

    @cached_property
    def levels(self) -> list[str]:
        """Level names, `word` first."""
        given = [level for corpus in self.corpora for level in corpus.given_labels()]
        return ["word", *(level for level in dict.fromkeys([*given, *(annotator.level for annotator in self.annotators)]) if level != "word")]

    @cached_property
    def labels(self) -> dict[Label, int]:
        """Every label any unit can carry, numbered.

        Raises:
            ValueError: more than 255 of them.
        """
        given = [label for corpus in self.corpora for labels in corpus.given_labels().values() for label in labels]
        labels = dict.fromkeys([WORD, *given, *(label for annotator in self.annotators for label in annotator.labels())])
        if len(labels) > MAX_LABELS:
            raise ValueError(f"annotators: {len(labels)} different types; at most {MAX_LABELS} fit. Merge rare types in the lexicons.")
        return {label: index for index, label in enumerate(labels)}


class Progress(NamedTuple):
    """Sent to the caller while the work goes on."""

    stage: str
    """`survey`, `vocabulary` or `parts`."""
    done: int
    total: int
    """Bytes of text; 0 when unknown."""
    documents: int
    rejected: int


Listener = Callable[[Progress], None]


def make_plan(preparation: Preparation, listen: Listener) -> dict[str, Any]:
    """Survey the inputs and divide them into parts. Pure: equal inputs and settings give an equal plan."""
    surveys = []
    files = [(number, path) for number, corpus in enumerate(preparation.corpora) for path in corpus.files()]
    total = sum(path.stat().st_size for _, path in files)
    part_bytes = preparation.part_bytes or min(MAX_PART_BYTES, max(MIN_PART_BYTES, total // WANTED_PARTS))
    seen = 0
    for number, path in files:
        surveys.append((number, path, preparation.corpora[number].survey(path, part_bytes)))
        seen += path.stat().st_size
        listen(Progress("survey", seen, total, 0, 0))
    settings = {
        "schema": SCHEMA_VERSION,
        "rules": RULES_VERSION,
        "corpora": [described(corpus, drop=("paths",)) for corpus in preparation.corpora],
        "cleaning": described(preparation.cleaning),
        "segmenters": {
            language: {**described(segmenter, drop=("user_words",)), **words_of(segmenter), "version": segmenter.version()}
            for language, segmenter in sorted(preparation.segmenters.items())
        },
        "annotators": [annotator.fingerprint() for annotator in preparation.annotators],
        "vocabulary": described(preparation.vocabulary, drop=("path",)) if not preparation.vocabulary.path else vocabulary_files(preparation.vocabulary),
        "heldout": preparation.heldout,
        "part_bytes": part_bytes,
    }
    inputs = [
        {"corpus": number, "source": preparation.corpora[number].source_of(str(path)), "sha256": survey.sha256, "size": survey.size}
        for number, path, survey in surveys
    ]
    plan = {"settings": settings, "inputs": inputs, "labels": [label._asdict() for label in preparation.labels], "levels": preparation.levels}
    parts = group([(index, piece) for index, (_, _, survey) in enumerate(surveys) for piece in survey.slices], part_bytes)
    return {**plan, "fingerprint": sha256_json(plan), "parts": parts, "paths": [str(path) for _, path, _ in surveys]}


def group(slices: Sequence[tuple[int, Slice]], part_bytes: int) -> list[list[list[int]]]:
    """Slices [input, start, end, line, size] joined into parts of about ``part_bytes``, in order."""
    parts: list[list[list[int]]] = []
    filled = part_bytes
    for index, piece in slices:
        if filled + piece.size // 2 >= part_bytes:
            parts.append([])
            filled = 0
        parts[-1].append([index, piece.start, piece.end, piece.line, piece.size])
        filled += piece.size
    return parts


def described(component: Any, drop: tuple[str, ...] = ()) -> dict[str, Any]:
    """A component's kind and settings, for the fingerprint."""
    module = type(component).__module__
    settings = {item.name: getattr(component, item.name) for item in dataclasses.fields(component) if item.name not in drop}
    return {"kind": module.rsplit(".", 1)[-1], **settings}


def words_of(segmenter: Segmenter) -> dict[str, Any]:
    """Hashes of a segmenter's user dictionaries."""
    paths: list[str] = getattr(segmenter, "user_words", [])
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(f"user_words {path}: no such file (looked from {Path.cwd()})")
    return {"user_words": [sha256_file(Path(path)) for path in paths]} if paths else {}


def vocabulary_files(vocabulary: Vocabulary) -> dict[str, Any]:
    """Hashes of an adopted tokenizer's files."""
    folder = Path(vocabulary.path)
    check_folder(folder)
    files = [folder / name for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json") if (folder / name).is_file()]
    return {"files": {file.name: sha256_file(file) for file in files}}


def adopt_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Write plan.json, or check that the one there is ours.

    Raises:
        ValueError: the folder was begun with other inputs or settings; lists what differs.
    """
    file = folder / "plan.json"
    if not file.exists():
        write_json(file, plan)
        return
    present = read_json(file)
    if present.get("fingerprint") == plan["fingerprint"]:
        return
    differences = "\n  ".join(difference("", present.get("settings"), plan["settings"])) or "the input files changed"
    before, now = [{item["source"]: item["sha256"] for item in value["inputs"]} for value in (present, plan)]
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        differences += f"\n  changed, new or removed inputs: {', '.join(changed[:8])}{' ...' if len(changed) > 8 else ''}"
    remedy = f"Nothing was touched. Choose another output folder (output=...), or delete {folder} to start over."
    raise ValueError(f"{folder} was begun with other settings:\n  {differences}\n{remedy}")


def difference(path: str, before: Any, now: Any) -> list[str]:
    """Lines `key: before -> now` for everything that differs between two plain values."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [line for key in keys for line in difference(f"{path}.{key}" if path else key, before.get(key), now.get(key))]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [line for index, pair in enumerate(zip(before, now, strict=True)) for line in difference(f"{path}[{index}]", *pair)]
    return [] if before == now else [f"{path}: {before} -> {now}"]
