"""The report: the machine, the targets next to the figures, and everything that was measured."""

import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.stages import PTB, Outcome
from lm_plugins.files import atomically
from recipes.environment import git, processor, versions

Row = tuple[str, str, float | None, str, bool | None]  # what, target, figure, unit, met


def write_report(path: Path, outcomes: Sequence[Outcome], device: str, quick: bool) -> None:
    """Write the report on `outcomes` to `path`, whole or not at all."""
    with atomically(path) as unfinished:
        Path(unfinished).write_text("\n".join(lines(outcomes, device, quick)) + "\n")


def lines(outcomes: Sequence[Outcome], device: str, quick: bool) -> Iterator[str]:
    """Yield the lines of the report."""
    yield "# Report on a GPU\n"
    if quick or device == "cpu":
        yield "**This was a trial with tiny sizes or on a CPU: no figure below is meaningful.**\n"
    yield "\n".join(f"- {name}: {value}" for name, value in machine(device).items()) + "\n"
    yield "## Targets\n\n| what | target | measured | |\n|---|--:|--:|---|"
    for what, target, figure, unit, met in targets(outcomes):
        met = None if quick or device == "cpu" else met
        measured = "not measured" if figure is None else f"{figure:.3g} {unit}".strip()
        yield f"| {what} | {target} | {measured} | {'' if met is None else 'met' if met else '**missed**'} |"
    yield "\n## Stages\n\n| stage | outcome |\n|---|---|"
    for outcome in outcomes:
        counts = outcome.figures if outcome.stage.name == "tests" else {}
        counted = "".join(f", {count} {what}" for what, count in counts.items())
        yield f"| {outcome.stage.name.replace('|', ', ')} | {outcome.state()}{counted} |"
    yield "\n## Training runs\n\nThe speeds are medians over the second half of the log.\n"
    yield "| run | updates/s | words/s | peak GiB | wall time of the epoch, s |\n|---|--:|--:|--:|--:|"
    for outcome in outcomes:
        if "wps" in outcome.figures:
            ups, wps, peak, wall = (outcome.figures.get(n) for n in ("ups", "wps", "peak_gib", "train_wall"))
            yield f"| {outcome.stage.name} | {ups:.1f} | {wps:,.0f} | {peak} | {wall} |"
    yield "\n## Benchmarks\n\n| work | case | ms | faster | peak MiB | memory |\n|---|---|--:|--:|--:|--:|"
    for row in results(outcomes):
        times = f"{1000 * row['seconds']:.3f} | {row['faster']:.2f}"
        yield f"| {row['group']} | {row['case']} | {times} | {row['peak_mib']:.1f} | {row['memory']:.2f} |"
    for outcome in outcomes:
        if outcome.status != 0 and outcome.output:
            yield f"\n## Last lines of {outcome.stage.name}\n\n```text\n{outcome.output[-3000:].strip()}\n```"


def machine(device: str) -> dict[str, Any]:
    """Return the card, the driver, the versions and the commit."""
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "processor": processor()}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        about["card"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        about["CUDA, cuDNN, driver"] = f"{torch.version.cuda}, {torch.backends.cudnn.version()}, {driver()}"
    about |= versions()
    try:
        about["triton"] = metadata.version("triton")
    except metadata.PackageNotFoundError:
        about["triton"] = None
    return about | {"commit": git("describe", "--always", "--dirty")}


def driver() -> str | None:
    """Return the version of the driver that nvidia-smi reports."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def results(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return the rows of ``python -m benchmarks``."""
    return [row for outcome in outcomes for row in outcome.figures.get("results", [])]


def targets(outcomes: Sequence[Outcome]) -> Iterator[Row]:
    """Yield the targets of docs/performance.md with their figures."""
    speeds = {outcome.stage.name: outcome.figures.get("wps") for outcome in outcomes}

    def epoch(name: str) -> float | None:
        return PTB[1] / speeds[name] if speeds.get(name) else None

    def ratio(group: str, case: str, other: str) -> float | None:
        rows = {row["case"]: row["seconds"] for row in results(outcomes) if row["group"] == group}
        return rows[case] / rows[other] if case in rows and other in rows else None

    def at_most(what: str, figure: float | None, limit: float, unit: str) -> Row:
        return what, f"at most {limit:g} {unit}", figure, unit, None if figure is None else figure <= limit

    def at_least(what: str, figure: float | None, limit: float, unit: str = "") -> Row:
        target = f"at least {limit:,g} {unit}".strip()
        return what, target, figure, unit, None if figure is None else figure >= limit

    yield at_most("epoch of `qrnn_ptb`", epoch("qrnn_ptb, bf16, torch_adam, graphs"), 2.5, "s")
    yield at_most("epoch of `awd_lstm_ptb`", epoch("awd_lstm_ptb, graphs"), 12, "s")
    yield at_least("`qrnn_wt103`, bf16", speeds.get("qrnn_wt103, bf16, 200 updates"), 400_000, "words/s")
    for passes in "forward", "forward and backward":
        group = f"QRNN pooling, T, B, H (140, 60, 2500), {passes}"
        share = ratio(group, "copying as many bytes", "ours")
        yield at_least(f"pooling at (140, 60, 2500), {passes}, share of copying", share, 0.8)
    layer = "QRNN layer, T, B, H (70, 20, 1550), forward and backward"
    yield at_least("QRNN layer against cuDNN's LSTM layer", ratio(layer, "torch.nn.LSTM", "ours"), 5)
