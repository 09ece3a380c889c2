"""Test and measure on the GPU of this machine, and write one Markdown report, in at most 20 minutes.

    python -m benchmarks.gpu --report gpu-report.md

The text consists of random words with a dictionary of the published size; no corpus is needed. The report is
rewritten after each stage, so that an interrupted run keeps its measurements.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.gpu.report import write_report
from benchmarks.gpu.stages import run, stages
from lm_plugins.errors import Refused
from lm_plugins.files import check_writable

MINUTES = 20


def main(arguments: list[str] | None = None) -> None:
    """Run all stages, and write the report after each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--report", type=Path, default=Path("gpu-report.md"), metavar="FILE",
        help="the report, in Markdown (default: gpu-report.md)",
    )  # fmt: skip
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"time for everything, above 0 (default: {MINUTES})"
    )
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cuda",
        help="device to test; cpu: check that everything runs, together with --quick (default: cuda)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="use tiny sizes, to check that everything runs")
    options = parser.parse_args(arguments)
    try:
        if options.minutes <= 0:
            raise Refused(f"--minutes is {options.minutes:g}: give a number above 0")
        if options.device == "cuda" and not torch.cuda.is_available():
            raise Refused(
                "there is no GPU that PyTorch can use: run this on a machine with one, or try out the stages "
                "with --device cpu --quick"
            )
        check_writable(options.report, "--report")
    except Refused as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        sys.exit(2)
    end = time.monotonic() + 60 * options.minutes
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        todo = stages(Path(folder), options.device, options.quick)
        for number, stage in enumerate(todo, 1):
            print(f"[{number}/{len(todo)}] {stage.name} ...", flush=True)
            outcomes.append(run(stage, end - time.monotonic(), Path(folder)))
            print(f"[{number}/{len(todo)}] {stage.name}: {outcomes[-1].state()}", flush=True)
            write_report(options.report, outcomes, options.device, options.quick)
    print(f"report: {options.report}")
    sys.exit(any(outcome.status for outcome in outcomes))


if __name__ == "__main__":
    main()
