"""Training steps a second on a CPU: each technique switched off in turn, and transformers' Trainer beside them.

    kmask prepare benchmarks/training/corpus.yaml
    python benchmarks/bench_train.py [PREPARED_FOLDER] [--threads 2] [--rounds 8] [--compiled]

4 layers of 256, fp32, rows of 2,048 positions. The steps of all variants take turns; the median of the rounds counts.
Work is 6 x (weights of the layers + weights of the head x share of hidden tokens) operations per real token, without
attention's own; the matmul rate is measured between the steps. `bound` is what the work alone allows a peer to lose:
its own operations per real token, padding and head over all positions included, against ours.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence

import torch
from training import peers, variants

from pretrain.corpus import Corpus
from pretrain.engine import join
from pretrain.feed.batch import Batch
from pretrain.processes.world import leave

EQUAL_STEPS = 20
SENTENCE_ENDS = "。！？.!?"

parser = argparse.ArgumentParser()
parser.add_argument("folder", nargs="?", default="runs/bench/train")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=8)
parser.add_argument("--tokens", type=int, default=128)
parser.add_argument("--compiled", action="store_true")
parser.add_argument("--peers", type=int, default=30, help="steps of each peer; 0: none")
options = parser.parse_args()


def matmul_rate(a: torch.Tensor, b: torch.Tensor) -> float:
    """Operations a second of one large multiplication."""
    begun = time.perf_counter()
    torch.mm(a, b)
    return 2 * a.shape[0] * a.shape[1] * b.shape[1] / (time.perf_counter() - begun)


def work(corpus: Corpus, found: Sequence[Batch], head_share: float | None = None) -> float:
    """Operations per real token; of a head over this share of the tokens, or of the hidden ones."""
    shape, vocabulary = corpus.run.model, len(corpus.tokenizer.tokens)
    share = (
        sum(b.masked_tokens for b in found) / sum(b.real_tokens for b in found) if head_share is None else head_share
    )
    return 6 * (12 * shape.layers * shape.hidden**2 + share * (shape.hidden**2 + shape.hidden * vocabulary))


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(options.threads)
    run = variants.configured(options.folder, options.tokens)
    corpus, world = Corpus(run=run), join(run.engine)
    found = variants.batches(corpus, EQUAL_STEPS)
    with variants.one_grid():
        single = variants.batches(corpus, EQUAL_STEPS)
    drop = Corpus(run=variants.configured(options.folder, options.tokens, dropout=0.1))
    steps = variants.steps(corpus, world, options.compiled)
    with_dropout = variants.steps(drop, world, False)["torch alone"]
    plain = steps["torch alone"]
    table = {name: (step, found) for name, step in steps.items()}
    table["all samples in one grid"] = (variants.steps(corpus, world, False)["torch alone"], single)
    losses = {name: [float(step(batch)) for batch in series] for name, (step, series) in table.items()}
    table["dropout 0.1"] = (with_dropout, found)
    rates: dict[str, list[float]] = {name: [] for name in table}
    matmul: list[float] = []
    a, b = torch.randn(2048, 1024), torch.randn(1024, 1024)
    for number in range(options.rounds):
        for name, (step, series) in table.items():
            batch = series[number % len(series)]
            begun = time.perf_counter()
            step(batch)
            rates[name].append(batch.real_tokens / (time.perf_counter() - begun))
            matmul.append(matmul_rate(a, b))
    each, peak = work(corpus, found), statistics.median(matmul)
    real = sum(batch.real_tokens for batch in found) / sum(batch.input_ids.numel() for batch in found)
    vocabulary = len(corpus.tokenizer.tokens)
    print(f"{options.threads} threads, vocabulary {vocabulary:,}, samples of {options.tokens}, real share {real:.3f}")
    print(f"matmul rate {peak / 1e9:.0f} GFLOP/s; {each / 1e6:.1f} MFLOP a real token\n")
    print("| step | real tokens/s | GFLOP/s | of the matmul rate | of torch alone | largest difference of 20 losses |")
    print("|---|---|---|---|---|---|")
    whole = statistics.median(rates["torch alone"])
    for name, values in rates.items():
        middle = statistics.median(values)
        apart = (
            max(abs(x - y) for x, y in zip(losses[name], losses["torch alone"], strict=True))
            if name in losses
            else None
        )
        told = "" if apart is None else f"{apart:.1e}"
        print(
            f"| {name} | {middle:,.0f} | {middle * each / 1e9:.1f} | {middle * each / peak:.2f} | {middle / whole:.2f} | {told} |",
            flush=True,
        )
    leave()  # Trainer would wrap its model for several processes
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    if options.peers:
        beside(corpus, found, plain, each)


def beside(corpus: Corpus, found: Sequence[Batch], step: variants.Step, each: float) -> None:
    """transformers' Trainer, ours before and after each."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(corpus.tokenizer.folder)
    texts = peers.texts_of(variants.batches(corpus, 3 * options.peers))
    ends = set(tokenizer.convert_tokens_to_ids(list(SENTENCE_ENDS)))
    shape = corpus.run.model
    sizes = {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": 4 * shape.hidden,
        "max_position_embeddings": options.tokens,
    }
    modes = {
        "concatenated text, token collator": (peers.concatenated(texts, options.tokens), False),
        "concatenated text, whole-word collator": (peers.concatenated(texts, options.tokens), True),
        "line by line, padded, token collator": (peers.line_by_line(texts, ends, options.tokens), False),
    }
    print("\n| transformers' Trainer | its real tokens/s | its real share | ours | ratio | bound by work |")
    print("|---|---|---|---|---|---|")
    full = work(corpus, found, 1.0)
    for name, (lines, words) in modes.items():
        ours = [ours_rate(found, step)]
        theirs = peers.rate(lines, tokenizer, sizes, options.tokens, options.peers, words)
        ours.append(ours_rate(found, step))
        mine = statistics.mean(ours)
        bound = full / theirs.real_share / each
        print(
            f"| {name} | {theirs.tokens:,.0f} | {theirs.real_share:.3f} | {mine:,.0f} | {mine / theirs.tokens:.2f} | {bound:.2f} |",
            flush=True,
        )


def ours_rate(found: Sequence[Batch], step: variants.Step) -> float:
    """Real tokens a second over all batches."""
    begun = time.perf_counter()
    for batch in found:
        step(batch)
    return sum(batch.real_tokens for batch in found) / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
