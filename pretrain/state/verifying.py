"""Does an exported folder give what the training model gives? The model speaks first and goes; then each Auto class of
transformers loads the folder by itself, so that no two models are in memory.

    expected_of(model, tokenizer)   ->  Expected        states, logits and pooled states of fixed samples
    verify(folder, expected)        ->  {"AutoModelForMaskedLM": 1.4e-06, ...}: the largest differences, or an error

Weights of a half are computed with in fp32: what is measured is what rounding them did.

Shape legend: T tokens, D width, V vocabulary.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pretrain.network.encoder import encode
from pretrain.state.export_parts import BOUNDS, PAIR, SENTENCES, one_sample

MASKING = "knowledge_masking"
NEW_HEAD = "classifier."
"""Where names begin of what whoever fine-tunes begins anew; nothing else may be missing."""
TIED = ("cls.predictions.decoder.", "lm_head.decoder.", "generator_lm_head.weight", "decoder.weight")
"""transformers ties them to the word embeddings: they are in no file."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the training model gives for one sample after the other, computed in fp32."""

    inputs: Sequence[Mapping[str, torch.Tensor]]
    """`input_ids`, and `token_type_ids` where the encoder knows segments, int64 (1, T); samples of the sentences, then
    one of a pair."""
    hidden: Sequence[torch.Tensor]
    """Last states, (T, D)."""
    pooled: Sequence[torch.Tensor]
    """(D,)"""
    logits: Sequence[torch.Tensor]
    """Of the masked-LM head, (T, V); none where it was never learned."""
    pair: Sequence[torch.Tensor]
    """Of `cls.seq_relationship`, (2,), with task id 0; none where no task's head is."""
    dtype: str
    """What the weights of the export are written in."""

    def difference(self, what: str, found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
        """The largest absolute difference.

        Raises:
            ValueError: it is more than BOUNDS allows, or not a number.
        """
        worst = max(float((one - two).abs().max()) for one, two in zip(found, expected, strict=True))
        scale = max(1.0, *(float(item.abs().max()) for item in expected)) if self.dtype != "fp32" else 1.0
        if not worst <= BOUNDS[self.dtype] * scale:
            raise ValueError(
                f"export refused: {what} differ from the training model by {worst:.2e} "
                f"(allowed for {self.dtype}: {BOUNDS[self.dtype] * scale:.0e})"
            )
        return worst


@torch.no_grad()
def expected_of(model: Any, tokenizer: Path, pair_task: str = "", dtype: str = "fp32") -> Expected:
    """What a PretrainingModel gives, by its own packed path.

    Args:
        tokenizer: a folder.
        pair_task: the task whose head is exported as `cls.seq_relationship`.
    """
    from transformers import AutoTokenizer

    model.eval()
    cut = {"return_tensors": "pt", "truncation": True, "max_length": model.config.max_position_embeddings}
    with quiet():
        loaded = AutoTokenizer.from_pretrained(tokenizer)
    samples = [*(loaded(sentence, **cut) for sentence in SENTENCES), loaded(*PAIR, **cut)]
    names = ("input_ids", *(("token_type_ids",) if hasattr(model.config, "type_vocab_size") else ()))
    inputs = [{name: sample.get(name, torch.zeros_like(sample["input_ids"])) for name in names} for sample in samples]
    hidden = [encode(model.ernie, one_sample(*(item[name][0] for name in names))) for item in inputs]
    pooled = [model.ernie.pooler(states[None])[0] for states in hidden]
    return Expected(
        inputs=inputs,
        hidden=hidden,
        pooled=pooled,
        logits=[model.heads[MASKING](states) for states in hidden] if MASKING in model.heads else [],
        pair=[model.heads[pair_task](state) for state in pooled] if pair_task else [],
        dtype=dtype,
    )


@torch.no_grad()
def verify(folder: Path, expected: Expected) -> dict[str, float]:
    """Reload a folder with every Auto class that its heads promise.

    Returns:
        The largest difference of a number by class.

    Raises:
        ValueError: a class cannot load it completely, or gives something else.
    """
    classes = ["AutoModel"]
    classes += ["AutoModelForMaskedLM"] if expected.logits else []
    classes += ["AutoModelForPreTraining"] if expected.pair else []
    classes += ["AutoModelForSequenceClassification", "AutoModelForTokenClassification"]
    return {name: _compared(name, load(folder, name), expected) for name in classes}


def load(folder: Path, auto_class: str) -> Any:
    """A folder's model by an Auto class, in fp32.

    Raises:
        ValueError: it lacks a weight that is not a new classifier's, or one has another shape.
    """
    import transformers

    with quiet():
        model, info = getattr(transformers, auto_class).from_pretrained(
            folder, output_loading_info=True, dtype=torch.float32
        )
    may_miss = (*TIED, NEW_HEAD) if auto_class.endswith("Classification") else TIED
    missing = sorted(name for name in info["missing_keys"] if not name.startswith(may_miss))
    wrong = [*missing, *map(str, info["mismatched_keys"])]
    if wrong:
        raise ValueError(f"export refused: {auto_class} reloads it without {', '.join(wrong[:5])}")
    return model.eval()


def _compared(name: str, model: Any, expected: Expected) -> float:
    found: dict[str, list[torch.Tensor]] = {"hidden states": [], "pooled states": [], "logits": [], "pair logits": []}
    for item in expected.inputs:
        output = model(**item)
        states = output if name == "AutoModel" else model.base_model(**item)
        found["hidden states"].append(states.last_hidden_state[0])
        if name == "AutoModel":
            pooled = getattr(output, "pooler_output", None)  # an ELECTRA has no pooler
            found["pooled states"] += [] if pooled is None else [pooled[0]]
        elif name == "AutoModelForMaskedLM":
            found["logits"].append(output.logits[0])
        elif name == "AutoModelForPreTraining":
            found["logits"] += [output.prediction_logits[0]] if expected.logits else []
            found["pair logits"].append(output.seq_relationship_logits[0])
    wanted = zip(found.items(), (expected.hidden, expected.pooled, expected.logits, expected.pair), strict=True)
    return max(
        expected.difference(f"{what} of {name}", values, reference) for (what, values), reference in wanted if values
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing from transformers: what is missing is checked, what is left over is known."""
    from transformers.utils import logging

    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()
