"""Four processes on one, two and four hosts train alike at every ZeRO stage, to the last bit; between the stages their
losses differ by rounding alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hosts import Hosts
from tiny import ROOT, TINY_RUN

pytestmark = pytest.mark.timeout(2400)


def losses(output: Path) -> list[dict[str, float]]:
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return [
        {key: value for key, value in line.items() if key.startswith(("loss/", "grad_norm"))}
        for line in lines
        if line["event"] == "train"
    ]


def test_one_two_and_four_hosts_at_every_stage(hosts_possible: None, prepared: Path, tmp_path: Path) -> None:
    first: list[dict[str, float]] = []
    with Hosts(4) as hosts:
        for stage in (1, 2, 3):
            found = {}
            for names in ("a", "ab", "abcd"):
                name = f"{names}-{stage}"
                file, cluster = tmp_path / f"{name}.yaml", tmp_path / f"{name}-cluster.yaml"
                (tmp_path / f"{name}.hosts").write_text("".join(f"{host} slots={4 // len(names)}\n" for host in names))
                file.write_text(TINY_RUN.format(output=tmp_path / name, data=prepared) + "threads: 1\n")
                cluster.write_text(
                    f"kind: hostfile\npath: {tmp_path / name}.hosts\nlauncher: ssh\ninterface: eth0\n"
                    'environment: {OMP_NUM_THREADS: "1", DS_ACCELERATOR: cpu}\n'
                )
                argv = [sys.executable, "-m", "launch.cli", "launch", str(cluster), str(file)]
                hosts["a"].run([*argv, f"engine.zero_stage={stage}"], cwd=ROOT, timeout=600, check=True)
                found[names] = losses(tmp_path / name)
            assert found["a"] == found["ab"] == found["abcd"] and len(found["a"]) == 8
            first = first or found["a"]
            for one, other in zip(first, found["a"], strict=True):
                assert all(abs(one[key] - other[key]) < 1e-5 for key in one)
