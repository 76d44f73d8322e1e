"""What `srwm doctor` says of a machine."""

import subprocess
from pathlib import Path

import pytest

from launch.machine import doctor


def _finding(name: str) -> doctor.Finding:
    return next(finding for finding in doctor.examine() if finding.name == name)


def test_a_machine_that_runs_these_tests_lacks_nothing_needed() -> None:
    findings = list(doctor.examine())
    assert {"Python", "torch", "GPU", "C++ compiler", "Ray", "ProcGen"} <= {
        finding.name for finding in findings
    }
    assert not [finding for finding in findings if finding.remedy and finding.needed]


def test_a_missing_compiler_is_slower_not_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.kernels, "library", lambda *_: None)
    finding = _finding("C++ compiler")
    assert "reference" in finding.found
    assert "g++" in finding.remedy
    assert not finding.needed


def test_an_unsupported_python_is_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", (3, 13, 0))
    finding = _finding("Python")
    assert finding.needed and "3.10, 3.11 or 3.12" in finding.remedy


def test_a_procgen_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("libenv.so: cannot open shared object file")

    monkeypatch.setattr(doctor, "import_procgen", broken)
    finding = _finding("ProcGen")
    assert "libenv.so" in finding.found and "pip install" in finding.remedy


def test_a_driver_that_torch_cannot_use_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho 535.104.05\n")
    script.chmod(0o755)
    assert subprocess.run([script], capture_output=True).returncode == 0
    monkeypatch.setattr(doctor.shutil, "which", lambda _: str(script))
    monkeypatch.setattr(doctor.torch.cuda, "is_available", lambda: False)
    finding = _finding("GPU")
    assert "535.104.05" in finding.found and "pytorch.org" in finding.remedy


@pytest.mark.parametrize(
    ("frames", "rate", "expected"),
    [(7_200_000, 1000.0, "take 2.0 hours"), (60_000, 1000.0, "take 1.0 minutes")],
)
def test_forecast_divides_frames_by_the_rate(frames: int, rate: float, expected: str) -> None:
    assert expected in doctor.forecast(frames, rate)
