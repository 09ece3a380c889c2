"""Fixtures: fairseq's programs on pretended GPUs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.pretended import guard, server
from tests.helpers.runner import PLUGIN, ROOT, Finished

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


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled guard; without a compiler the tests are skipped."""
    path = tmp_path_factory.mktemp("guard") / "guard.so"
    try:
        guard.build(path)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return path


def serving(library: Path, folder: Path, gpus: int) -> Iterator[Server]:
    """Yield a server of `gpus` GPUs, and end it."""
    one = Server(library, folder, gpus)
    yield one
    one.process.stdin.close()
    one.process.wait()


@pytest.fixture(scope="session")
def gpu(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a function that runs a program of fairseq on a machine with one GPU."""
    yield from serving(library, tmp_path_factory.mktemp("gpu"), 1)


@pytest.fixture(scope="session")
def two_gpus(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a function that runs a program of fairseq on a machine with two GPUs."""
    yield from serving(library, tmp_path_factory.mktemp("two_gpus"), 2)


@pytest.fixture
def train(gpu: Server, data_bin: Path, tmp_path: Path) -> Callable[..., OnGPU]:
    """Return a function that trains a small model for four updates on one GPU."""

    def run(arch: str, *flags: object, **named: Any) -> OnGPU:
        return gpu("train", data_bin, "--arch", arch, *SMALL, "--save-dir", tmp_path / "run", *flags, **named)

    return run
