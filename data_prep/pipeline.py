"""Raw files -> a prepared folder, exactly once.

    1. survey   read every file once: hash, size, slices that begin at documents
    2. plan     an immutable plan.json: settings, content hashes, parts; a different plan for the same folder is refused
    3. tokenizer  trained on the cleaned corpus or copied; also made once
    4. parts    each part -> parts/NNNNNN/, staged, fsynced, renamed; finished parts are skipped
    5. finish   manifest.json and rejected.jsonl from the parts' own reports

A part is a pure function of (plan, part number), so killing, repeating and running twice all end in the same bytes.

    kmask prepare configs/data/demo.yaml
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.annotation import WORD, Annotation
from data_prep.annotators import Annotator
from data_prep.cleaning import Cleaning
from data_prep.corpora import Corpus, Slice
from data_prep.documents import Document, Label, Record, Rejected
from data_prep.encoding import Encoded, Tokenizer, encode
from data_prep.engines import Engine
from data_prep.engines.local import Local
from data_prep.files import read_json, remove_staging, sha256_file, sha256_json, staged_folder, write_atomic, write_json
from data_prep.segmenters import Segmenter
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.shards import MANIFEST, SCHEMA_VERSION, SPLITS, write_shard
from data_prep.vocabulary import Vocabulary
from masking.keyed import hash_key, uniform

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
        return ["word", *dict.fromkeys(annotator.level for annotator in self.annotators)]

    @cached_property
    def labels(self) -> dict[Label, int]:
        """Every label any unit can carry, numbered.

        Raises:
            ValueError: more than 255 of them.
        """
        labels = dict.fromkeys([WORD, *(label for annotator in self.annotators for label in annotator.labels())])
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
    """Slices [input, start, end, line] joined into parts of about ``part_bytes``, in order."""
    parts: list[list[list[int]]] = []
    filled = part_bytes
    for index, piece in slices:
        size = piece.end - piece.start
        if filled + size // 2 >= part_bytes:
            parts.append([])
            filled = 0
        parts[-1].append([index, piece.start, piece.end, piece.line])
        filled += size
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
    raise ValueError(
        f"{folder} was begun with other settings:\n  {differences}\nNothing was touched. Choose another output folder (output=...), or delete {folder} to start over."
    )


def difference(path: str, before: Any, now: Any) -> list[str]:
    """Lines `key: before -> now` for everything that differs between two plain values."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [line for key in keys for line in difference(f"{path}.{key}" if path else key, before.get(key), now.get(key))]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [line for index, pair in enumerate(zip(before, now, strict=True)) for line in difference(f"{path}[{index}]", *pair)]
    return [] if before == now else [f"{path}: {before} -> {now}"]


@dataclass(frozen=True, kw_only=True)
class PartWorker:
    """Does one part of the plan; sent to worker processes."""

    preparation: Preparation
    plan: dict[str, Any]
    folder: Path

    @cached_property
    def annotation(self) -> Annotation:
        """Segmenters and annotators, loaded once per process."""
        return Annotation(segmenters=self.preparation.segmenters, annotators=self.preparation.annotators)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded once per process."""
        return Tokenizer(folder=self.folder / "tokenizer")

    def part_folder(self, part: int) -> Path:
        """Where a finished part lies."""
        return self.folder / "parts" / f"{part:06d}"

    def documents(self, part: int) -> Iterator[Document | Rejected]:
        """Cleaned documents of a part, and those set aside."""
        for index, start, end, line in self.plan["parts"][part]:
            corpus = self.preparation.corpora[self.plan["inputs"][index]["corpus"]]
            source = self.plan["inputs"][index]["source"]
            for record in corpus.read(Slice(self.plan["paths"][index], start, end, line)):
                yield self.preparation.cleaning.clean(record, source) if isinstance(record, Record) else record

    def __call__(self, part: int) -> dict[str, Any]:
        """Make a part unless it is there; return its report."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        folder = self.part_folder(part)
        if report := self.finished(part):
            return report
        encoded: dict[str, list[Encoded]] = {split: [] for split in SPLITS}
        rejected: list[Rejected] = []
        counts: Counter[str] = Counter()
        for document in self.documents(part):
            if isinstance(document, Rejected):
                rejected.append(document)
                continue
            result = self.encode(document, counts)
            counts[f"documents.{document.source}.{document.language}"] += 1
            counts[f"characters.{document.source}.{document.language}"] += len(document.text)
            heldout = uniform(hash_key("heldout", document.id), 0) < self.preparation.heldout
            encoded["heldout" if heldout else "train"].append(result)
        unknown = self.tokenizer.special_ids["[UNK]"]
        counts["tokens.unknown"] = sum(int((item.token_ids_T == unknown).sum()) for items in encoded.values() for item in items)
        return self.publish(folder, part, encoded, rejected, counts)

    def encode(self, document: Document, counts: Counter[str]) -> Encoded:
        """Annotate and encode one document, counting its units."""
        annotated = self.annotation.annotate(document)
        result = encode(annotated, self.tokenizer, self.preparation.labels)
        names = list(self.preparation.labels)
        for level, units in result.units.items():
            for index, count in zip(*_unique(units.label_U), strict=True):
                label = names[index]
                counts[f"units.{level}.{label.type or '-'}.{label.origin}"] += count
        for reason, count in [*annotated.dropped.items(), *result.dropped.items()]:
            counts[f"dropped.{reason}"] += count
        return result

    def publish(self, folder: Path, part: int, encoded: dict[str, list[Encoded]], rejected: list[Rejected], counts: Counter[str]) -> dict[str, Any]:
        """Write the shards and the report of a part, all or nothing."""
        vocabulary_size = len(self.tokenizer.tokens)
        with staged_folder(folder) as staging:
            shards = []
            for split, items in encoded.items():
                if not items:
                    continue
                write_shard(staging / f"{split}.arrow", items, self.preparation.levels, vocabulary_size)
                tokens = sum(len(item.token_ids_T) for item in items)
                digest = sha256_file(staging / f"{split}.arrow")
                shards.append({"path": f"parts/{part:06d}/{split}.arrow", "split": split, "documents": len(items), "tokens": tokens, "sha256": digest})
            report = {
                "part": part,
                "fingerprint": self.plan["fingerprint"],
                "bytes": sum(end - start for _, start, end, _ in self.plan["parts"][part]),
                "shards": shards,
                "counts": dict(sorted(counts.items())),
                "rejected": [{**item.place._asdict(), "reason": item.reason, "detail": item.detail} for item in rejected],
            }
            write_json(staging / "part.json", report)
        return report

    def finished(self, part: int) -> dict[str, Any] | None:
        """The report of a part that is complete on disk; a damaged one is removed and made again."""
        import shutil

        file = self.part_folder(part) / "part.json"
        if not file.is_file():
            shutil.rmtree(file.parent, ignore_errors=True)
            return None
        report: dict[str, Any] = read_json(file)
        whole = all((self.folder / s["path"]).is_file() and sha256_file(self.folder / s["path"]) == s["sha256"] for s in report["shards"])
        if whole and report["fingerprint"] == self.plan["fingerprint"]:
            return report
        shutil.rmtree(file.parent)
        return None


