"""How large a model is, on disk and in memory: counted from its shapes, without allocating it.

    with torch.device("meta"): model   ->  Sizes(encoder=102_267_648, heads={"span_boundary": 1_790_616, ...}, ...)

Weights, gradients and Adam follow from how DeepSpeed lays them out (checked against the tensors of real engines at
every stage); what activations take is an estimate, because it hangs on kernels and on where the allocator leaves gaps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import nn

from pretrain.forgetting import BEGIN
from pretrain.optimization import MOMENTS, moments_of
from pretrain.settings import DeepSpeed

ITEM = {"F32": 4, "I64": 8}
BUCKET = 25_000_000
"""Elements of DeepSpeed's buffer for gradients on their way (settings.deepspeed_config)."""
PERSISTENT = 100_000
"""Elements of the largest tensor that every process keeps whole at ZeRO 3 (DeepSpeed's default)."""
COPIES = ("bf16_parameters", "fp16")
"""Precisions in which the model holds 16-bit copies of fp32 masters."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Numbers of parameters and bytes of a stage's model."""

    encoder: int
    """Parameters of the encoder, tables of words and tasks and the pooler included."""
    heads: Mapping[str, int]
    """Parameters of every head, paused ones included; a table shared with the encoder counts there."""
    trained: int
    """Parameters that have a gradient in this stage."""
    checkpoint: int
    """Bytes of the two tensor files of a checkpoint (state.json adds some kB)."""
    remembered: frozenset[str]
    """Parameters that Adam knows at the end of the stage."""
    momentum: int = 0
    """Those of the trained ones that Muon moves: it remembers one number of each, Adam two."""
    linear: int = 0
    """Those of the trained ones that belong to linear layers, of torch's own class: DeepSpeed exchanges them in 16 bits
    under autocast."""
    large: int = 0
    """Tensors of weights that ZeRO 3 gathers one by one."""
    begun: int = 0
    """Parameters whose weights at the beginning of the stage are kept (optimization.average_stages): in fp32, in the
    main memory of every process and in its checkpoints."""

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.encoder + sum(self.heads.values())


class Memory(NamedTuple):
    """Bytes in one process."""

    weights: int
    """Weights, and fp32 masters where DeepSpeed keeps them."""
    gradients: int
    adam: int


def sizes(
    model: nn.Module,
    remembered: Collection[str],
    begun: Mapping[str, Sequence[int]] | None = None,
    algorithm: str = "adamw",
) -> Sizes:
    """Of a model with parameters ``ernie.*`` and ``heads.NAME.*``.

    Args:
        remembered: parameters whose Adam state came with a checkpoint or an earlier stage: a checkpoint keeps it while
        they pause.
        begun: shapes of the weights that the stage keeps as they were at its beginning (forgetting.py).
        algorithm: of the optimiser.
    """
    kept = begun or {}
    named = dict(model.named_parameters())  # shared ones once, under their first name
    heads = dict.fromkeys((name for name, _ in model.heads.named_children()), 0)  # type: ignore[union-attr, operator]
    for name, parameter in named.items():
        if name.startswith("heads."):
            heads[name.split(".")[1]] += parameter.numel()
    trained = {name for name, parameter in named.items() if parameter.requires_grad}
    known = frozenset(trained.union(remembered).intersection(named))
    shapes = {name: tuple(parameter.shape) for name, parameter in named.items()}
    layers = [module for module in model.modules() if type(module) is nn.Linear]
    linear = {id(parameter) for module in layers for parameter in module.parameters(recurse=False)}
    return Sizes(
        encoder=sum(parameter.numel() for name, parameter in named.items() if not name.startswith("heads.")),
        heads=heads,
        trained=sum(named[name].numel() for name in trained),
        checkpoint=checkpoint_bytes(shapes, known, kept, algorithm),
        remembered=known,
        momentum=sum(
            named[name].numel() for name in trained if moments_of(name, len(shapes[name]), algorithm) != MOMENTS
        ),
        linear=sum(named[name].numel() for name in trained if id(named[name]) in linear),
        large=sum(parameter.numel() > PERSISTENT for parameter in named.values()),
        begun=sum(math.prod(shape) for shape in kept.values()),
    )


def checkpoint_bytes(
    shapes: Mapping[str, Sequence[int]], known: Collection[str], begun: Mapping[str, Sequence[int]], algorithm: str
) -> int:
    """Bytes of model.safetensors and optimizer.safetensors; ``known`` are the parameters that Adam knows, ``begun`` the
    weights at the beginning of the stage."""
    weights = [(name, "F32", shape) for name, shape in shapes.items()]
    adam = [
        (f"{name}#{moment}", "F32", shapes[name])
        for name in known
        for moment in moments_of(name, len(shapes[name]), algorithm)
    ]
    others = [(f"{name}{BEGIN}", "F32", shape) for name, shape in begun.items()]
    return _file_bytes(weights) + _file_bytes([*adam, *others, *((f"{name}#step", "I64", ()) for name in known)])


