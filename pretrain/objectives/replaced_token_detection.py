"""Find the tokens that a small generator has replaced (ELECTRA, Clark et al. 2020, sections 2 and 3; released flags).

    batch           他   在  [M] [M]  大   学  [SEP]     hidden by the run's masking, in whole units
    generator                上  京                      predicts hidden tokens; one is drawn for each
    main encoder    他   在   上   京   大   学  [SEP]     sees the drawn tokens and never a [MASK]
    label           0    0    1    0    0    0    0        1 replaced, 0 original: 京 was guessed right

    loss = generator_weight x mean over hidden tokens + detection_weight x mean over all real tokens

Both means are exact over the whole step (feed/means.py). The generator is an encoder as deep as the model and so many
times narrower, inside the head. Its tokens are embedded by the model's own table, through a projection where widths
differ, and predicted with it; `kmask export --companions` folds the projection in and writes a plain encoder. Positions
and segments are its own (ELECTRA shares them too, and projects behind the layer norm: no plain encoder does that).

What hides tokens is `masking`: {mask: 1, random: 0} is the paper's corruption, {mask: 0.85, random: 0} the released
code's. Samples in which nothing may be hidden are not asked. Knowledge masking may learn from the same rows: then the
main encoder reads each batch twice, hidden and replaced. Drawing takes torch's generator, which the trainer sets for
every batch.
"""

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
from pretrain.feed.texts import Long, starts
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, hits
from pretrain.network.decoder import Decoder
from pretrain.network.encoder import build_encoder
from pretrain.objectives import WORDS, Objective


