"""The prepared folders of a run: opened, checked against each other, and turned into streams of rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_prep.encoding import Tokenizer
from data_prep.knowledge.similar_pairs import read_pairs
from data_prep.shards import Prepared
from masking.corruption import Replacements
from masking.sequences import SimilarWords
from pretrain.config import Run
from pretrain.corpus_counts import rarity, token_counts
from pretrain.evaluation.heldout import fixed_masking
from pretrain.loading import BatchMaker
from pretrain.packed import Masking, Specials
from pretrain.sampling import Stream
from pretrain.schedule import Stage
from pretrain.sources import ROOM_FOR_SPECIALS, Source


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """All prepared folders of a run."""

    run: Run

    @cached_property
    def prepared(self) -> dict[str, Prepared]:
        """Folders by name.

        Raises:
            ValueError: a folder is not usable, or two were made with different tokenizers.
        """
        opened = {data.label: Prepared.open(Path(data.path)) for data in self.run.data}
        first = next(iter(opened.values()))
        for other in opened.values():
            other.check_tokenizer(first.tokenizer)
        needed = dict.fromkeys(self.run.masking.strategy.levels())
        for name, folder in opened.items():
            missing = [level for level in needed if level not in folder.levels]
            if missing:
                raise ValueError(
                    f"masking.strategy hides level {missing[0]!r}, but {name} has only {', '.join(folder.levels)}. "
                    "Add an annotator of that level to the data configuration and prepare again, or change the strategy."
                )
            if not folder.tokens("train"):
                raise ValueError(f"{folder.folder} holds no training document")
        return opened

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that all folders share."""
        return next(iter(self.prepared.values())).tokenizer

    @property
    def fingerprints(self) -> dict[str, str]:
        """What cursors count in: the content of every folder."""
        return {name: folder.fingerprint for name, folder in self.prepared.items()}

    @cached_property
    def specials(self) -> Specials:
        """Special ids, and what may replace hidden tokens."""
        return specials(list(self.prepared.values()), self.run.masking)

    def streams(self, stage: Stage, split: str) -> dict[str, Stream]:
        """One stream per folder and row-building task of the stage."""
        streams = {}
        for data in self.run.data:
            source = Source(name=data.label, prepared=self.prepared[data.label], split=split, max_tokens=self.run.batch.max_sample_tokens - ROOM_FOR_SPECIALS)
            for task, share in stage.tasks.items():
                if share > 0 and self.run.builds_rows(task):
                    stream = Stream(
                        source=source,
                        task=task,
                        objective=self.run.tasks[task],
                        row_tokens=self.run.batch.row,
                        seed=self.run.seed,
                        share=share * data.weight,
                    )
                    streams[stream.name] = stream
        return streams

    def maker(self, stage: Stage, split: str, masking: Masking) -> BatchMaker:
        """What makes the batches of a stage."""
        return BatchMaker(
            streams=self.streams(stage, split),
            objectives={name: task for name, task in self.run.tasks.items() if name in stage.tasks},
            masking=masking,
            specials=self.specials,
            task_ids=self.run.task_ids,
            row_tokens=self.run.batch.row,
            seed=self.run.seed if split == "train" else 0,
            salt=split,
        )

    def heldout_maker(self, stage: Stage) -> BatchMaker:
        """What makes the batches of an evaluation: held-out documents under the masks that every evaluation uses."""
        return self.maker(stage, "heldout", fixed_masking(next(iter(self.prepared.values())).levels, self.run.masking.shuffle))


def ordinary_ids(tokens: list[str]) -> npt.NDArray[np.int64]:
    """Ids of the real vocabulary: neither special, nor reserved ([unused7]), nor a gap."""
    found = [index for index, token in enumerate(tokens) if token and not (token.startswith("[") and token.endswith("]") and len(token) > 2)]
    return np.array(found, np.int64)


def specials(folders: list[Prepared], masking: Masking) -> Specials:
    """Special ids, and as much about the vocabulary and the corpus as this masking asks for.

    Raises:
        ValueError: something it needs is missing, with the remedy.
    """
    tokenizer = folders[0].tokenizer
    ids, ordinary_V, corruption = tokenizer.special_ids, ordinary_ids(tokenizer.tokens), masking.replacement
    similar, notes = None, []
    if corruption.similar > 0 and corruption.similar_words:
        pairs = read_pairs(Path(corruption.similar_words), tokenizer)
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in pairs.left_out.items() if count)
        notes.append(f"{corruption.similar_words}: {pairs.pairs:,} pairs of similar words{f'; left out: {reasons}' if reasons else ''}")
        similar = SimilarWords.build(pairs.word_ids_T, pairs.offsets_P1, pairs.similar_ids_T, pairs.offsets_P1)
    replacements = Replacements(
        mask_id=ids["[MASK]"],
        unknown_id=ids["[UNK]"],
        ordinary_V=ordinary_V,
        count_V=token_counts(folders, len(tokenizer.tokens))[ordinary_V] if corruption.pool == "corpus" else None,
        similar=similar,
    )
    corruption.check(replacements)
    return Specials(
        pad=ids["[PAD]"],
        cls=ids["[CLS]"],
        sep=ids["[SEP]"],
        replacements=replacements,
        rarity={level: rarity(folders, level) for level in masking.strategy.weighted()},
        notes=tuple(notes),
    )
