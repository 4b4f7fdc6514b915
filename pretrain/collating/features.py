"""Features of anybody's dataset -> samples: the front door of the collator (collator.py).

    a row of a shard   {id, token_ids, sentence_ends, units_word: [{start, length, label}, ...], ...}: text without
                       special tokens -> [CLS] window [SEP]. A document that is too long has several windows, cut at
                       sentence ends; each epoch takes the next
    tokenised text     {input_ids, units: {word: [(start, end), ...]}, special_tokens_mask?, token_type_ids?,
                       sentence_ends?, id?, first_token?} -> as it is; a text that is too long is an error

Only levels that the strategy hides are read. ``Turn`` is what draws depend on beside the feature: equal in every
worker. Whoever wants every window in every epoch makes rows of them first:
``dataset.map(partial(every_window, max_length=128), batched=True, remove_columns=...)``.

Shape legend: T tokens, S sentences, U units of a level, W windows of a document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from masking.keyed import hash_key
from masking.spans import Flags
from pretrain.collating.feature_checks import (
    Pair,
    Part,
    aligned,
    check_ids,
    check_levels,
    check_units,
    ends,
    integers,
    unit_pairs,
    unpadded,
)
from pretrain.collating.feature_windows import ADDED, COLUMN, Feature, identity, inside, named, windows
from pretrain.feed.samples import Sample

REMOVED = (
    "(transformers' Trainer takes away what the model does not read, unless TrainingArguments say "
    "remove_unused_columns=False)"
)


@dataclass(frozen=True)
class Turn:
    """A pass over the data: the seed and the number of the epoch (of the call, where no epoch was set)."""

    seed: int
    number: int

    def key(self, identity: str, first_token: int) -> int:
        """The key of a sample: by what it is, never by where or when it is read."""
        return hash_key("collator", self.seed, self.number, identity, first_token)

    def window(self, identity: str, count: int) -> int:
        """Which of a document's windows: the next one each epoch, the first by chance, so ``count`` epochs see all of
        them."""
        return (hash_key("window", self.seed, identity) + self.number) % count if count > 1 else 0


@dataclass(frozen=True, kw_only=True)
class FeatureReader:
    """What a collator knows of its features."""

    cls: int | None
    sep: int | None
    special_V: Flags
    """Is this id a special token? [UNK] is none: it stands for text."""
    levels: tuple[str, ...]
    """Levels that the strategy hides."""
    needed: bool
    """Must a feature have all of them? Otherwise any."""
    max_length: int
    """Longest sample in tokens, special ones included."""

    def read(self, features: Sequence[Feature], turn: Turn) -> list[Sample]:
        """The samples of a batch, one per feature.

        Raises:
            ValueError: a feature that cannot be used, by name.
        """
        parts = [self._part(feature, named(feature, number), turn) for number, feature in enumerate(features)]
        edges = np.cumsum([0, *(len(part.token_ids_T) for part in parts)])
        ids_T = np.concatenate([part.token_ids_T for part in parts])
        check_ids(parts, ids_T, edges, len(self.special_V))
        special_T = self.special_V[ids_T]
        places = [slice(start, end) for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
        for part, place in zip(parts, places, strict=True):
            if part.special_T is not None:
                special_T[place] = part.special_T
        check_units(parts, self.levels, edges, special_T)
        return [_sample(part, ~special_T[place], turn) for part, place in zip(parts, places, strict=True)]

    def _part(self, feature: Feature, name: str, turn: Turn) -> Part:
        if not isinstance(feature, Mapping):
            raise ValueError(
                f"{name} is a {type(feature).__name__}; a mapping with `input_ids` or `token_ids` is needed"
            )
        if "input_ids" in feature:
            return self._text(feature, name)
        if "token_ids" in feature:
            return self._row(feature, name, turn)
        raise ValueError(
            f"{name} has neither `input_ids` nor `token_ids`, only {', '.join(feature) or 'no column'} {REMOVED}"
        )

    def _text(self, feature: Feature, name: str) -> Part:
        ids_T = integers(feature["input_ids"], name, "input_ids")
        special_T, segments_T, attention_T = (
            aligned(feature, what, len(ids_T), name)
            for what in ("special_tokens_mask", "token_type_ids", "attention_mask")
        )
        count = unpadded(attention_T, len(ids_T), name)
        if not 0 < count <= self.max_length:
            raise ValueError(
                f"{name} has {count} tokens; 1 to max_length={self.max_length} are allowed: truncate while "
                "tokenising, before units are found"
            )
        return Part(
            name,
            identity(feature, ids_T[:count]),
            int(feature.get("first_token") or 0),
            ids_T[:count],
            None if special_T is None else special_T[:count] != 0,
            None if segments_T is None else segments_T[:count],
            self._units(feature, name),
            ends(feature.get("sentence_ends"), count, name),
        )

    def _row(self, feature: Feature, name: str, turn: Turn) -> Part:
        if self.cls is None or self.sep is None:
            raise ValueError(f"{name} is a row of a shard, but the tokenizer has no [CLS] and [SEP] to put around it")
        ids_T = integers(feature["token_ids"], name, "token_ids")
        ends_S = ends(feature.get("sentence_ends"), len(ids_T), name)
        known = identity(feature, ids_T)
        start_W, end_W = windows(ends_S, len(ids_T), self.max_length - ADDED)
        chosen = turn.window(known, len(start_W))
        start, end = int(start_W[chosen]), int(end_W[chosen])
        units = self._units(feature, name)
        if len(start_W) > 1:
            units = {level: inside(*pair, start, end) for level, pair in units.items()}
        return Part(
            name,
            known,
            int(feature.get("first_token") or 0) + start,
            np.concatenate([[self.cls], ids_T[start:end], [self.sep]]),
            None,
            None,
            {level: (start_U + 1, end_U + 1) for level, (start_U, end_U) in units.items()},
            (ends_S if len(start_W) == 1 else ends_S[(ends_S > start) & (ends_S <= end)]) - start + 1,
        )

    def _units(self, feature: Feature, name: str) -> dict[str, Pair]:
        if not self.levels:
            return {}
        given = feature.get("units")
        if given is None:
            given = {key.removeprefix(COLUMN): value for key, value in feature.items() if key.startswith(COLUMN)}
            if not given:
                raise ValueError(
                    f"{name} has no `units`, but those of level {', '.join(self.levels)} are to be hidden {REMOVED}"
                )
        elif isinstance(given, Mapping):
            check_levels(given, self.levels, name)
        elif self.needed and len(self.levels) > 1:
            raise ValueError(
                f"{name}: `units` is one list, but the strategy hides levels {', '.join(self.levels)}; give a list "
                "for each, by its name"
            )
        else:
            given = {self.levels[0] if self.needed else "word": given}
        missing = [level for level in self.levels if level not in given]
        if missing and (self.needed or len(missing) == len(self.levels)):
            raise ValueError(
                f"{name} has no units of level {missing[0]!r}, which the strategy hides; it has "
                f"{', '.join(given) or 'none'}. Give an empty list where "
                "a text has none of them, or choose a strategy without this level"
            )
        return {level: unit_pairs(given.get(level), name, level) for level in self.levels}


def every_window(rows: Mapping[str, Sequence[Any]], *, max_length: int = 512) -> dict[str, list[Any]]:
    """Rows of a shard -> a row for every window of theirs, for ``datasets.Dataset.map(..., batched=True)``; what else a
    row had is left out."""
    levels = [column for column in rows if column.startswith(COLUMN)]
    made: dict[str, list[Any]] = {name: [] for name in ("id", "first_token", "token_ids", "sentence_ends", *levels)}
    for number, token_ids in enumerate(rows["token_ids"]):
        feature = {column: rows[column][number] for column in rows}
        name, ids_T = named(feature, number), integers(token_ids, named(feature, number), "token_ids")
        ends_S = ends(feature.get("sentence_ends"), len(ids_T), name)
        units = {column: unit_pairs(feature[column], name, column.removeprefix(COLUMN)) for column in levels}
        for start, end in zip(
            *(side_W.tolist() for side_W in windows(ends_S, len(ids_T), max_length - ADDED)), strict=True
        ):
            made["id"].append(identity(feature, ids_T))
            made["first_token"].append(start)
            made["token_ids"].append(ids_T[start:end])
            made["sentence_ends"].append(ends_S[(ends_S > start) & (ends_S <= end)] - start)
            for column, pair in units.items():
                start_U, end_U = inside(*pair, start, end)
                made[column].append(
                    [
                        {"start": first, "length": last - first}
                        for first, last in zip(start_U.tolist(), end_U.tolist(), strict=True)
                    ]
                )
    return made


def _sample(part: Part, maskable_T: Flags, turn: Turn) -> Sample:
    count = len(part.token_ids_T)
    return Sample(
        token_ids_T=part.token_ids_T,
        maskable_T=maskable_T,
        segment_ids_T=np.zeros(count, np.int64) if part.segment_ids_T is None else part.segment_ids_T,
        units=part.units,
        task="collator",
        labels={},
        key=turn.key(part.identity, part.first_token),
        document_id=part.identity,
        first_token=part.first_token,
        sentence_ends_S=part.sentence_ends_S,
    )
