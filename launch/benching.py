"""`kmask bench`: this machine on your own data."""

from __future__ import annotations

import time
from pathlib import Path

from launch.config import ConfigError, read_config


def run_bench(what: str, target: Path, seconds: float) -> None:
    """Measure masking on a prepared folder, or preparation of a data configuration."""
    if what == "masking":
        bench_masking(target, seconds)
    elif what == "prepare":
        bench_prepare(target, seconds)
    else:
        raise ConfigError(f"bench {what}: one of masking, prepare")


def bench_masking(folder: Path, seconds: float) -> None:
    """Selection + corruption + boundary targets on packed rows, one core."""
    import numpy as np

    from data_prep.shards import Prepared
    from masking.boundary import boundary_targets
    from masking.budget import Budget
    from masking.corruption import Corruption
    from masking.keyed import combine_array
    from masking.strategies import Strategy
    from masking.strategies.geometric_span import GeometricSpan
    from masking.strategies.subword import Subword
    from masking.strategies.whole_unit import WholeUnit
    from pretrain.batch import Masking, Specials, pack
    from pretrain.objectives import plain_sample
    from pretrain.sampling import best_fit
    from pretrain.sources import Source

    prepared = Prepared.open(folder)
    source = Source(name="bench", prepared=prepared, split="train", max_tokens=506)
    ids = prepared.tokenizer.special_ids
    specials = Specials(pad=ids["[PAD]"], cls=ids["[CLS]"], sep=ids["[SEP]"], mask=ids["[MASK]"], pool_V=np.arange(5, len(prepared.tokenizer.tokens)))
    samples = [plain_sample(source.read(number), number, "bench", specials) for number in range(min(len(source), 512))]
    lengths = np.array([len(sample.token_ids_T) for sample in samples])
    rows = [[samples[item] for item in row] for row in best_fit(lengths, 4096)]
    packed = pack(rows, 4096, Masking(strategy=Subword()), specials, 0.0)
    levels: list[str] = [level for level in ("entity", "phrase", "word") if level in prepared.levels]
    strategies: dict[str, Strategy] = {"subword": Subword(), "whole_unit": WholeUnit(units=levels), "geometric_span": GeometricSpan()}
    print(f"{len(samples)} samples, {int(lengths.sum()):,} tokens in {len(rows)} rows of 4096 ({lengths.sum() / (4096 * len(rows)):.1%} real), one core")
    for name, strategy in strategies.items():
        done, begun, number = 0, 0.0, -1
        while number < 0 or time.perf_counter() - begun < seconds:
            if number == 0:  # the round before loaded the compiled loops
                done, begun = 0, time.perf_counter()
            keys = combine_array(np.array([sample.key for sample in samples], np.uint64), number + 1)
            spans = strategy.select(packed.units, Budget(), keys, np.zeros(len(samples)))
            Corruption().corrupt(packed.original_T, spans, packed.sample_start_S, keys, specials.mask, specials.pool_V)
            boundary_targets(spans, 20)
            done += int(lengths.sum())
            number += 1
        print(f"  {name:15s} {done / (time.perf_counter() - begun) / 1e6:8.1f} million tokens/s (selection, corruption, SBO targets)")


def bench_prepare(file: Path, seconds: float) -> None:
    """Annotate and encode documents of the corpus in one process, without writing."""
    from collections import Counter
    from tempfile import TemporaryDirectory

    from data_prep.documents import Document
    from data_prep.parts import PartWorker
    from data_prep.pipeline import sample_texts
    from data_prep.plan import Preparation, make_plan

    preparation = read_config(Preparation, file, [])
    plan = make_plan(preparation, lambda progress: None)
    existing = Path(preparation.output)
    with TemporaryDirectory() as temporary:
        folder = existing if (existing / "tokenizer").is_dir() else Path(temporary)
        worker = PartWorker(preparation=preparation, plan=plan, folder=folder)
        if folder != existing:
            preparation.vocabulary.make(folder / "tokenizer", sample_texts(worker, 5_000_000, lambda progress: None))
        counts: Counter[str] = Counter()
        done, begun = 0, 0.0
        for part in range(len(plan["parts"])):
            for document in worker.documents(part):
                if isinstance(document, Document):
                    worker.encode(document, counts)
                    if not begun:  # resources load with the first document
                        begun = time.perf_counter()
                    else:
                        done += len(document.text.encode())
                if begun and time.perf_counter() - begun > seconds:
                    break
            if begun and time.perf_counter() - begun > seconds:
                break
        speed = done / max(time.perf_counter() - begun, 1e-9)
    size = sum(item["size"] for item in plan["inputs"])
    print(f"{speed / 1e6:.2f} MB/s per core over {done / 1e6:.1f} MB; the whole corpus ({size / 1e6:,.1f} MB) takes about {size / speed / 60:.1f} core-minutes")
