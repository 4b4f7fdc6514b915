"""What `precision: auto` means on machines that this one is not, and what `kmask doctor` says about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from pretrain import precision
from pretrain.engine import with_precision
from pretrain.precision import Choice, automatic, emulated, processor_units
from pretrain.processes.world import World
from pretrain.settings import DeepSpeed

Machine = Callable[[str | None], None]
CPU = World(0, 1, torch.device("cpu"))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    """Give this machine another /proc/cpuinfo (None: it has none)."""

    def set_to(text: str | None) -> None:
        if text is not None:
            (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
        monkeypatch.setattr(precision, "Path", lambda path: tmp_path / "cpuinfo")
        processor_units.cache_clear()

    yield set_to
    processor_units.cache_clear()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bool], None]:
    """Pretend that torch sees this GPU."""

    def set_to(name: str, units: bool) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: units or including_emulation
        )

    return set_to


@pytest.mark.parametrize(
    ("cpuinfo", "unit"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile\n", "amx_bf16"),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n", "avx512_bf16"),
        ("processor\t: 0\nFeatures\t: fp asimd i8mm bf16\n", "bf16"),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16_not_quite\n", ""),
        ("processor\t: 0\nmodel name\t: bf16\n", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_units_of_a_processor_are_read_from_its_flags(machine: Machine, cpuinfo: str | None, unit: str) -> None:
    machine(cpuinfo)
    assert processor_units() == unit
    assert automatic(False) == (
        Choice("bf16", f"the processor has bf16 units ({unit})")
        if unit
        else Choice("fp32", "the processor has no bf16 units")
    )
    assert emulated("bf16", False) == emulated("bf16_parameters", False) == (not unit)
    assert not emulated("fp32", False) and not emulated("fp16", False)


def test_a_gpu_decides_whatever_the_processor_has(machine: Machine, gpu: Callable[[str, bool], None]) -> None:
    machine("flags : fpu\n")
    gpu("NVIDIA H200", True)
    assert automatic(True) == Choice("bf16", "NVIDIA H200 has bf16 units")
    gpu("Tesla V100", False)
    machine("flags : avx512_bf16\n")
    assert automatic(True).precision == "fp32" and "Tesla V100 has no bf16 units; fp16 is faster" in automatic(True).why
    assert emulated("bf16", True) and not emulated("fp16", True)


@pytest.mark.parametrize(("cpuinfo", "chosen"), [("flags : avx512_bf16\n", "bf16"), ("flags : avx2\n", "fp32")])
def test_auto_is_decided_and_the_reason_told(machine: Machine, cpuinfo: str, chosen: str) -> None:
    machine(cpuinfo)
    settings, notes = with_precision(DeepSpeed(), CPU)
    assert settings.precision == chosen and notes == [f"precision {chosen}: {automatic(False).why}"]


def test_an_emulated_precision_that_was_asked_for_is_kept_and_pointed_out(machine: Machine) -> None:
    machine("flags : avx2\n")
    settings, notes = with_precision(DeepSpeed(precision="bf16"), CPU)
    assert (
        settings.precision == "bf16" and len(notes) == 1 and "emulated here and many times slower than fp32" in notes[0]
    )
    machine("flags : amx_bf16\n")
    assert with_precision(DeepSpeed(precision="bf16"), CPU)[1] == []


def test_doctor_says_what_auto_means_and_why(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from launch.machine.doctor import examine

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine("flags : avx2\n")
    examine()
    assert "precision     auto means fp32 here: the processor has no bf16 units" in capsys.readouterr().out
    machine("flags : amx_bf16\n")
    examine()
    assert "precision     auto means bf16 here: the processor has bf16 units (amx_bf16)" in capsys.readouterr().out


def test_doctor_asks_torch_about_gpus(
    gpu: Callable[[str, bool], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from types import SimpleNamespace

    from launch.machine.doctor import examine

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda index: SimpleNamespace(name="Tesla V100", total_memory=2**35)
    )
    gpu("Tesla V100", False)
    examine()
    out = capsys.readouterr().out
    assert (
        "GPU 0         Tesla V100, 32 GiB, bf16 no" in out
        and "precision     auto means fp32 here: Tesla V100 has no bf16 units" in out
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert examine() == 2
    out = capsys.readouterr().out
    assert "this torch cannot use them" in out and "precision     auto means" in out


def test_doctor_does_not_import_torch_on_a_machine_without_gpus() -> None:
    import os
    import subprocess
    import sys

    from tiny import ROOT

    code = "import sys; from launch.machine.doctor import examine; examine(); print('torch' in sys.modules)"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "False", done.stderr
