"""What will be done, before anything is done: the settings, the inputs by content, and the parts.

    Preparation (from YAML)  --survey the files-->  Plan (planned.py): settings, files with their hashes, labels, parts
                                                    as slices of files

The plan is pure: equal inputs and settings give an equal plan, and its fingerprint names the shards. A folder that was
begun with another plan is refused with the difference.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from data_prep.annotating.annotation import WORD
from data_prep.annotators import Annotator
from data_prep.component_settings import settings_of
from data_prep.corpora import Corpus
from data_prep.discourse.discourse import Discourse
from data_prep.documents import SEGMENT, Label
from data_prep.engines import Engine
from data_prep.engines.local import Local
from data_prep.filtering.cleaning import Cleaning
from data_prep.filtering.decontamination import Decontamination
from data_prep.filtering.duplicates import Duplicates
from data_prep.filtering.quality import Quality
from data_prep.inputs.file_names import FoundFiles
from data_prep.planned import Plan
from data_prep.preparing.content_hashes import segmenter_settings, vocabulary_settings
from data_prep.preparing.dividing import joined_slices, parts_of, sources_of, wanted_bytes
from data_prep.preparing.segment_types import pair_classes, turn_roles
from data_prep.preparing.surveying import SHARED_BYTES, SHARED_FILES, UNPACKED, Listing, Surveyor, survey_all
from data_prep.running.supervision import NOWHERE, Watch
from data_prep.segmenters import Segmenter
from data_prep.shards import SCHEMA_VERSION
from data_prep.vocabularies.vocabulary import Vocabulary

RULES_VERSION = 2
"""Raised whenever cleaning, sentences, annotation or encoding change what they produce."""
MAX_LABELS = 255


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Everything that `kmask prepare` needs to know."""

    output: str
    """Folder to fill. Running again continues it."""
    corpora: list[Corpus]
    """What to read; each entry names its format with `kind`."""
    cleaning: Cleaning = field(default_factory=Cleaning)
    """Normalisation and language recognition."""
    quality: Quality | None = None
    """Rules by which documents are dropped (`quality: {}` takes the defaults); none when left out."""
    decontamination: Decontamination | None = None
    """Evaluation files whose texts must not occur in the corpus; documents that hold some are dropped."""
    duplicates: Duplicates | None = None
    """Drop documents that say what an earlier one has said (`duplicates: {}` takes the defaults); all stay when left
    out."""
    segmenters: dict[str, Segmenter] = field(default_factory=dict)
    """How words are found, by language; one that is not named takes its own (`zh`: rjieba, `en`: pretokenizer, `other`:
    spaced)."""
    annotators: list[Annotator] = field(default_factory=list)
    """Sources of phrases and entities; within a level, earlier ones win."""
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    """Train a vocabulary, or take an existing one."""
    discourse: Discourse | None = None
    """Pairs of sentences joined by a discourse marker, as shards of their own (`discourse: {}` takes the defaults);
    none when left out."""
    heldout: float = 0.01
    """Share of documents kept apart for evaluation, chosen by a hash of their id."""
    part_bytes: int = 0
    """Text per part and shard in bytes; 0 chooses from the size of the corpus (about 64 parts of 1 to 8 MiB, so that a
    worker stays small; from 64 GiB on about 8,192 parts, of at most 64 MiB)."""
    engine: Engine = field(default_factory=Local)
    """Where parts run."""

    def __post_init__(self) -> None:
        if not self.corpora:
            raise ValueError("corpora: give at least one")
        if not 0 <= self.heldout < 1:
            raise ValueError(f"heldout: {self.heldout} must lie in [0, 1)")
        if self.part_bytes < 0:
            raise ValueError(f"part_bytes: {self.part_bytes} must be 0 (automatic) or more")
        known = ", ".join(self.cleaning.known)
        if unknown := set(self.segmenters) - set(self.cleaning.known):
            raise ValueError(f"segmenters: {', '.join(sorted(unknown))} unknown; languages are {known}")
        if strange := [
            corpus.language for corpus in self.corpora if corpus.language and corpus.language not in self.cleaning.known
        ]:
            raise ValueError(f"corpora: language {strange[0]!r} is not one of {known} (`cleaning.languages`)")
        if SEGMENT in self.levels:
            raise ValueError(f"annotators: the level name `{SEGMENT}` is reserved for the parts of labelled pairs")
        _ = self.classes, self.roles

    @cached_property
    def all_segmenters(self) -> dict[str, Segmenter]:
        """The segmenter of every language: the one named, or its own."""
        return {
            code: self.segmenters.get(code) or language.segmenter() for code, language in self.cleaning.known.items()
        }

    @cached_property
    def levels(self) -> list[str]:
        """Level names, `word` first."""
        given = [level for corpus in self.corpora for level in corpus.given_labels()]
        return list(dict.fromkeys(["word", *given, *(annotator.level for annotator in self.annotators)]))

    @cached_property
    def classes(self) -> dict[str, list[str]]:
        """Names of the classes, for each split with labelled pairs."""
        return pair_classes(self.corpora, self.discourse)

    @cached_property
    def roles(self) -> dict[str, list[str]]:
        """Names of the roles of turns, for each split with dialogues."""
        return turn_roles(self.corpora)

    def segment_types(self, split: str) -> list[str]:
        """What the type of a part may be in a split: classes of pairs, or roles of turns."""
        return self.roles.get(split) or self.classes.get(split, [])

    @cached_property
    def labels(self) -> dict[Label, int]:
        """Every label any unit can carry, numbered.

        Raises:
            ValueError: more than 255 of them, or lexicons that cannot be read: all of them at once.
        """
        given = [label for corpus in self.corpora for labels in corpus.given_labels().values() for label in labels]
        found: list[Label] = []
        problems: list[ValueError | OSError] = []
        for annotator in self.annotators:
            try:
                found += annotator.labels()
            except (ValueError, OSError) as error:
                problems.append(error)
        if len(problems) > 1:
            raise ValueError("\n".join(str(error) for error in problems))
        if problems:
            raise problems[0]
        labels = dict.fromkeys([WORD, *given, *found])
        if len(labels) > MAX_LABELS:
            raise ValueError(
                f"annotators: {len(labels)} different types; at most {MAX_LABELS} fit. Merge rare types in the "
                "lexicons."
            )
        return {label: index for index, label in enumerate(labels)}


