"""Train one trial of a search, and tell a bad point of the space from a broken run."""

import argparse
import os
import platform
import resource
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna import Trial
from optuna.trial import TrialState

from recipes.logs import DIVERGED, logged, written
from recipes.processes import ONE_PROCESS, piped
from recipes.samplers import WORKER
from recipes.search_spaces import Draw

DRAWN = "drawn"  # attribute of a trial: its flags as they were typed


class Failed(Exception):
    """Raised with the error message with which training ended."""


def train(command: list[str], log: Path, report: Callable[[int, float], bool]) -> float | None:
    """Run `command`, and call ``report(epoch, bits)``, which returns whether to stop, for each validation.

    Returns:
        the best validation loss in bits, or None if training was stopped

    Raises:
        Failed: training ended with an error, or without a validation
        SystemExit: a signal was passed on to it, or its log cannot be written
    """
    best, line, stopped = None, "", False
    with piped(command) as process, written(log, "w") as file:
        for line in process.stdout:
            file.write(line)
            for entry in logged(line, "valid"):
                bits = float(entry["valid_loss"])
                best = bits if best is None else min(best, bits)
                stopped = stopped or report(entry["epoch"], bits)
            if stopped:
                process.kill()
                break
    if stopped:
        return None
    if process.returncode != 0:
        raise Failed(line.strip() or f"fairseq-train ended with status {process.returncode}")
    if best is None:
        raise Failed("fairseq-train ended before its first validation")
    return best


def command_of(options: argparse.Namespace, flags: list[str], drawn: dict[str, Any], save: Path) -> list[str]:
    """Return the fairseq-train command of a trial, as a user can type it."""
    return [
        "fairseq-train", options.data, "--user-dir", options.user_dir, "--arch", options.arch,
        "--save-dir", str(save), "--no-epoch-checkpoints", "--no-last-checkpoints", "--log-format", "json",
        "--no-progress-bar", *ONE_PROCESS, *flags,
        *(word for flag, value in drawn.items() for word in (flag, typed_value(value))),
    ]  # fmt: skip


def typed_value(value: Any) -> str:
    """Return `value` as text for the command line."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def run(
    trial: Trial, options: argparse.Namespace, flags: list[str], draw: Draw, folder: Path
) -> tuple[TrialState, float | None, str]:
    """Train one trial.

    Returns:
        (its state, its validation loss in bits or None, why it was not completed)
    """
    save = folder / f"trial{trial.number}"

    def report(epoch: int, bits: float) -> bool:
        trial.report(bits, epoch)
        return trial.should_prune()

    before = processor_seconds()
    trial.set_user_attr(WORKER, [platform.node(), os.getpid()])
    try:
        drawn = draw(trial)
        command = command_of(options, flags, drawn, save)
        trial.set_user_attr(DRAWN, {flag: typed_value(value) for flag, value in drawn.items()})
        trial.set_user_attr("command", shlex.join(command))
        save.mkdir(parents=True, exist_ok=True)
        best = train([sys.executable, "-m", "fairseq_cli.train", *command[1:]], save / "train.log", report)
    except optuna.TrialPruned as outside:
        return TrialState.PRUNED, None, str(outside)
    except Failed as failure:
        diverged = DIVERGED.search(str(failure))
        return TrialState.PRUNED if diverged else TrialState.FAIL, None, str(failure)
    trial.set_user_attr("processor_seconds", round(processor_seconds() - before, 1))
    if best is None:
        return TrialState.PRUNED, None, "its loss is above the median of the other trials"
    return TrialState.COMPLETE, best, ""


def processor_seconds() -> float:
    """Return the processor time of the finished training runs, which depends little on other programs."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
