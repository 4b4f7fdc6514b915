"""Knowledge masking for anybody's own training loop: a collator by transformers' conventions, for its Trainer or a
DataLoader.

    features --FeatureReader--> samples --lay_out, hide--> Packed          features.py; packed.py, the functions of
                                                                           kmask's own training
    Packed, padded              input_ids, labels, attention_mask, token_type_ids
        (B, L); labels are -100 except at hidden positions
    Packed, ``flatten=True``    input_ids, labels, position_ids, ...
        (1, T) as DataCollatorWithFlattening
    ``span_boundary=True``      span_boundary_left, _right, _offset, _labels
        (B, M), places in the row; padded with labels -100

    collator = KnowledgeMaskingCollator(tokenizer=tokenizer, strategy=Ngram())
    Trainer(..., data_collator=collator, callbacks=[collator.callback()], args=TrainingArguments(...,
    remove_unused_columns=False))

A mask is a pure function of (seed, epoch, id or tokens of the feature, first token): equal for any number of workers,
new in every epoch. Who tells the collator the epoch: ``callback()`` under a Trainer, ``set_epoch`` in a loop of your
own. As long as nobody does, every call draws a number from torch's generator: masks are new each time too, but their
order hangs on the workers.

Shape legend: B features, L longest of them, T tokens of all, M span boundary targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from masking.budget import Budget
from masking.corruption import Corruption, Replacements
from masking.salience import Rarity
from masking.strategies import Strategy
from masking.strategies.whole_unit import WholeUnit
from pretrain.collating.collator_tables import epoch_callback, read_specials, special_flags
from pretrain.collating.feature_windows import ADDED
from pretrain.collating.features import FeatureReader, Turn
from pretrain.feed.hiding import Masking, Specials
from pretrain.feed.packed import Packed, hide, lay_out
from pretrain.objectives.span_boundary import SpanBoundary

Arrays = dict[str, npt.NDArray[Any]]
IGNORED = -100
"""The label that torch's cross entropy leaves out."""


def _unset() -> torch.Tensor:
    """(epoch, progress) in shared memory, so that workers that outlive an epoch see the next one. Epoch -1: not set."""
    clock = torch.tensor([-1.0, 0.0], dtype=torch.float64)
    clock.share_memory_()  # type: ignore[no-untyped-call]
    return clock