def _unique(values: Any) -> tuple[list[int], list[int]]:
    import numpy as np

    found, counts = np.unique(values, return_counts=True)
    return found.tolist(), counts.tolist()


def sample_texts(worker: PartWorker, limit: int, listen: Listener) -> Iterator[str]:
    """Cleaned texts for vocabulary training: all of them, or every n-th part when the corpus is larger than ``limit`` characters."""
    total = sum(item["size"] for item in worker.plan["inputs"])
    parts = len(worker.plan["parts"])
    step = max(1, total // (2 * limit))  # at about two bytes a character
    read = 0
    for part in range(0, parts, step):
        for document in worker.documents(part):
            if isinstance(document, Document):
                read += len(document.text)
                yield document.text
        listen(Progress("vocabulary", part + 1, parts, 0, 0))
        if read > limit:
            return


def prepare(preparation: Preparation, listen: Listener) -> dict[str, Any]:
    """Do everything that is not done yet and return the manifest.

    Raises:
        ValueError, OSError: something the user can put right; finished parts stay.
    """
    folder = Path(preparation.output)
    plan = make_plan(preparation, listen)
    if not plan["parts"]:
        raise ValueError(f"the corpus is empty: {len(plan['paths'])} file(s), no text in any of them ({', '.join(plan['paths'][:3])})")
    adopt_plan(folder, plan)
    remove_staging(folder)
    worker = PartWorker(preparation=preparation, plan=plan, folder=folder)
    if not (folder / "tokenizer").is_dir():
        with staged_folder(folder / "tokenizer") as staging:
            preparation.vocabulary.make(staging, sample_texts(worker, preparation.vocabulary.train_characters, listen))
    _ = worker.tokenizer.special_ids
    total = sum(item["size"] for item in plan["inputs"])
    reports: dict[int, dict[str, Any]] = {}
    done = documents = rejected = 0
    (folder / "parts").mkdir(exist_ok=True)
    remove_staging(folder / "parts")
    for report in preparation.engine.run(worker, range(len(plan["parts"]))):
        reports[report["part"]] = report
        done += report["bytes"]
        documents += sum(shard["documents"] for shard in report["shards"])
        rejected += len(report["rejected"])
        listen(Progress("parts", done, total, documents, rejected))
    return finish(worker, [reports[part] for part in sorted(reports)])


def finish(worker: PartWorker, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Write manifest.json and rejected.jsonl."""
    counts: Counter[str] = Counter()
    rejected = [item for report in reports for item in report["rejected"]]
    for report in reports:
        counts.update(report["counts"])
    counts.update({f"rejected.{reason}": count for reason, count in Counter(item["reason"] for item in rejected).items()})
    shards = [shard for report in reports for shard in report["shards"]]
    if not shards:
        first = f" First reason: {rejected[0]['path']}:{rejected[0]['line']}: {rejected[0]['reason']} ({rejected[0]['detail']})." if rejected else ""
        raise ValueError(f"no usable document in the whole corpus ({len(rejected)} set aside).{first}")
    tokenizer = worker.tokenizer
    manifest = {
        "schema": SCHEMA_VERSION,
        "fingerprint": worker.plan["fingerprint"],
        "tokenizer": {"vocabulary_sha256": tokenizer.vocabulary_sha256, "rules_sha256": tokenizer.rules_sha256, "size": len(tokenizer.tokens)},
        "settings": worker.plan["settings"],
        "levels": worker.preparation.levels,
        "labels": worker.plan["labels"],
        "shards": shards,
        "counts": dict(sorted(counts.items())),
    }
    write_atomic(worker.folder / "rejected.jsonl", "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in rejected))
    write_json(worker.folder / MANIFEST, manifest)
    return manifest
