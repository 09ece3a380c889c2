"""The stages that are run on the GPU, each in its own process and with a time limit."""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.text import write_text

ROOT = Path(__file__).resolve().parent.parent.parent
PTB, WT103 = (10_000, 929_589), (267_735, 2_000_000)  # words of the dictionary, words of the text
SPEED = re.compile(r"train_inner[ |:]+(\{.*\})$", re.MULTILINE)
EPOCH = re.compile(r"INFO \| train \| (\{.*\})$", re.MULTILINE)


@dataclass
class Stage:
    """A command, and the function that reads its outcome.

    Args:
        seconds: the time after which the command is stopped
        read: returns the figures {name: value} in the output
    """

    name: str
    command: list[str]
    seconds: float
    read: Callable[[str], dict[str, Any]]
    prepare: Callable[[], object] = lambda: None
    environ: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """The outcome of a stage; `status` None: it was stopped, or was not started, for lack of time."""

    stage: Stage
    status: int | None
    seconds: float
    figures: dict[str, Any]
    output: str

    def state(self) -> str:
        """Return one line for the report."""
        ended = "stopped at its time limit" if self.status is None else f"failed with status {self.status}"
        return f"{'done' if self.status == 0 else ended} after {self.seconds:.0f} s"


def run(stage: Stage, remaining: float, folder: Path) -> Outcome:
    """Run `stage` for at most its own time limit and the `remaining` seconds."""
    limit, start = min(stage.seconds, remaining), time.monotonic()
    if limit <= 0:
        return Outcome(stage, None, 0.0, {}, "")
    log = folder / "log"
    environ = {"OMP_NUM_THREADS": "1", **os.environ, **stage.environ}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    stage.prepare()
    with log.open("w") as file:
        try:
            status = subprocess.run(
                stage.command, stdout=file, stderr=subprocess.STDOUT, timeout=limit, env=environ, cwd=ROOT
            ).returncode
        except subprocess.TimeoutExpired:
            status = None
    output = log.read_text(errors="replace")
    figures = stage.read(output)
    if status == 0 and not figures:
        status, output = 1, output + "\nthis output contains no figures"
    return Outcome(stage, status, time.monotonic() - start, figures, output)


def stages(folder: Path, device: str, quick: bool) -> list[Stage]:
    """Return all stages: the training runs first, because most targets are theirs."""
    return [
        tests(device),
        *trainings(folder, device, quick),
        benchmark(folder, device, quick, "QRNN", 240),
        benchmark(folder, device, quick, "training step", 120),
        benchmark(folder, device, quick, "LSTM|softmax", 240),
    ]


def tests(device: str) -> Stage:
    """Return the stage that compares operations and layers on the device with their definitions."""

    def read(output: str) -> dict[str, Any]:
        return {what: int(count) for count, what in re.findall(r"(\d+) (passed|failed|skipped)", output)}

    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "tests/device"]
    return Stage("tests", command, 180, read, environ={"LM_PLUGINS_TEST_DEVICE": device})


def trainings(folder: Path, device: str, quick: bool) -> list[Stage]:
    """Return a stage for each training run."""
    ptb, wt103 = folder / "ptb", folder / "wt103"
    small = ["--decoder-embed-dim", "8", "--decoder-hidden-size", "12"] if quick else []
    graphs = ["--cuda-graphs"] if device == "cuda" else []
    bf16, adam = ["--autocast", "bf16"], ["--optimizer", "torch_adam", "--lr", "0.001"]
    epoch = ["--max-epoch", "1"]

    def text(path: Path, sizes: tuple[int, int]) -> Callable[[], object]:
        vocabulary, tokens = (300, 20_000) if quick else sizes
        return lambda: path.exists() or write_text(path, vocabulary, tokens)

    def stage(name: str, path: Path, arch: str, flags: list[str]) -> Stage:
        sizes = PTB if path == ptb else WT103
        every = "2" if quick else "20"
        command = [
            sys.executable, "-m", "fairseq_cli.train", str(path), "--user-dir", str(ROOT / "lm_plugins"),
            "--arch", arch, "--no-save", "--disable-validation", "--no-progress-bar", "--log-format", "json",
            "--log-interval", every, "--seed", "1", *flags, *small, *(["--cpu"] if device == "cpu" else []),
        ]  # fmt: skip
        return Stage(name, command, 150, speed, text(path, sizes))

    cutoffs = ["--adaptive-softmax-cutoff", "100,200"] if quick else []
    updates = ["--max-update", "4" if quick else "200"]
    return [
        stage("qrnn_ptb, bf16, torch_adam, graphs", ptb, "qrnn_ptb", [*epoch, *bf16, *adam, *graphs]),
        stage("awd_lstm_ptb, graphs", ptb, "awd_lstm_ptb", [*epoch, *graphs]),
        stage("qrnn_wt103, bf16, 200 updates", wt103, "qrnn_wt103", [*updates, *bf16, *cutoffs]),
        stage("qrnn_ptb, bf16", ptb, "qrnn_ptb", [*epoch, *bf16]),
        stage("awd_lstm_ptb", ptb, "awd_lstm_ptb", epoch),
    ]


def speed(output: str) -> dict[str, Any]:
    """Return the speed of a training run: the median of the second half of its log lines."""
    lines = [json.loads(line) for line in SPEED.findall(output)]
    lines = lines[len(lines) // 2 :]
    if not lines:
        return {}
    figures = {name: statistics.median(float(line[name]) for line in lines) for name in ("ups", "wps")}
    figures["peak_gib"] = float(lines[-1]["peak_gib"])
    epochs = [json.loads(line) for line in EPOCH.findall(output)]
    if epochs:
        figures["train_wall"] = float(epochs[-1]["train_train_wall"])
    return figures


def benchmark(folder: Path, device: str, quick: bool, only: str, seconds: float) -> Stage:
    """Return the stage that runs the benchmarks `only`, including the methods of the other projects."""
    path = folder / f"{re.sub(r'[^a-z]+', '-', only.lower())}.json"

    def read(output: str) -> dict[str, Any]:
        return json.loads(path.read_text()) if path.exists() else {}

    command = [sys.executable, "-m", "benchmarks", "--device", device, "--json", str(path), "--repeat", "5"]
    command += ["--only", only] + (["--quick"] if quick else [])
    return Stage(f"benchmarks: {only}", command, seconds, read)
