"""The model of step time (pretrain/scaling.py) against real steps on 1, 2 and 4 hosts with shaped links; its error.

    python benchmarks/bench_scaling.py PREPARED [--work FOLDER] [--steps 6] [--processors 0.25] [--rates 100mbit 400mbit]

Needs root and what `make test-cluster` needs: the hosts are Linux namespaces (tests/cluster/hosts.py), every link is
limited by tc's tbf in both directions, every host may use the same part of a processor, one process runs on each. Each
(hosts, rate) is measured once and kept in FOLDER; started again, the script goes on with what is missing.

Fitted are, by least squares of relative errors with no part below zero: operations a second, weights a second that the
optimiser moves, gradients a second that DeepSpeed takes into its buffers, the share of the link's rate that payload gets, what a carried byte costs the processor, seconds a hop.
First from 1 and 2 hosts alone, whose prediction for 4 is the honest error; then from all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/cluster")]

from hosts import Hosts  # noqa: E402
from slowness import Quota  # noqa: E402

from pretrain.scaling import Traffic, traffic  # noqa: E402
from pretrain.settings import DeepSpeed  # noqa: E402
from pretrain.sizes import Sizes  # noqa: E402

COUNTS = (1, 2, 4)
COLUMNS = ("compute", "update", "handling", "link", "carrying", "hops")


def measure(prepared: Path, work: Path, rates: list[str], steps: int, processors: float) -> None:
    """Every (hosts, rate) that is not there yet; one host has no link."""
    wanted = [(count, rate) for count in COUNTS for rate in (rates if count > 1 else rates[:1])]
    missing = [pair for pair in wanted if not (work / f"{pair[0]}-{pair[1]}.json").exists()]
    if not missing:
        return
    with Hosts(max(COUNTS)) as hosts:
        for host in hosts:
            host.slow(processors)
        if isinstance(host.slowness, Quota):  # as if nothing else ran here: they get their part first
            (host.slowness.group.parent / "cpu.shares").write_text("100000")
        for count, rate in missing:
            result = work / f"{count}-{rate}.json"
            members = [hosts[name] for name in hosts.names[:count]]
            for host in members:
                host.limit(rate)
            place = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0", "GLOO_SOCKET_IFNAME": "eth0"}
            place |= {"MASTER_ADDR": "a", "MASTER_PORT": "29611", "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
            argv = [sys.executable, "benchmarks/scaling_rank.py", prepared, result, str(steps)]
            variables = {**place, "PYTHONPATH": str(ROOT)}
            ranks = [host.popen(argv, env={**variables, "RANK": str(n)}, cwd=ROOT) for n, host in enumerate(members)]
            ends = [(rank.communicate(timeout=1800), rank.returncode) for rank in ranks]
            assert result.exists(), ends
            print(f"{count} hosts, {rate}: measured", flush=True)


def points(work: Path) -> list[dict[str, Any]]:
    """What was measured, with the rate of the link in bytes a second."""
    found = []
    for file in sorted(work.glob("*-*.json")):
        rate = float(file.stem.partition("-")[2].removesuffix("mbit")) * 1e6 / 8
        found += [{**point, "rate": rate, "exchanged": exchanged(point)} for point in json.loads(file.read_text())]
    return found


def exchanged(point: dict[str, Any]) -> Traffic:
    """What the model says of a point."""
    size = Sizes(
        encoder=point["parameters"],
        heads={},
        trained=point["trained"],
        checkpoint=0,
        remembered=frozenset(),
        linear=point["linear"],
        large=point["large"],
    )
    return traffic(size, DeepSpeed(zero_stage=point["stage"], precision="fp32"), point["micro"]).over_gloo()


def row(point: dict[str, Any]) -> list[float]:
    """What each fitted number is multiplied by."""
    world, sent = point["world"], point["exchanged"]
    carried = sent.carried(world)
    moved = point["trained"] / (1 if point["stage"] == 0 else world)
    handled = point["micro"] * point["trained"] if point["stage"] else 0
    return [point["micro"] * point["flops"], moved, handled, carried / point["rate"], carried, float(sent.hops(world))]


def taken(point: dict[str, Any]) -> float:
    """Seconds of a step: the median."""
    return statistics.median(point["seconds"])


def fit(found: list[dict[str, Any]]) -> np.ndarray:
    """Numbers of COLUMNS, none below zero: the best of all sets of columns."""
    target = np.array([taken(point) for point in found])
    matrix, best = np.array([row(point) for point in found]) / target[:, None], (np.inf, np.zeros(len(COLUMNS)))
    for count in range(1, len(COLUMNS) + 1):
        for chosen in itertools.combinations(range(len(COLUMNS)), count):
            part, *_ = np.linalg.lstsq(matrix[:, chosen], np.ones(len(target)), rcond=None)
            numbers = np.zeros(len(COLUMNS))
            numbers[list(chosen)] = part
            error = float(((matrix @ numbers - 1) ** 2).sum())
            if (part >= 0).all() and error < best[0]:
                best = error, numbers
    return best[1]


def errors(found: list[dict[str, Any]], numbers: np.ndarray) -> list[float]:
    """Predicted / measured - 1 of every point."""
    return [float(np.dot(row(point), numbers)) / taken(point) - 1 for point in found]


def tell(found: list[dict[str, Any]]) -> None:
    """Print the tables."""
    few = [point for point in found if point["world"] < 4]
    many = [point for point in found if point["world"] == 4]
    numbers, whole = fit(few), fit(found)
    for name, item in (("1 and 2 hosts", numbers), ("all", whole)):
        told = [f"{1 / item[0] / 1e9:.2f} GFLOP/s" if item[0] else "compute: none"]
        told += [f"{1 / item[1] / 1e6:.0f} M weights/s" if item[1] else "update: none"]
        told += [f"{1 / item[2] / 1e6:.0f} M gradients/s into buffers" if item[2] else "buffers: none"]
        told += [f"payload gets {1 / item[3]:.0%} of the link" if item[3] else "link: none"]
        told += [f"{1e9 * item[4]:.1f} ns a carried byte", f"{1e3 * item[5]:.2f} ms a hop"]
        print(f"fitted on {name}: {', '.join(told)}")
    for name, part, item in (
        ("1 and 2 hosts", few, numbers),
        ("4 hosts, predicted", many, numbers),
        ("all", found, whole),
    ):
        off = sorted(abs(error) for error in errors(part, item))
        print(f"error, {name}: median {statistics.median(off):.1%}, worst {off[-1]:.1%} of {len(off)}")
    print(
        "| hosts | link, Mbit/s | ZeRO | micro-batches | carried, MB: model | on the wire | step, s | predicted | off |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for point, error in zip([*few, *many], [*errors(few, numbers), *errors(many, numbers)], strict=True):
        carried, sent = point["exchanged"].carried(point["world"]) / 1e6, statistics.median(point["sent"]) / 1e6
        place = f"| {point['world']} | {point['rate'] * 8e-6:.0f} | {point['stage']} | {point['micro']} |"
        print(
            f"{place} {carried:.1f} | {sent:.1f} | {taken(point):.2f} | {taken(point) * (1 + error):.2f} | {error:+.0%} |"
        )


def main() -> None:
    """Measure what is missing, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/bench_scaling"))
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--processors", type=float, default=0.25)
    parser.add_argument("--rates", nargs="+", default=["100mbit", "400mbit"])
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    measure(asked.prepared.absolute(), asked.work.absolute(), asked.rates, asked.steps, asked.processors)
    tell(points(asked.work))


if __name__ == "__main__":
    main()
