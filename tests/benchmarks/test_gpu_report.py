"""The report of ``make gpu``, without a GPU; the stages are run by hand, with ``--device cpu --quick``."""

import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.report import write_report
from benchmarks.gpu.stages import Outcome, Stage, run, speed, stages

LOG = """2026-11-28 10:00:00 | INFO | train_inner | {"wps": "100", "ups": "1", "peak_gib": "0.1"}
2026-11-28 10:00:01 | INFO | train_inner | {"wps": "400000", "ups": "300", "peak_gib": "0.5"}
2026-11-28 10:00:02 | INFO | train | {"train_train_wall": "3"}
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_machine_without_a_gpu_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--report", str(tmp_path / "report.md")])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: there is no GPU that PyTorch can use")
    assert not (tmp_path / "report.md").exists()


def test_the_speed_is_that_of_the_second_half_of_the_log() -> None:
    assert speed(LOG) == {"wps": 400_000, "ups": 300, "peak_gib": 0.5, "train_wall": 3}


@pytest.mark.parametrize(
    "code, seconds, state",
    [("print('12 passed')", 60, "done"), ("x", 60, "failed with status 1"), ("while 1: 1", 0.5, "stopped")],
)
def test_a_stage_that_fails_or_lasts_is_reported(
    tmp_path: Path, code: str, seconds: float, state: str
) -> None:
    stage = Stage(
        "it", [sys.executable, "-c", code], seconds, lambda output: {"passed": output.count("passed")}
    )
    assert run(stage, 60, tmp_path).state().startswith(state)
    assert run(stage, 0, tmp_path).status is None, "there is no time left"


def test_the_report_has_the_targets_next_to_the_figures(tmp_path: Path) -> None:
    todo = stages(tmp_path, "cuda", quick=False)
    outcomes = [Outcome(stage, 0, 1.0, speed(LOG) if "ptb" in stage.name else {}, "") for stage in todo]
    group = "QRNN layer, T, B, H (70, 20, 1550), forward and backward"
    case = {"group": group, "faster": 1.0, "peak_mib": 1.0, "memory": 1.0}
    rows = [{**case, "case": "torch.nn.LSTM", "seconds": 0.004}, {**case, "case": "ours", "seconds": 0.001}]
    outcomes[-1].figures = {"results": rows}
    write_report(
        tmp_path / "report.md", outcomes, "cuda" if torch.cuda.is_available() else "cpu", quick=False
    )
    report = (tmp_path / "report.md").read_text()
    assert "| epoch of `qrnn_ptb` | at most 2.5 s | 2.32 s |" in report
    assert "| QRNN layer against cuDNN's LSTM layer | at least 5 | 4 |" in report
    assert "not measured" in report
