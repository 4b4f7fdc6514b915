"""MinHash signatures against datasketch and rensa: speed on one core, and whose estimates are nearer to the counted
similarity.

    pip install --target PEERS --no-deps datasketch rensa scipy
    PYTHONPATH=PEERS python benchmarks/bench_minhash.py [PLACES]

All sides get the same n-gram hashes; texts are not read by any. datasketch is told to hash nothing (`hashfunc` returns
the number), rensa takes the whole matrix in one call, in one thread. `rensa, rho` is its faster sketch, whose places
are not MinHash's. Each figure is the best of five runs in processor time. A library that is not installed is left out,
and the reason printed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

os.environ["RAYON_NUM_THREADS"] = "1"

import numpy as np

from data_prep.filtering.minhash import signatures, similarity, sketches

LENGTHS = (50, 300, 2000)
PAIRS = 400
SIMILARITIES = (0.3, 0.5, 0.7, 0.8, 0.9)

Sign = Callable[[list[np.ndarray]], np.ndarray]


def sets(source: np.random.Generator, length: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Pairs of sets of hashes one after the other, and how similar each pair is."""
    found, alike = [], []
    for index in range(PAIRS):
        wanted = SIMILARITIES[index % len(SIMILARITIES)]
        common = round(2 * length * wanted / (1 + wanted))
        shared = source.integers(0, 1 << 63, common, dtype=np.uint64)
        found += [
            np.concatenate([shared, source.integers(0, 1 << 63, length - common, dtype=np.uint64)]) for _ in range(2)
        ]
        alike.append(common / (2 * length - common))
    return found, np.array(alike)


def ours(places: int) -> Sign:
    """Our own."""

    def sign(documents: list[np.ndarray]) -> np.ndarray:
        owner = np.repeat(np.arange(len(documents)), [len(item) for item in documents])
        return signatures(np.concatenate(documents), owner, len(documents), places)

    return sign


def of_datasketch(places: int) -> Sign:
    """datasketch's MinHash, one object a document."""
    from datasketch import MinHash

    first = MinHash(num_perm=places, hashfunc=int)

    def sign(documents: list[np.ndarray]) -> np.ndarray:
        found = []
        for item in documents:
            one = MinHash(num_perm=places, hashfunc=int, permutations=first.permutations, scheme=first.scheme)
            one.update_batch((item >> np.uint64(32)).tolist())
            found.append(one.digest())
        return np.stack(found)

    return sign


def of_rensa(places: int, rho: bool) -> Sign:
    """rensa's matrix of digests."""
    from rensa import RMinHash

    make = RMinHash.digest_matrix_from_flat_token_hashes_rho if rho else RMinHash.digest_matrix_from_flat_token_hashes

    def sign(documents: list[np.ndarray]) -> np.ndarray:
        ends = np.cumsum([0, *map(len, documents)])
        matrix = make(np.concatenate(documents), ends, places, 7)
        return np.array(matrix.to_rows())

    return sign


def best(work: Sign, documents: list[np.ndarray]) -> float:
    """Seconds of processor time of the best of five."""
    seconds = []
    for _ in range(5):
        begun = time.process_time()
        work(documents)
        seconds.append(time.process_time() - begun)
    return min(seconds)


def main() -> None:
    """Print a table for each length of documents."""
    places = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    sides: dict[str, Sign] = {"ours": ours(places)}
    for name, make in {
        "datasketch": of_datasketch,
        "rensa": lambda k: of_rensa(k, False),
        "rensa, rho": lambda k: of_rensa(k, True),
    }.items():
        try:
            sides[name] = make(places)
        except ImportError as error:
            print(f"{name}: left out, it is not installed ({error})")
    for length in LENGTHS:
        documents, alike = sets(np.random.default_rng(length), length)
        print(f"\n{places} places, documents of {length} n-grams; one core")
        print("| | million n-grams/s | ours is x times as fast | mean error | root mean square error |")
        print("|---|---|---|---|---|")
        base = 0.0
        for name, sign in sides.items():
            values = sign(documents)
            speed = length * len(documents) / best(sign, documents) / 1e6
            base = base or speed
            error = (values[::2] == values[1::2]).mean(axis=1) - alike
            print(
                f"| {name} | {speed:.2f} | {base / speed:.1f} | {error.mean():+.4f} | {np.sqrt((error**2).mean()):.4f} |"
            )
        values = sketches(
            signatures(np.concatenate(documents), np.repeat(np.arange(len(documents)), length), len(documents), places)
        )
        error = similarity((values[::2] == values[1::2]).mean(axis=1)) - alike
        print(f"| ours, sketches of 8 bits | | | {error.mean():+.4f} | {np.sqrt((error**2).mean()):.4f} |")
    print(f"\nMinHash's own error for these similarities: {np.sqrt((alike * (1 - alike) / places).mean()):.4f}")


if __name__ == "__main__":
    main()
