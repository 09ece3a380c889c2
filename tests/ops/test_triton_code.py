"""What Triton's compiler makes of the pooling kernels for an A100 (sm_80) and an H100 (sm_90)."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.runner import ROOT

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the PTX code, {"KERNEL PRECISION ARCHITECTURE": code}."""
    environ = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton"))}
    environ.pop("TRITON_INTERPRET", None)
    command = [sys.executable, "-m", "tests.helpers.compile_triton"]
    run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kernel", ["forward", "backward"])
def test_loads_are_wide_and_in_flight_and_no_register_spills(
    code: dict[str, str], kernel: str, precision: str, architecture: str, tmp_path: Path
) -> None:
    ptx = code[f"{kernel} {precision} {architecture}"]
    assert "ld.global.v2" in ptx  # two units a thread in one load
    assert "cp.async" in ptx  # loads of later steps, which the kernel does not wait for
    file = tmp_path / "kernel.ptx"
    file.write_text(ptx)
    target = re.search(r"^\.target (\w+)", ptx, re.MULTILINE)[1]  # sm_90a for an H100
    triton = Path(importlib.util.find_spec("triton").origin).parent
    ptxas = triton / "backends" / "nvidia" / "bin" / "ptxas"
    command = [str(ptxas), "-v", f"--gpu-name={target}", str(file), "-o", str(tmp_path / "cubin")]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert "0 bytes spill stores, 0 bytes spill loads" in report, report
    registers = int(re.search(r"Used (\d+) registers", report)[1])
    assert registers <= 64  # so that 16 programs of 64 threads fit a multiprocessor
