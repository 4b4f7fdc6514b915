"""Replaced-token detection with a small generator (after Clark et al. 2020, ELECTRA): a second encoder inside the
head."""

from __future__ import annotations

import copy
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
from pretrain.forward.loss import Loss
from pretrain.network.encoder import build_encoder
from pretrain.objectives import WORDS, Objective


class Pair(nn.Module):
    """A generator of its own width, its vocabulary head, and the detector over the states of the model's encoder."""

    def __init__(self, config: Any, width: int) -> None:
        from transformers.models.ernie.modeling_ernie import ErnieLMPredictionHead

        super().__init__()
        small = copy.deepcopy(config)
        small.hidden_size, small.num_attention_heads, small.intermediate_size = width, 2, 2 * width
        self.generator = build_encoder(small, pooler=False)
        self.prediction = ErnieLMPredictionHead(small)
        self.detector = nn.Linear(config.hidden_size, 1)


@dataclass(frozen=True, kw_only=True)
class ReplacedTokens(Objective):
    """Which tokens did the generator replace?"""

    BUILDS_ROWS: ClassVar[bool] = True
    READS_HIDDEN: ClassVar[bool] = True

    width: int = 16
    """Width of the generator; that of the model shares its word embeddings."""
    detection: float = 5.0
    """Factor of the detector's loss (ELECTRA: 50)."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Hidden tokens, and all tokens."""
        return ("generator", "detector")

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        real = np.flatnonzero(packed.units.maskable_T)
        arrays = {
            "position": packed.hidden.position_M,
            "label": packed.hidden.label_M,
            "real": real,
            "original": packed.original_T[real],
        }
        return arrays, len(packed.hidden.position_M) + len(real)

    def head(self, config: Any) -> nn.Module:
        return Pair(config, self.width)

    def tied(self, name: str) -> Mapping[str, str]:
        words = f"heads.{name}.generator.embeddings.word_embeddings.weight"
        ties = {"prediction.decoder.weight": words, "prediction.decoder.bias": f"heads.{name}.prediction.bias"}
        if self.width == 32:
            ties = {**ties, "generator.embeddings.word_embeddings.weight": WORDS, "prediction.decoder.weight": WORDS}
        return ties

    def companions(self, head: nn.Module) -> Mapping[str, nn.Module]:
        assert isinstance(head, Pair)
        return {"generator": head.generator}

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        assert isinstance(head, Pair)
        position, label, real = targets["position"], targets["label"], targets["real"]
        logits_MV = head.prediction(encoding.encode(encoder=head.generator).index_select(0, position)).float()
        with torch.no_grad():
            drawn_M = torch.multinomial(logits_MV.softmax(-1), 1)[:, 0] if len(label) else label
        seen_T = batch.input_ids[0].index_copy(0, position, drawn_M)
        states_RD = encoding.encode(input_ids=seen_T).index_select(0, real)
        detected_R = head.detector(states_RD)[:, 0].float()
        replaced_R = seen_T.index_select(0, real) != targets["original"]
        generated = nn.functional.cross_entropy(logits_MV, label, reduction="none")
        found = nn.functional.binary_cross_entropy_with_logits(detected_R, replaced_R.float(), reduction="none")
        return Loss(
            torch.cat([generated, found]),
            torch.cat([logits_MV.argmax(-1) == label, (detected_R > 0) == replaced_R]),
            torch.cat([torch.zeros_like(label), torch.ones_like(real)]),
            torch.cat([torch.ones_like(generated), torch.full_like(found, self.detection)]),
        )
