"""How fast models are asked for hidden tokens, against a plain loop of transformers, side by side on one core.

    python benchmarks/bench_cloze.py PREPARED_FOLDER [LAYERS] [WIDTH] [SAMPLES]      (default: 12, 768, 96)

Two kinds of samples from held-out text: units hidden in windows of 128 (`measures/cloze.py`), and all copies of
sentences with one token hidden (`measures/minimal_pairs.py`). The plain loop takes 32 samples at a time in the order
of the text, pads them to the longest, and takes the logits of the whole output; once more with samples sorted by length.
Both sides give equal log probabilities, or the benchmark ends. Processor time of one core, the better of two runs in
turns; tokens are real ones.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM

from data_prep.shards import Prepared
from masking.keyed import hash_keys
from masking.spans import KINDS
from pretrain.evaluation.blanks import Blanked, ask, blanked, framed
from pretrain.evaluation.hidden_units import probes
from pretrain.evaluation.subjects import Subject, open_subject
from pretrain.feed.sources import Source

BATCH, WINDOW = 32, 128


def hidden_units(prepared: Prepared, count: int) -> list[Blanked]:
    """Samples of a cloze test."""
    source = Source(name="bench", prepared=prepared, split="heldout", max_tokens=WINDOW - 2)
    mask = prepared.tokenizer.special_ids["[MASK]"]
    found, _ = probes(source, 4000, count // len(KINDS), KINDS)
    places = [np.arange(probe.first, probe.last) for probe in found]
    return [blanked(probe.ids_T, place, place, mask) for probe, place in zip(found, places, strict=True)]


def sentences(prepared: Prepared, count: int) -> list[Blanked]:
    """Copies of sentences of up to 62 tokens, each with one token hidden."""
    mask, found = prepared.tokenizer.special_ids["[MASK]"], list[Blanked]()
    shard = prepared.shards("heldout")[0]
    order = np.argsort(hash_keys("bench", map(str, range(len(shard.token_ids.offsets_D1) - 1))))
    for document in order.tolist():
        ids_T, end_S = shard.token_ids.row(document), shard.sentence_ends.row(document)
        sentence = framed(prepared.tokenizer, ids_T[: end_S[0]].astype(np.int64))
        if len(sentence) <= WINDOW // 2:
            found += [blanked(sentence, [place], [place], mask) for place in range(1, len(sentence) - 1)]
        if len(found) >= count:
            break
    return found


@torch.no_grad()
def plain(model: Any, samples: Sequence[Blanked]) -> list[float]:
    """As such loops are written."""
    found: list[float] = []
    for first in range(0, len(samples), BATCH):
        batch = samples[first : first + BATCH]
        longest = max(len(sample.ids_T) for sample in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.int64)
        for row, sample in enumerate(batch):
            ids[row, : len(sample.ids_T)] = torch.from_numpy(sample.ids_T)
        real = torch.tensor([[place < len(sample.ids_T) for place in range(longest)] for sample in batch])
        logs = model(input_ids=ids, attention_mask=real.long()).logits.log_softmax(-1)
        for row, sample in enumerate(batch):
            found += logs[row, sample.place_M, sample.token_M].tolist()
    return found


def seconds(call: Callable[[], Any]) -> float:
    """Processor time of a call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def compare(name: str, subject: Subject, model: Any, samples: list[Blanked]) -> None:
    """Print a line of the table."""
    tokens = sum(len(sample.ids_T) for sample in samples)
    by_length = sorted(samples, key=lambda sample: len(sample.ids_T))
    sides: dict[str, Callable[[], Any]] = {
        "ours": lambda: ask(subject, samples, torch.device("cpu")),
        "plain": lambda: plain(model, samples),
        "sorted": lambda: plain(model, by_length),
    }
    difference = np.abs(sides["ours"]().log_probability_M - np.array(plain(model, samples))).max()
    if difference > 1e-3:
        raise SystemExit(f"{name}: log probabilities differ by {difference}")
    best = dict.fromkeys(sides, np.inf)
    for _ in range(2):
        for side, call in sides.items():
            best[side] = min(best[side], seconds(call))
    speeds = [f"{tokens / best[side]:,.0f}" for side in sides]
    ratios = [f"{best[side] / best['ours']:.2f}" for side in ("plain", "sorted")]
    print(f"| {name} | {len(samples)} | {tokens:,} | {' | '.join([*speeds, *ratios])} | {difference:.0e} |", flush=True)


def main() -> None:
    """Make a model of random weights and ask it."""
    prepared = Prepared.open(Path(sys.argv[1]))
    layers, width, count = (int(value) for value in [*sys.argv[2:], *("12", "768", "96")[len(sys.argv) - 2 :]])
    torch.set_num_threads(1)
    model: Any = BertForMaskedLM(
        BertConfig(
            vocab_size=len(prepared.tokenizer.tokens),
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            intermediate_size=4 * width,
        )
    ).eval()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        subject = open_subject("bench", Path(folder), prepared.tokenizer)
    print("| samples | number | tokens | ours, tokens/s | plain loop | sorted | x plain | x sorted | difference |")
    print("|---|---|---|---|---|---|---|---|---|")
    compare("hidden units in windows", subject, model, hidden_units(prepared, count))
    compare("sentences, a token at a time", subject, model, sentences(prepared, count))


if __name__ == "__main__":
    main()