class StageProgress(NamedTuple):
    """Sent to the caller while the work goes on."""

    stage: str
    """`survey`, `parts`, or the name of a corpus-wide step."""
    done: int
    total: int
    """Bytes of text, or parts of a step; 0 when unknown."""
    documents: int
    rejected: int


Listener = Callable[[StageProgress], None]


def find_all(preparation: Preparation) -> list[FoundFiles]:
    """The files of each corpus; of a million files it takes tens of seconds."""
    return [corpus.found() for corpus in preparation.corpora]


def make_plan(
    preparation: Preparation, listen: Listener, watch: Watch | None = None, found: Sequence[FoundFiles] | None = None
) -> Plan:
    """Survey the inputs and divide them into parts. Pure: equal inputs and settings give an equal plan.

    ``found`` are the files, where they are listed already. With ``watch``, a large corpus is surveyed by the engine,
    and what was found is kept in the prepared folder.
    """
    found = find_all(preparation) if found is None else found
    listing = Listing.of(found)
    total = int(listing.bytes_F.sum())
    part_bytes = preparation.part_bytes or wanted_bytes(total)
    shared = (
        watch if total >= SHARED_BYTES or len(listing.bytes_F) >= SHARED_FILES or listing.lies_elsewhere() else None
    )
    surveyor = Surveyor(corpora=preparation.corpora, listing=listing, part_bytes=part_bytes, watch=shared or NOWHERE)
    unpacked = watch.folder / UNPACKED if watch else None
    surveys = survey_all(
        surveyor,
        preparation.engine if shared else None,
        unpacked,
        lambda seen: listen(StageProgress("survey", seen, total, 0, 0)),
    )
    slices_S5 = joined_slices(listing, surveys)
    files = {
        "path": listing.table.column("path").to_pylist(),
        "corpus": (corpora := listing.table.column("corpus").to_pylist()),
        "source": sources_of(preparation.corpora, corpora, listing),
        "sha256": [sha256 for survey in surveys for sha256 in survey.sha256],
        "size": [size for survey in surveys for size in survey.size],
    }
    labels = [label._asdict() for label in preparation.labels]
    parts = parts_of(slices_S5[:, 4].tolist(), part_bytes)
    plan = Plan.of(plan_settings(preparation, part_bytes), labels, preparation.levels, files, parts, slices_S5)
    return dataclasses.replace(plan, left_out=[item._asdict() for one in found for item in one.left_out])


def plan_settings(preparation: Preparation, part_bytes: int) -> dict[str, Any]:
    """All settings that decide what is in the shards, word lists and vocabulary by content."""
    return {
        "schema": SCHEMA_VERSION,
        "rules": RULES_VERSION,
        "corpora": [settings_of(corpus, drop=("paths",)) for corpus in preparation.corpora],
        "cleaning": preparation.cleaning.fingerprint(),
        **{
            name: chosen.fingerprint() if (chosen := getattr(preparation, name)) is not None else None
            for name in ("quality", "decontamination", "duplicates")
        },
        "segmenters": {
            language: segmenter_settings(segmenter)
            for language, segmenter in sorted(preparation.all_segmenters.items())
        },
        "annotators": [annotator.fingerprint() for annotator in preparation.annotators],
        "vocabulary": vocabulary_settings(preparation.vocabulary),
        "discourse": preparation.discourse.fingerprint() if preparation.discourse else None,
        "heldout": preparation.heldout,
        "part_bytes": part_bytes,
    }


def check_not_empty(plan: Plan) -> None:
    """Raise ValueError when there is nothing to read."""
    if not plan.parts:
        first = ", ".join(file.path for file in itertools.islice(plan.all_files(), 3))
        raise ValueError(f"the corpus is empty: {plan.files} file(s), no text in any of them ({first})")
