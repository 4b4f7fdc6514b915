"""An encoder of transformers over packed rows: attention that never crosses samples, at no cost in parameters or
names.

    (1, T) ids, positions, segments, tasks  ->  ErnieModel (or another, kinds.py)  ->  hidden states (T, D)

The attention is registered with transformers' attention interface under ``kmask_packed``. On a GPU in half precision it
is torch's variable-length flash attention; elsewhere samples of nearly equal lengths are gathered into grids
(grid_attention.py), which is the same function: padding keys have probability exactly 0. Tasks may encode a batch again
under another pattern (prefix.py).

Shape legend: T positions of the batch, S samples, H heads, E head width, D = H * E.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from pretrain.feed.batch import Batch
from pretrain.network.adapters import Adapter
from pretrain.network.grid_attention import anywhere, fused
from pretrain.network.kinds import architecture
from pretrain.network.prefix import Prefix, prefix_of, variable_length

ATTENTION = "kmask_packed"
OPTIMIZERS = ("reset", "keep")


@dataclass(frozen=True, kw_only=True)
class Model:
    """Shape of the encoder, in transformers' terms, or what a new run begins from."""

    path: str = ""
    """What a new run begins from, read once at its start (`kmask train --continue-from PATH` writes it): another run of
    kmask (its newest checkpoint), one checkpoint in it, an export of kmask, or a folder in Hugging Face format
    (docs/continue.md: bert, ernie, roberta, electra, modernbert). Its shape and vocabulary replace the fields below. A
    run or an export also gives its heads and its rows of the task table, by the names of its tasks."""
    optimizer: str = "reset"
    """What Adam knows of parameters that come from `path`: `keep` takes over its moments and step counts, which a run
    has and an export or a BERT folder has not; `reset` begins them anew."""
    drop: list[str] = field(default_factory=list)
    """Tasks that the run or export at `path` learned and that are left behind; every other one must be in `tasks`."""
    warm_up_head: int = 0
    """Steps at the beginning in which the encoder of `path` stands still and only what `path` did not bring is trained:
    heads of new tasks, a masked-LM head that is missing or looks untrained, such a pooler. 0: none."""
    adapter: Adapter | None = None
    """What is trained in place of the encoder that comes from `path`, beside the heads: `kind: lora` or
    `kind: bottleneck`. None: all of it."""
    layers: int = 12
    """Number of transformer layers."""
    hidden: int = 768
    """Width of the hidden states."""
    heads: int = 12
    """Attention heads; they divide `hidden`."""
    intermediate: int = 0
    """Width of the feed-forward layer; 0 means 4 x hidden."""
    activation: str = "gelu"
    """`gelu`, `relu` (ERNIE 1.0) or another of transformers' activations."""
    dropout: float = 0.0
    """Dropout of hidden states. 0 by default: a token of a large corpus is read a few times only, and drawing random
    numbers takes 5 to 8 % of a step (BERT and ERNIE trained with 0.1)."""
    attention_dropout: float = 0.0
    """Dropout of attention weights. With 0 GPUs use variable-length flash attention in half precision and processors
    their own; other values are much slower, and a run says so."""
    max_positions: int = 512
    """Longest sample the exported model can read."""
    segment_types: int = 2
    """Rows of the segment (token type) table."""
    layer_norm_eps: float = 1e-12
    """Epsilon of the layer norms (Paddle's ERNIE: 1e-5)."""

    def __post_init__(self) -> None:
        for name in ("layers", "hidden", "heads", "max_positions", "segment_types"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if self.intermediate < 0:
            raise ValueError(f"intermediate: {self.intermediate} must be 0 (4 x hidden) or positive")
        if not self.layer_norm_eps > 0:
            raise ValueError(f"layer_norm_eps: {self.layer_norm_eps} must be positive")
        if self.hidden % self.heads:
            raise ValueError(f"heads: {self.heads} does not divide hidden = {self.hidden}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer: {self.optimizer!r} is not one of {', '.join(OPTIMIZERS)}")
        if self.warm_up_head < 0:
            raise ValueError(f"warm_up_head: {self.warm_up_head} must not be negative")
        if not self.path and (self.optimizer == "keep" or self.drop or self.warm_up_head):
            named = "drop" if self.drop else "warm_up_head" if self.warm_up_head else "optimizer"
            raise ValueError(f"{named}: {getattr(self, named)} needs `path`, the run that it is about")
        if self.adapter and not self.path:
            raise ValueError(
                "adapter: it is trained in place of an encoder that `path` names; leave it out, or give one"
            )
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must lie in [0, 1)")

    def config(self, vocabulary_size: int, tasks: int, pad_id: int) -> Any:
        """transformers' ErnieConfig with ``tasks`` rows in the task table.

        Raises:
            ValueError: transformers does not know the activation.
        """
        from transformers import ErnieConfig
        from transformers.activations import ACT2FN

        if self.activation not in ACT2FN:
            raise ValueError(f"model.activation: {self.activation!r} is not one of {', '.join(sorted(ACT2FN))}")
        return ErnieConfig(
            vocab_size=vocabulary_size,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.intermediate or 4 * self.hidden,
            hidden_act=self.activation,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.attention_dropout,
            max_position_embeddings=self.max_positions,
            type_vocab_size=self.segment_types,
            layer_norm_eps=self.layer_norm_eps,
            task_type_vocab_size=tasks,
            use_task_id=True,
            pad_token_id=pad_id,
        )


def slow_attention(model: Model, device: torch.device) -> list[str]:
    """What a user should know who asked for dropout of attention weights."""
    if not model.attention_dropout or device.type != "cuda":
        return []
    return [
        f"attention_dropout {model.attention_dropout}: flash attention has none, so samples are padded into grids, "
        "which is several times slower; 0 is fast"
    ]


def packed_attention(
    module: nn.Module,
    query_1HTE: torch.Tensor,
    key_1HTE: torch.Tensor,
    value_1HTE: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention inside each sample; returns (1, T, H, E). Layers with a ``sliding_window`` see less far than that to
    both sides.

    Raises:
        ValueError: prefixes in such a layer on a GPU.
    """
    batch: Batch = kwargs["packed"]
    prefix: Prefix | None = kwargs.get("prefix")
    reach = (kwargs.get("sliding_window") or 1) - 1
    if query_1HTE.is_cuda and query_1HTE.dtype in (torch.bfloat16, torch.float16) and not (dropout and module.training):
        from torch.nn.attention.varlen import varlen_attn

        query, key, value = (tensor[0].transpose(0, 1).contiguous() for tensor in (query_1HTE, key_1HTE, value_1HTE))
        if prefix is not None and reach:
            raise ValueError("prefix attention has no kernel for layers that see a window only; leave prefix_lm out")
        if prefix is not None:
            return variable_length(batch, prefix, query, key, value, scaling).unsqueeze(0), None
        seams, longest = batch.cu_seqlens, batch.max_seqlen
        near: Any = {"window_size": (reach, reach)} if reach else {}
        out_THE: Any = varlen_attn(query, key, value, seams, seams, longest, longest, scale=scaling, **near)
        return out_THE.unsqueeze(0), None
    flat = (query_1HTE[0].transpose(0, 1), key_1HTE[0].transpose(0, 1), value_1HTE[0].transpose(0, 1))
    prefix_S = None if prefix is None else prefix.line_S
    scale = query_1HTE.shape[-1] ** -0.5 if scaling is None else scaling
    if query_1HTE.device.type == "cpu" and not (dropout and module.training):
        return fused(*flat, batch.grids, prefix_S, scale, reach).unsqueeze(0), None
    dropped = dropout if module.training else 0.0
    return anywhere(*flat, batch.grids, prefix_S, scale, dropped, reach).unsqueeze(0), None


def build_encoder(config: Any, pooler: bool = True) -> nn.Module:
    """The encoder of a configuration (kinds.py) with packed attention; weights are set by the caller. A second encoder,
    which nobody pools, has no pooler."""
    from transformers.modeling_utils import AttentionInterface

    AttentionInterface.register(ATTENTION, packed_attention)
    encoder = architecture(config.model_type).build(config, pooler)
    encoder.set_attn_implementation(ATTENTION)  # type: ignore[operator]
    return encoder


def keep_less(encoder: nn.Module) -> None:
    """Keep only the input of each layer for the backward pass, which computes the rest again."""
    older: Any = encoder.gradient_checkpointing_enable  # its older name
    getattr(encoder, "activation_checkpointing_enable", older)({"use_reentrant": False})


def encode(
    encoder: nn.Module, batch: Batch, input_ids: torch.Tensor | None = None, prefix_S: torch.Tensor | None = None
) -> torch.Tensor:
    """Hidden states (T, D) of a batch, or of its samples with other ids (int64[T]) or other prefixes (int64[S],
    prefix.py).

    Raises:
        ValueError: there is not one id per position, or not one prefix per sample.
    """
    ids_1T = batch.input_ids if input_ids is None else input_ids.reshape(1, -1)
    if ids_1T.shape != batch.input_ids.shape:
        raise ValueError(f"input_ids: {ids_1T.shape[1]} ids were given for {batch.input_ids.shape[1]} positions")
    output = encoder(
        input_ids=ids_1T,
        position_ids=batch.position_ids,
        token_type_ids=batch.token_type_ids,
        task_type_ids=batch.task_type_ids,
        packed=batch,
        prefix=None if prefix_S is None else prefix_of(batch, prefix_S),
    )
    hidden: torch.Tensor = output.last_hidden_state
    return hidden[0]
