"""Run fairseq's programs on pretended GPUs (:mod:`tests.helpers.pretended_gpu`), with small models."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.pretended_gpu import server
from tests.helpers.runner import PLUGIN, ROOT, Finished

BF16, FP16, SENTENCES = ("--autocast", "bf16"), ("--fp16",), ("--sample-break-mode", "eos")
ADAPTIVE = ("--adaptive-softmax-cutoff", "20,50")
UNTIED = ("--no-share-decoder-input-output-embed",)
MOS = ("--n-experts", "3", "--decoder-last-size", "20")
NCE = ("--criterion", "nce", "--nce-k", "5", *UNTIED)
GBW = ("--nce-k", "5", "--decoder-layers", "1", "--decoder-last-size", "16")
ADAGRAD = ("--optimizer", "sparse_adagrad", "--lr", "0.1")
AVERAGED = ("--averaging", "always")
DETERMINISTIC = (
    "--dropout", "0", "--hidden-dropout", "0", "--input-dropout", "0", "--embedding-dropout", "0",
    "--weight-dropout", "0", "--log-interval", "1",
)  # fmt: skip
# A small model; presets' other settings stay.
SMALL = (
    "--user-dir", PLUGIN, "--decoder-embed-dim", "12", "--decoder-hidden-size", "16",
    "--batch-size", "4", "--tokens-per-sample", "10", "--seed", "3", "--no-progress-bar",
    "--log-format", "json", "--log-interval", "1000", "--max-update", "4",
)  # fmt: skip


@dataclass
class OnGPU(Finished):
    """A finished run, and what the GPU noticed: counts of kernels, copies, waits and faults by place."""

    report: dict[str, Any]

    def update(self, number: int = -1) -> dict[str, dict[str, int]]:
        """Return these counts for one update."""
        return self.report["updates"][number]


class Server:
    """A process that has imported torch with pretended GPUs, and forks."""

    def __init__(self, library: Path, folder: Path, gpus: int) -> None:
        self.folder, self.jobs = folder, 0
        self.errors = (folder / "errors").open("w")
        environ = {
            **os.environ,
            server.LIBRARY: str(library),
            server.GPUS: str(gpus),
            "PYTHONPATH": str(ROOT),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", server.__name__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environ,
        )  # fmt: skip

    def __call__(
        self,
        program: str,
        *arguments: object,
        succeeds: bool | None = True,
        peak_gib: int = 1,
        **environ: str,
    ) -> OnGPU:
        """Run ``fairseq-program arguments``, which must succeed (True), fail (False) or do either (None).

        Args:
            peak_gib: memory that each update needs at its peak, of which 1 GiB stays allocated
            environ: environment variables of the run
        """
        self.jobs += 1
        log, report = self.folder / f"{self.jobs}.log", self.folder / f"{self.jobs}.json"
        job = {
            "program": program, "arguments": [str(a) for a in arguments], "environ": environ,
            "log": str(log), "report": str(report), "peak_gib": peak_gib,
        }  # fmt: skip
        print(json.dumps(job), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        assert answer, (self.folder / "errors").read_text()
        status = int(answer)
        noticed = json.loads(report.read_text()) if report.exists() else {}
        finished = OnGPU(status, log.read_text(), noticed)
        if succeeds is not None:
            assert (status == 0) == succeeds, finished.output
        return finished

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()


def losses(finished: Finished) -> list[float]:
    """Return the training loss of each update."""
    lines = re.findall(r"train_inner[ |:]+(\{.*\})$", finished.output, re.MULTILINE)
    return [float(json.loads(line)["loss"]) for line in lines]
