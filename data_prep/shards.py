"""Shards on disk: what preparation writes and training reads.

    PREPARED/
      manifest.json            schema, tokenizer hashes, levels, labels, shards with counts and sha256, fingerprint
      tokenizer/               the tokenizer the ids belong to
      parts/000000/train.arrow one shard: Arrow IPC stream, uncompressed, one record batch, one row per document
      parts/000000/heldout.arrow

Shards of labelled pairs (corpora/pairs.py, discourse.py) have two more columns, ``segment_ends`` and ``label``; the
manifest names the classes of each split that has them. Dialogues (corpora/dialogues.py) have both, and
``segment_labels``, the role of each turn; the manifest names the roles. Training asks for its splits by name, so
further splits (``discourse.arrow``) disturb nobody.

A shard is opened memory-mapped (of very many, the newest); its list columns are used as one flat array plus offsets, so
reading a document costs two slices. A column is checked on first use, as far as the shape of the data goes
(shard_columns.py). ``datasets.Dataset.from_file`` opens the same file.

Shape legend: D documents, T tokens, S sentences, P paragraphs, G segments, U units of one level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.documents import Label
from data_prep.encoding import Tokenizer
from data_prep.files import read_json
from data_prep.shard import Shard

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
SPLITS = ("train", "heldout")


class ShardEntry(NamedTuple):
    """One shard as the manifest lists it."""

    path: str
    split: str
    documents: int
    tokens: int
    sha256: str
    size: int
    """In bytes."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A prepared folder: the manifest, the tokenizer and the shards."""

    folder: Path
    levels: tuple[str, ...]
    labels: tuple[Label, ...]
    fingerprint: str
    vocabulary_sha256: str
    rules_sha256: str
    entries: tuple[ShardEntry, ...]
    counts: Mapping[str, Any]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the classes, for each split whose shards hold labelled pairs."""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the roles of turns, for each split whose shards hold dialogues."""

    @staticmethod
    def open(folder: Path) -> Prepared:
        """Read the manifest; check that the tokenizer beside it is the one the shards were made with, and the size of
        every shard.

        Raises:
            ValueError: no manifest, an unknown schema, another tokenizer, a shard missing or of another size; each with
            its remedy.
        """
        file = folder / MANIFEST
        if not file.is_file():
            hint = (
                "preparation has not finished: run `kmask prepare` again, it continues"
                if (folder / "plan.json").is_file()
                else "run `kmask prepare` first"
            )
            raise ValueError(f"{folder} holds no {MANIFEST}: {hint}")
        manifest = read_json(file)
        if manifest.get("schema") != SCHEMA_VERSION:
            raise ValueError(
                f"{file}: schema {manifest.get('schema')!r}, this version of kmask reads {SCHEMA_VERSION}. Prepare "
                "the corpus again."
            )
        prepared = Prepared(
            folder=folder,
            levels=tuple(manifest["levels"]),
            labels=tuple(Label(**label) for label in manifest["labels"]),
            fingerprint=manifest["fingerprint"],
            vocabulary_sha256=manifest["tokenizer"]["vocabulary_sha256"],
            rules_sha256=manifest["tokenizer"]["rules_sha256"],
            entries=tuple(ShardEntry(**entry) for entry in manifest["shards"]),
            counts=manifest["counts"],
            classes={split: tuple(names) for split, names in manifest.get("classes", {}).items()},
            roles={split: tuple(names) for split, names in manifest.get("roles", {}).items()},
        )
        prepared.check_tokenizer(prepared.tokenizer)
        prepared.check_sizes()
        return prepared

    def check_sizes(self) -> None:
        """Raise ValueError unless every shard is there and as long as it was made."""
        missing, wrong = [], []
        for entry in self.entries:
            file = self.folder / entry.path
            if not file.is_file():
                missing.append(entry.path)
            elif (size := file.stat().st_size) != entry.size:
                wrong.append(f"{entry.path} ({entry.size:,} bytes expected, {size:,} found)")
        if missing:
            raise ValueError(
                f"{self.folder}: {len(missing)} shard(s) missing, first {missing[0]}. Run `kmask prepare` again: it "
                "rebuilds missing parts."
            )
        if wrong:
            raise ValueError(
                f"{self.folder}: {len(wrong)} shard(s) have another size than the manifest says, first {wrong[0]}. Run "
                f"`kmask prepare verify {self.folder}`, delete the parts it names and run `kmask prepare` again; or "
                "copy the folder again if it is a copy."
            )

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of these shards."""
        return Tokenizer(folder=self.folder / "tokenizer")

    def check_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Raise ValueError unless ``tokenizer`` is the one these shards were made with."""
        for what, wanted, found in (
            ("vocabulary", self.vocabulary_sha256, tokenizer.vocabulary_sha256),
            ("rules", self.rules_sha256, tokenizer.rules_sha256),
        ):
            if wanted != found:
                raise ValueError(
                    f"the shards in {self.folder} were made with another tokenizer than {tokenizer.folder} (their "
                    f"{what} differ: {wanted[:12]} in the manifest, {found[:12]} here). Prepare the corpus again with "
                    "this tokenizer, or use theirs."
                )

    def shards(self, split: str) -> list[Shard]:
        """The shards of ``train``, ``heldout`` or another split, in order, empty ones left out."""
        return [
            Shard(self.folder / entry.path, self.levels)
            for entry in self.entries
            if entry.split == split and entry.documents
        ]

    def tokens(self, split: str) -> int:
        """Number of tokens of a split."""
        return sum(entry.tokens for entry in self.entries if entry.split == split)
