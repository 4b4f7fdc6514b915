"""A prefix language model: the second half of each sample from everything before, the first half read in both
directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pretrain.feed.batch import Batch
from pretrain.feed.packed import Packed
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, cross_entropy
from pretrain.objectives import TokenPrediction


@dataclass(frozen=True, kw_only=True)
class PrefixLanguage(TokenPrediction):
    """The next token behind the prefix."""

    BUILDS_ROWS: ClassVar[bool] = True

    fault: str = ""
    """What is done wrong: `group` (a group that does not exist), `no_group`, `name` or `shape` (a tie)."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Tokens at once behind the prefix, and the others."""
        return ("first", "later")

    def tied(self, name: str) -> Mapping[str, str]:
        right = super().tied(name)
        wrong = {
            "name": "ernie.embeddings.words.weight",
            "shape": "ernie.embeddings.position_embeddings.weight",
            "other": "heads.other.weight",
        }
        return {**right, "decoder.weight": wrong.get(self.fault, right["decoder.weight"])}

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        start_S = packed.sample_start_S.astype(np.int64)
        length_S = np.array([len(sample.token_ids_T) for sample in packed.samples], np.int64)
        prefix_S = length_S // 2
        position = [
            np.arange(start + prefix, start + length)
            for start, prefix, length in zip(start_S, prefix_S, length_S, strict=True)
        ]
        place = [np.arange(length - prefix) for prefix, length in zip(prefix_S, length_S, strict=True)]
        position_M = np.concatenate(position)
        group_M = (np.concatenate(place) > 0).astype(np.int64)
        arrays = {
            "ids": packed.original_T,
            "prefix": prefix_S,
            "position": position_M - 1,
            "label": packed.original_T[position_M],
            "group": group_M,
        }
        return arrays, len(position_M)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        whole = len(targets["ids"]) == batch.input_ids.numel()  # tests hand it empty arrays
        again = {"input_ids": targets["ids"], "prefix_S": targets["prefix"]} if whole else {}
        hidden_TD = encoding.encode(**again)
        group_M: Any = {"group": targets["group"] + 1, "no_group": None}.get(self.fault, targets["group"])
        return cross_entropy(head(hidden_TD.index_select(0, targets["position"])), targets["label"], group_M)
