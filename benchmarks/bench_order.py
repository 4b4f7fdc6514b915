"""A corpus of a billion windows: how long until its first batch, and how much memory that takes.

    python benchmarks/bench_order.py PREPARED [WINDOWS]           (default: 1,000,000,000 windows of up to 510 tokens)

One shard of PREPARED is copied until it holds 30 million tokens, as shards of a large corpus do, and a manifest in
memory lists links to it until there are so many windows: every shard is opened, checked and mapped by itself, while the
disk holds one. What is measured is the way of every process: open the source, order the first block, build and hide the
first batch.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from data_prep.shards import Prepared, ShardEntry

TOKENS = 30_000_000
LONGEST = 512


def memory() -> str:
    """Memory of this process: its own, and pages of mapped shards, which the kernel takes back when it needs them."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return ", ".join(
        f"{int(status[name].split()[0]) / 1024:,.0f} MiB {word}"
        for name, word in (("RssAnon", "own"), ("RssFile", "mapped"))
    )


def large_shard(folder: Prepared, file: Path) -> ShardEntry:
    """The largest training shard of a folder, again and again, as one shard of TOKENS tokens."""
    import pyarrow as pa

    entry = max((entry for entry in folder.entries if entry.split == "train"), key=lambda entry: entry.tokens)
    table = pa.ipc.open_stream(pa.memory_map(str(folder.folder / entry.path))).read_all()
    copies = TOKENS // entry.tokens
    batch = pa.concat_tables([table] * copies).combine_chunks().to_batches()[0]
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return entry._replace(
        path=file.name, tokens=entry.tokens * copies, documents=entry.documents * copies, size=file.stat().st_size
    )


def main(path: Path, windows: int) -> None:
    """Print seconds and memory."""
    from launch.machine.batch_speed import run_of
    from pretrain.corpus import Corpus
    from pretrain.feed.sampling import Sampler, micro_batches

    with TemporaryDirectory() as temporary:
        folder = Prepared.open(path)
        shard = large_shard(folder, Path(temporary) / "large.arrow")
        count = -(-windows * LONGEST // shard.tokens)
        for number in range(count):
            os.link(Path(temporary) / "large.arrow", Path(temporary) / f"{number}.arrow")
        entries = tuple(shard._replace(path=f"{number}.arrow") for number in range(count))
        print(f"{count:,} shards of {shard.tokens:,} tokens: {count * shard.tokens:,} tokens")
        print(f"before: {memory()}")
        corpus = Corpus(run=run_of(path, LONGEST))
        name = next(iter(corpus.prepared))
        _ = corpus.specials
        corpus.prepared[name] = replace(folder, folder=Path(temporary), entries=entries)
        begun = time.perf_counter()
        maker = corpus.maker(corpus.run.stages[0], "train", corpus.run.masking)
        sampler = Sampler(streams=maker.streams, rows_per_step=64)
        specs = micro_batches(sampler, {}, range(1_000), 1_000, 32, 0, 1, {})
        slots = next(iter(maker.streams.values())).source.slots
        print(f"opened: {time.perf_counter() - begun:.2f} s; {slots:,} slots")
        batch = maker[next(specs)]
        print(f"first batch of {batch.real_tokens:,} tokens: {time.perf_counter() - begun:.2f} s, {memory()}")
        for step in (10, 40):
            for _ in range(step):
                batch = maker[next(specs)]
            print(f"after {step} more: {time.perf_counter() - begun:.2f} s, {memory()}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000_000)
