"""ONNX beside the model, for runtimes without torch: onnx/model.onnx, opset 18, in fp32.

    input_ids, attention_mask, token_type_ids   int64 (batch, length); a ModernBERT takes the first two
    last_hidden_state                           float32 (batch, length, D)
    logits                                      float32 (batch, length, V), where a masked-LM head was learned (of an
                                                ELECTRA or ModernBERT: not)

It is the reloaded model of transformers that is written, with its own attention and task id 0; both dimensions may be
anything, and padding is hidden by the mask. Weights of a half are written as the fp32 numbers that they are.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pretrain.formats import Format, Trained
from pretrain.state.verifying import Expected, load

OPSET = 18
FILE = "onnx/model.onnx"
NEEDED = ("onnx", "onnxscript", "onnxruntime")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
LARGEST_FILE = 1_500_000_000
"""Bytes of weights that one file holds (ONNX' own limit is 2 GB); more go to model.onnx.data beside it."""


class Outputs(nn.Module):
    """A model of transformers as a function of the three inputs."""

    def __init__(self, model: Any, masked_lm: bool) -> None:
        super().__init__()
        self.encoder, self.head = model.base_model, head_of(model) if masked_lm else None

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> tuple[torch.Tensor, ...]:
        """Last states, and logits of every position."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **segments).last_hidden_state
        return (hidden,) if self.head is None else (hidden, self.head(hidden))


def head_of(model: Any) -> Any:
    """The masked-LM head of a model of transformers, where it is one module; None otherwise."""
    return getattr(model, "cls", None) or getattr(model, "lm_head", None)


@dataclass(frozen=True, kw_only=True)
class Onnx(Format):
    """The encoder and its masked-LM head as an ONNX graph."""

    def check(self) -> None:
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise ValueError(f"format onnx needs {', '.join(missing)}: pip install 'kmask[onnx]'")

    @torch.no_grad()
    def write(self, trained: Trained, folder: Path) -> None:
        model = load(folder, "AutoModelForMaskedLM" if trained.masked_lm else "AutoModel")
        outputs = Outputs(model, trained.masked_lm)
        (folder / FILE).parent.mkdir()
        axes = {
            0: torch.export.Dim("batch"),
            1: torch.export.Dim("length", max=trained.shape["max_position_embeddings"]),
        }
        mask = torch.ones(2, 8, dtype=torch.long)
        mask[1, 4:] = 0
        inputs = INPUTS if "type_vocab_size" in trained.shape else INPUTS[:2]
        examples = (mask * 2, mask, torch.zeros_like(mask))  # three tensors: one given thrice would be one input
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)  # what torchvision lacks, and so on
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    outputs,
                    examples[: len(inputs)],
                    folder / FILE,
                    input_names=list(inputs),
                    output_names=["last_hidden_state", *(["logits"] if outputs.head is not None else [])],
                    dynamic_shapes=[axes] * len(inputs),
                    opset_version=OPSET,
                    dynamo=True,
                    external_data=sum(item.nbytes for item in model.parameters()) > LARGEST_FILE,
                    verbose=False,
                )
        finally:
            logging.disable(before)

    def verify(self, folder: Path, expected: Expected) -> Mapping[str, float]:
        """States and logits by onnxruntime, each sample alone and all of them padded to one batch."""
        import onnxruntime

        session = onnxruntime.InferenceSession(str(folder / FILE), providers=["CPUExecutionProvider"])
        names = [item.name for item in session.get_outputs()]
        references = {"last_hidden_state": expected.hidden, "logits": expected.logits}
        worst, rows = 0.0, range(len(expected.inputs))
        for batch in (*([row] for row in rows), list(rows)):
            outputs = session.run(None, padded([expected.inputs[row] for row in batch]))
            for name, values in zip(names, outputs, strict=True):
                wanted = [references[name][row] for row in batch]
                found = [torch.from_numpy(value)[: len(like)] for value, like in zip(values, wanted, strict=True)]
                worst = max(worst, expected.difference(f"{name} of ONNX", found, wanted))
        return {"onnxruntime": worst}


def padded(samples: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, Any]:
    """The inputs for a batch of samples, arrays int64 (samples, longest)."""
    rows = {name: [sample[name][0] for sample in samples] for name in samples[0]}
    rows["attention_mask"] = [torch.ones_like(row) for row in rows["input_ids"]]
    return {name: nn.utils.rnn.pad_sequence(row, batch_first=True).numpy() for name, row in rows.items()}