class Narrowed(nn.Module):
    """A word table as wide as the model, and the projection to a narrower encoder.

    Args:
        width: of the encoder; that of the table needs no projection.
    """

    def __init__(self, vocabulary: int, table: int, width: int, pad: int | None) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, table, padding_idx=pad)
        self.project = nn.Identity() if width == table else nn.Linear(table, width, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(..., width)."""
        found: torch.Tensor = self.project(self.table(ids))
        return found


class ReplacedTokenHead(nn.Module):
    """The generator with its vocabulary head, and the detector over the states of the model's encoder."""

    def __init__(self, config: Any, size: float) -> None:
        from transformers.activations import ACT2FN

        super().__init__()
        if config.model_type != "ernie":
            raise ValueError(
                f"replaced_token_detection makes its generator like an ErnieModel, and model.path is a "
                f"{config.model_type}; leave the task out"
            )
        small, wide, words = narrower(config, size), config.hidden_size, config.vocab_size
        self.generator = build_encoder(small, pooler=False)
        self.generator.embeddings.word_embeddings = Narrowed(words, wide, small.hidden_size, config.pad_token_id)  # type: ignore[union-attr]
        self.transform = nn.Linear(small.hidden_size, wide)
        self.norm = nn.LayerNorm(wide, eps=config.layer_norm_eps)
        self.decoder = Decoder(wide, words)
        self.dense, self.detector = nn.Linear(wide, wide), nn.Linear(wide, 1)
        self.activation = ACT2FN[config.hidden_act]

    def predicted(self, hidden_MD: torch.Tensor) -> torch.Tensor:
        """Logits (M, V) of the generator's states."""
        logits: torch.Tensor = self.decoder(self.norm(self.activation(self.transform(hidden_MD))))
        return logits

    def detected(self, hidden_RD: torch.Tensor) -> torch.Tensor:
        """Logits (R) of the model's states: is the token replaced?"""
        logits: torch.Tensor = self.detector(self.activation(self.dense(hidden_RD)))
        return logits[:, 0]


def narrower(config: Any, size: float) -> Any:
    """The generator's configuration: ``size`` times the width and the heads, as many layers; it knows no tasks."""
    small = copy.deepcopy(config)
    small.num_attention_heads = max(1, round(config.num_attention_heads * size))
    small.hidden_size = max(1, round(config.hidden_size * size / small.num_attention_heads)) * small.num_attention_heads
    small.intermediate_size = max(1, round(config.intermediate_size * size))
    small.use_task_id = False
    return small


@dataclass(frozen=True, kw_only=True)
class ReplacedTokenDetection(Objective):
    """Which tokens did the generator replace?"""

    READS_HIDDEN: ClassVar[bool] = True
    BUILDS_ROWS: ClassVar[bool] = True

    generator_size: float = 0.25
    """Width of the generator as a share of the model's (ELECTRA: 1/4 for small and large, 1/3 for base)."""
    generator_weight: float = 1.0
    """Weight of the generator's mean loss over hidden tokens."""
    detection_weight: float = 50.0
    """Weight of the detector's mean loss over all real tokens."""
    temperature: float = 1.0
    """Of the softmax that tokens are drawn from; below 1 likelier tokens are drawn more often."""
    disallow_correct: bool = False
    """Is the original token never drawn? Then every hidden token is a replaced one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.generator_size <= 1:
            raise ValueError(f"generator_size: {self.generator_size} must lie in (0, 1], a share of the model's width")
        for name in ("generator_weight", "detection_weight", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be positive")

    @property
    def groups(self) -> tuple[str, ...]:
        """The generator's targets; the detector's tokens that are original and replaced, whose mean accuracy is the
        balanced one."""
        return ("generator", "original", "replaced")

    @property
    def means(self) -> Mapping[str, float]:
        """The generator's loss and the detector's."""
        return {"generator": self.generator_weight, "detector": self.detection_weight}

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int | Mapping[str, int]]:
        changed = np.flatnonzero(packed.corrupted_T != packed.original_T)
        arrays = {
            "position": packed.hidden.position_M,
            "label": packed.hidden.label_M,
            "changed": changed,
            "original": packed.original_T[changed],
            "real": _asked(packed),
        }
        return arrays, {"generator": len(arrays["position"]), "detector": len(arrays["real"])}

    def head(self, config: Any) -> nn.Module:
        return ReplacedTokenHead(config, self.generator_size)

    def tied(self, name: str) -> Mapping[str, str]:
        return {"decoder.weight": WORDS, "generator.embeddings.word_embeddings.table.weight": WORDS}

    @torch.no_grad()
    def companions(self, head: nn.Module) -> Mapping[str, nn.Module]:
        assert isinstance(head, ReplacedTokenHead)
        folded: Any = copy.deepcopy(head.generator)
        words = folded.embeddings.word_embeddings
        weight = words.table.weight
        weight = weight if isinstance(words.project, nn.Identity) else weight @ words.project.weight.T
        folded.embeddings.word_embeddings = nn.Embedding(
            len(weight), weight.shape[1], padding_idx=words.table.padding_idx, _weight=weight
        )
        return {"generator": folded}

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        assert isinstance(head, ReplacedTokenHead)
        position, label, real = targets["position"], targets["label"], targets["real"]
        states_TD = encoding.encode(encoder=head.generator)
        logits_MV = head.predicted(states_TD.index_select(0, position)).float()
        original_T = batch.input_ids[0].index_copy(0, targets["changed"], targets["original"])
        seen_T = original_T.index_copy(0, position, self._drawn(logits_MV.detach(), label))
        replaced_R = (seen_T != original_T).index_select(0, real)
        detected_R = head.detected(encoding.encode(input_ids=seen_T).index_select(0, real)).float()
        generated = nn.functional.cross_entropy(logits_MV, label, reduction="none")
        found = nn.functional.binary_cross_entropy_with_logits(detected_R, replaced_R.float(), reduction="none")
        return Loss(
            torch.cat([generated, found]),
            torch.cat([hits(logits_MV.detach(), label), (detected_R.detach() > 0) == replaced_R]),
            torch.cat([torch.zeros_like(label), 1 + replaced_R.long()]),
            mean=torch.cat([torch.zeros_like(label), torch.ones_like(real)]),
        )

    def _drawn(self, logits_MV: torch.Tensor, label_M: torch.Tensor) -> torch.Tensor:
        """A token for each hidden one, from the softmax: the largest of logits with Gumbel noise."""
        noise_MV = torch.empty_like(logits_MV).exponential_().clamp_min_(torch.finfo(logits_MV.dtype).tiny).log_()
        scores_MV = logits_MV / self.temperature - noise_MV
        if self.disallow_correct:
            scores_MV = scores_MV.scatter(1, label_M[:, None], -torch.inf)
        return scores_MV.argmax(-1)


def _asked(packed: Packed) -> Long:
    """All positions of samples in which something may be hidden, [CLS] and [SEP] included."""
    maskable_T1 = starts(packed.units.maskable_T)
    start_S, end_S = packed.units.sample_start_S.astype(np.int64), packed.units.sample_end_S.astype(np.int64)
    asked_S = maskable_T1[end_S] > maskable_T1[start_S]
    start_S, length_S = start_S[asked_S], (end_S - start_S)[asked_S]
    return np.arange(int(length_S.sum())) + np.repeat(start_S - starts(length_S)[:-1], length_S)