@dataclass(frozen=True, kw_only=True)
class KnowledgeMaskingCollator:
    """Hides whole words, phrases and entities of the features it collates."""

    tokenizer: Any
    """Of transformers, with a mask and a padding token."""
    strategy: Strategy | None = None
    """What is hidden together; without one, whole entities, phrases and words, of these the levels that a feature
    has."""
    budget: Budget | None = None
    """How much is hidden; without one, as the strategy was published."""
    corruption: Corruption | None = None
    """What replaces hidden tokens; without it, as the strategy was published."""
    prepared: str | Path = ""
    """A prepared folder, for strategies that must know the corpus: `pool: corpus` (geometric_span), similar words
    (macbert), rarity (salient)."""
    replacements: Replacements | None = None
    """Instead of a prepared folder: token counts or similar words of your own."""
    rarity: Mapping[str, Rarity] = field(default_factory=dict)
    """Instead of a prepared folder: rarity of units by level."""
    max_length: int = 512
    """Longest sample in tokens, special ones included. Longer rows of a shard are cut at sentence ends; longer
    ``input_ids`` are refused."""
    seed: int = 0
    """Other seeds, other masks."""
    pad_to_multiple_of: int | None = None
    """Rows are padded to a multiple of this many tokens."""
    flatten: bool = False
    """One row without padding; position ids begin anew with every sample. The model's attention must respect that."""
    return_flash_attn_kwargs: bool = False
    """Flattened: also `cu_seq_lens_q`, `cu_seq_lens_k`, `max_length_q`, `max_length_k`."""
    position_ids_start: int = 0
    """Flattened: position of a sample's first token (RoBERTa: 2)."""
    span_boundary: bool | SpanBoundary = False
    """Also the targets of the span boundary objective, with its settings if you give some."""
    return_tensors: str = "pt"
    """`pt` or `np`."""
    _clock: torch.Tensor = field(default_factory=_unset, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, kind in (("strategy", Strategy), ("budget", Budget), ("corruption", Corruption)):
            if not isinstance(getattr(self, name), kind | None):
                raise ValueError(
                    f"{name}: {getattr(self, name)!r} is no {kind.__name__} object (only YAML files name one by its "
                    "`kind`)"
                )
        if self.max_length <= ADDED:
            raise ValueError(f"max_length: {self.max_length} leaves no room for a token between [CLS] and [SEP]")
        if self.pad_to_multiple_of is not None and (self.flatten or self.pad_to_multiple_of < 1):
            raise ValueError(
                f"pad_to_multiple_of: {self.pad_to_multiple_of} must be at least 1, and flattened batches are not "
                "padded"
            )
        if self.return_flash_attn_kwargs and not self.flatten:
            raise ValueError("return_flash_attn_kwargs: only flattened batches have them; set flatten=True")
        if self.return_tensors not in ("pt", "np"):
            raise ValueError(f"return_tensors: {self.return_tensors!r} is not one of pt, np")
        if self.masking.hidden_share.row_targets:
            raise ValueError("budget: row_targets makes a mask depend on what shares its batch; leave it 0")
        if not self.flatten and self.specials.pad < 0:
            raise ValueError("tokenizer: it has no padding token; give it one, or flatten=True")
        _ = self.reader

    @cached_property
    def masking(self) -> Masking:
        """What is hidden and how."""
        return Masking(strategy=self.strategy or WholeUnit(), budget=self.budget, corruption=self.corruption)

    @cached_property
    def specials(self) -> Specials:
        """Special ids, and as much about vocabulary and corpus as the masking asks for."""
        return read_specials(self.tokenizer, self.masking, str(self.prepared), self.replacements, self.rarity)

    @cached_property
    def reader(self) -> FeatureReader:
        """Features -> samples."""
        ids = {name: getattr(self.tokenizer, f"{name}_token_id", None) for name in ("cls", "sep")}
        special_V = special_flags(self.tokenizer, self.specials)
        levels = tuple(self.masking.strategy.levels())
        return FeatureReader(
            **ids, special_V=special_V, levels=levels, needed=self.strategy is not None, max_length=self.max_length
        )

    def set_epoch(self, epoch: int, progress: float = 0.0) -> None:
        """From now on the masks of this epoch. Call it before the epoch's iterator is made; workers that live on hear
        of it too.

        Args:
            progress: how far training is, 0 to 1, for strategies that change along it (stages of ernie1, mixture).
        """
        if epoch < 0 or not 0 <= progress <= 1:
            raise ValueError(f"epoch: {epoch} must be 0 or more, and progress {progress} lie in [0, 1]")
        self._clock[0], self._clock[1] = epoch, progress

    def callback(self) -> Any:
        """A callback that tells this collator the epochs of a ``transformers.Trainer``; progress is that of whole
        epochs."""
        return epoch_callback(self.set_epoch)

    def __call__(self, features: Sequence[Mapping[str, Any]], return_tensors: str | None = None) -> dict[str, Any]:
        """The batch of these features.

        Raises:
            ValueError: a feature that cannot be used, by name.
        """
        if not len(features):
            raise ValueError("a batch without features")
        kind = return_tensors or self.return_tensors
        if kind not in ("pt", "np"):
            raise ValueError(f"return_tensors: {kind!r} is not one of pt, np")
        arrays = self.arrays(self.packed(features))
        whole: dict[str, Any] = {
            name: int(arrays.pop(name)) for name in ("max_length_q", "max_length_k") if name in arrays
        }
        tensors: dict[str, Any] = {
            name: torch.from_numpy(array) if kind == "pt" else array for name, array in arrays.items()
        }
        return {**tensors, **whole}

    def packed(self, features: Sequence[Mapping[str, Any]]) -> Packed:
        """The features one after another, part of them hidden, in numpy."""
        epoch, progress = self._clock.tolist()
        number = int(epoch) if epoch >= 0 else int(torch.randint(2**62, ()))
        samples = self.reader.read(features, Turn(self.seed, number))
        total = sum(len(sample.token_ids_T) for sample in samples)
        return hide(
            lay_out([samples], total, self.specials.pad, self.specials.vocabulary),
            self.masking,
            self.specials,
            progress,
        )

    def arrays(self, packed: Packed) -> Arrays:
        """The batch in numpy."""
        length_S = np.diff(np.append(packed.sample_start_S, len(packed.original_T)))
        place_T, rows, width = self._places(length_S)
        grid = {
            "input_ids": (packed.corrupted_T, self.specials.pad),
            "labels": (np.full(len(place_T), IGNORED), IGNORED),
        }
        grid["labels"][0][packed.hidden.position_M] = packed.hidden.label_M
        if not self.flatten:
            grid["attention_mask"] = (np.ones(len(place_T), np.int64), 0)
        if "token_type_ids" in self.tokenizer.model_input_names:
            segments_T = np.concatenate([sample.segment_ids_T for sample in packed.samples])
            grid["token_type_ids"] = (segments_T, getattr(self.tokenizer, "pad_token_type_id", 0))
        if self.flatten:
            within_T = np.arange(len(place_T)) - np.repeat(packed.sample_start_S.astype(np.int64), length_S)
            grid["position_ids"] = (within_T + self.position_ids_start, 0)
        found: Arrays = {}
        for name, (values_T, fill) in grid.items():
            found[name] = np.full((rows, width), fill, np.int64)
            found[name].ravel()[place_T] = values_T
        if self.return_flash_attn_kwargs:
            found["cu_seq_lens_q"] = found["cu_seq_lens_k"] = np.append(packed.sample_start_S, len(place_T)).astype(
                np.int32
            )
            found["max_length_q"] = found["max_length_k"] = length_S.max()
        return {**found, **(self._boundaries(packed, place_T, rows, width) if self.span_boundary else {})}

    def _places(self, length_S: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], int, int]:
        """Where each token stands in the grid of the batch, and the grid's rows and width."""
        total = int(length_S.sum())
        if self.flatten:
            return np.arange(total), 1, total
        multiple = self.pad_to_multiple_of or 1
        width = -(-int(length_S.max()) // multiple) * multiple
        begin_S = np.arange(len(length_S)) * width
        if getattr(self.tokenizer, "padding_side", "right") == "left":
            begin_S += width - length_S
        shift_S = begin_S - (np.cumsum(length_S) - length_S)
        return np.arange(total) + np.repeat(shift_S, length_S), len(length_S), width

    def _boundaries(self, packed: Packed, place_T: npt.NDArray[np.int64], rows: int, width: int) -> Arrays:
        """Span boundary targets by row: both boundaries as places in the row, the token's place in its span from 1, the
        token."""
        objective = self.span_boundary if isinstance(self.span_boundary, SpanBoundary) else SpanBoundary()
        targets, count = objective.targets(packed, "span_boundary")
        row_M = place_T[targets["left"]] // width
        count_B = np.bincount(row_M, minlength=rows)
        column_M = np.arange(count) - (np.cumsum(count_B) - count_B)[row_M]
        values = {"left": (place_T[targets["left"]] % width, 0), "right": (place_T[targets["right"]] % width, 0)}
        values |= {"offset": (targets["offset"], 1), "labels": (targets["label"], IGNORED)}
        found: Arrays = {}
        for name, (values_M, fill) in values.items():
            found[f"span_boundary_{name}"] = table = np.full((rows, int(count_B.max())), fill, np.int64)
            table[row_M, column_M] = values_M
        return found
