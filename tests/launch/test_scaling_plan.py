"""`kmask launch --plan`: how a run scales on the machines of a cluster file, and what is lacking to say so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import Result, command

from launch.backends.local import Local
from launch.cluster.measured import measured_file, read_measured
from launch.machine.all_reduce import MEASURED
from launch.machine.cluster_doctor import keep_measured

Kmask = Callable[..., Result]
ROWS = "batch={max_sample_tokens: 64, row_tokens: 256, rows_per_step: 32, rows_per_process: 1}"


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kmask:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("COLUMNS", "80")
    return command(monkeypatch, capsys)


@pytest.fixture
def cluster(tmp_path: Path) -> Callable[[str], Path]:
    """A cluster file of four machines with two processes each, and more lines."""
    (tmp_path / "hosts.txt").write_text("".join(f"n{number} slots=2\n" for number in range(4)))

    def write(more: str) -> Path:
        (tmp_path / "cluster.yaml").write_text(f"kind: hostfile\npath: {tmp_path}/hosts.txt\n{more}")
        return tmp_path / "cluster.yaml"

    return write


def test_a_plan_tells_steps_at_every_stage_and_on_fewer_machines(
    kmask: Kmask, cluster: Callable[[str], Path], tiny_run: Path, tmp_path: Path
) -> None:
    file = cluster("bandwidth: 1.25\nlatency: 50\n")
    done = kmask("launch", file, tiny_run, ROWS, "--plan", "--rate", 5000)
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    for part in (
        "8 processes on 4 machines: 1.25 GB/s, 50 us a hop (as given); one process 5,000 tokens/s alone",
        "computing exchanging carried tokens/s computing",
        "* ZeRO 1",
        "the model of its steps, below",
        "ZeRO 0: 90% of a step are computing from 1 micro-batch, ",
    ):
        assert part in text, part
    rates = [
        float(value.replace(",", ""))
        for value in re.findall(r"[124]: ([\d,]+|[\d.]+ k) tokens/s", text)
        if "k" not in value
    ]
    assert len(re.findall(r"[124]: [\d.,]+ k? ?tokens/s", text)) == 3 and rates == sorted(rates)
    assert max(len(line) for line in done.out.splitlines() if str(tmp_path) not in line) <= 80
    assert not (tmp_path / "run").exists()


def test_what_is_not_known_is_said_and_a_measurement_fills_it_in(
    kmask: Kmask, cluster: Callable[[str], Path], tiny_run: Path
) -> None:
    def told(more: str, *arguments: object) -> str:
        done = kmask("launch", cluster(more), tiny_run, ROWS, "--plan", *arguments)
        assert done.code == 0, done.err
        return " ".join(done.out.split())

    assert "not known: set bandwidth in" in told("", "--rate", 5000)
    assert "not known: name the GPUs" in told("bandwidth: 10\n")
    assert "396 TFLOP/s alone: 40% of 989, a guess" in told("bandwidth: 10\ndevice: H200\n", "engine.precision=auto")
    file = cluster("")
    found = {"machines": 4, "processes": 8, "bandwidth": 2.5, "latency": 30.0}
    measured_file(file).write_text(json.dumps(found))
    assert "2.5 GB/s, 30 us a hop (as measured)" in told("", "--rate", 5000)
    assert "10 GB/s, 30 us a hop (as given and as measured)" in told("bandwidth: 10\n", "--rate", 5000)
    measured_file(file).write_text(json.dumps({**found, "machines": 1}))  # of one machine: says nothing of a network
    assert "not known: set bandwidth in" in told("", "--rate", 5000)


def test_odd_requests_are_refused(kmask: Kmask, cluster: Callable[[str], Path], tiny_run: Path, tmp_path: Path) -> None:
    for more, arguments, part in (
        ("device: Abacus\n", ["--plan"], "device: 'Abacus' is none of B200"),
        ("bandwidth: -1\n", ["--plan"], "bandwidth: -1"),
        ("bandwidth: .nan\n", ["--plan"], "bandwidth: expected a finite number"),
        ("", ["--rate", 5], "--rate and --memory belong to --plan"),
        ("", ["--plan", "--rate", -5], "--rate: -5 must be positive"),
    ):
        done = kmask("launch", cluster(more), tiny_run, ROWS, *arguments)
        assert done.code == 2 and part in done.err and done.out == "", done
    (tmp_path / "hosts.txt").write_text("n1 slots=1\nn2 slots=3\nn3 slots=4\n")
    done = kmask("launch", cluster("bandwidth: 1\n"), tiny_run, ROWS, "--plan", "--rate", 5)
    assert done.code == 2 and "unequal numbers of processes" in done.err


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "{}", '{"machines": 0, "processes": 1, "bandwidth": 1, "latency": 1}']
)
def test_a_measurement_is_kept_beside_the_cluster_file_and_read_only_when_it_is_one(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = tmp_path / "my.yaml"
    keep_measured(tmp_path / MEASURED, cluster, Local())
    assert read_measured(cluster) is None and not measured_file(cluster).exists()
    (tmp_path / MEASURED).write_text('{"processes": 2, "bandwidth": 1.5, "latency": 12.5}')
    keep_measured(tmp_path / MEASURED, cluster, Local())
    assert read_measured(cluster) == (1, 2, 1.5, 12.5) and "my.measured.json" in capsys.readouterr().out
    measured_file(cluster).write_text(text)
    assert read_measured(cluster) is None