def _file_bytes(tensors: Sequence[tuple[str, str, Sequence[int]]]) -> int:
    """A safetensors file: length of the header, header padded to 8 bytes, tensors in the order of the widest type, then
    of names."""
    header, end = {}, 0
    for name, kind, shape in sorted(tensors, key=lambda item: (-ITEM[item[1]], item[0])):
        begin, end = end, end + ITEM[kind] * math.prod(shape)
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
    return 8 + -(-len(json.dumps(header, separators=(",", ":"))) // 8) * 8 + end


def training_memory(found: Sizes, settings: DeepSpeed, processes: int) -> Memory:
    """Weights, gradients and Adam of one process, P parameters of which T are trained, N processes.

    ```
    ZeRO            weights + masters        gradients                            Adam
    0               4 P                      4 T                                  8 T, less 4 for each that Muon moves
    1               c P + 4 T / N            4 T  (bf16_parameters 6 T,           8 T / N
                                                   fp16 2 T + 4 T / N)
    2               c P + 4 T / N            4 T / N  (fp16 6 T / N)              8 T / N
    3               (c P + 4 T) / N          as ZeRO 2                            8 T / N
    ```

    c is 2 for 16-bit copies (bf16_parameters, fp16), else 4: DeepSpeed keeps masters beside fp32 weights too. 6 T are
    bf16 gradients and their fp32 sum. Masters are kept from ZeRO 1 on.
    """
    whole, trained, shared = found.parameters, found.trained, -(-found.trained // processes)
    copy = 2 if settings.precision in COPIES else 4
    if settings.zero_stage == 0:
        return Memory(4 * whole, 4 * trained, 8 * trained - 4 * found.momentum)
    weights = copy * (-(-whole // processes) if settings.zero_stage == 3 else whole) + 4 * shared
    if settings.precision == "fp16":
        gradients = 2 * trained + 4 * shared if settings.zero_stage == 1 else 6 * shared
    elif settings.zero_stage > 1:
        gradients = 4 * shared
    else:
        gradients = (6 if settings.precision == "bf16_parameters" else 4) * trained
    return Memory(weights, gradients, 8 * shared)


@dataclass(frozen=True, kw_only=True)
class Micro:
    """What a process feeds the model at once, as far as memory hangs on it."""

    tokens: int
    """Positions of its rows."""
    longest: int
    """Longest sample."""
    predicted: int
    """Positions at which a task predicts one of the vocabulary's tokens, summed over tasks."""
    passes: int = 1
    """How often the model's encoder reads them: tasks may encode a batch again, or never read the shared states."""


def activation_estimate(
    config: object, micro: Micro, settings: DeepSpeed, gpu: bool, others: Sequence[object] = ()
) -> int:
    """Roughly what one micro-batch keeps for its backward pass, and DeepSpeed's buffer: an estimate, in bytes.

    ```
    layers * tokens * (a D + b I)          a, b = 36, 8 in fp32; 26, 4 in bf16 (autocast: norms stay fp32); 18, 4 in
                                           16-bit copies
      with dropout                         + layers * tokens * 8 D in fp32, 4 D otherwise
      with attention dropout on a CPU      + layers * tokens * heads * longest sample * 5 in fp32, 12 otherwise
    embeddings                             tokens * 12 D
    vocabulary                             predicted positions * V * 8 (log-softmax and its gradient, fp32)
    autocast                               2 bytes for each weight of the layers, and of the table where words are
                                           predicted (their bf16 copies)
    ZeRO 1 up                              100 MB, a bucket of 25 M gradients
    ```

    D hidden, I intermediate width, V vocabulary. Attention is a fused kernel that keeps no matrix of probabilities. The
    factors were counted from the tensors that autograd saves (tests/launch/test_dry_run.py compares them again).

    Layers and embeddings count once for each pass. Second encoders of heads, whose configurations are ``others`` (one
    for each pass), are counted as encoders that predict nothing.
    """
    found = _encoder_activations(config, micro, settings, gpu) + vocabulary_activations(config, micro)
    alone = replace(micro, predicted=0, passes=1)
    found += sum(_encoder_activations(other, alone, settings, gpu) for other in others)
    if settings.precision == "bf16" and micro.predicted:
        found += 2 * int(config.vocab_size) * int(config.hidden_size)  # type: ignore[attr-defined]
    return found + (4 * BUCKET if settings.zero_stage else 0)


def vocabulary_activations(config: object, micro: Micro) -> int:
    """Bytes of what is predicted over the vocabulary: log-softmax and its gradient in fp32."""
    return 8 * micro.predicted * int(config.vocab_size)  # type: ignore[attr-defined]


def _encoder_activations(config: object, micro: Micro, settings: DeepSpeed, gpu: bool) -> int:
    """Of one encoder, by the table of ``activation_estimate``."""
    layers, hidden, inner, heads = (
        int(getattr(config, name))
        for name in ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads")
    )
    single = settings.precision in ("fp32", "auto")
    wide, narrow = (36, 8) if single else (18, 4) if settings.precision in COPIES else (26, 4)
    per_token = wide * hidden + narrow * inner
    per_token += (8 if single else 4) * hidden if getattr(config, "hidden_dropout_prob", 0.0) else 0
    if getattr(config, "attention_probs_dropout_prob", 0.0) and not gpu:
        per_token += (5 if single else 12) * heads * micro.longest
    found = micro.passes * (layers * micro.tokens * per_token + 12 * micro.tokens * hidden)
    if settings.precision == "bf16":
        found += 2 * layers * hidden * (4 * hidden + 2 * inner)
    return found
