"""Evaluate an experiment on its validation and test set, and write a sample of text, in one process.

    python -m recipes.evaluate EXPERIMENT DATA --plain [--finetune] [--cache] [--dynamic=FLAGS] [--cpu]

fairseq takes seconds to import, so it is imported once, and each evaluation is a fork that runs the main
function of fairseq-eval-lm. Its output goes to EXPERIMENT/logs, its numbers to EXPERIMENT/results, and the
record of how they were made to EXPERIMENT/stages. A stage that was done with the same flags, data and
checkpoint is skipped. A second program for the same experiment waits for the first: the nodes of a training
run all end with the evaluations. The first stage that fails ends the program, with the status of that stage.
Signals are passed on to the running stage.
"""

import argparse
import functools
import logging
import multiprocessing
import os
import shlex
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from preprocess.lock import locked
from recipes import logs, sample, stages
from recipes.checkpoints import finetuned_checkpoint, trained_checkpoint
from recipes.environment import read_environment
from recipes.experiment import SUBSETS
from recipes.printing import say
from recipes.processes import become_child, end_quietly_by_interrupt, exit_status, passing_signals
from recipes.progress import follow, show_error


class Stage(NamedTuple):
    """An evaluation, or the sample of text, of one checkpoint."""

    name: str
    checkpoint: Path
    data: str
    command: list[str]
    outcome: Path  # the file that is written


def plan(options: argparse.Namespace) -> list[Stage]:
    """Return the evaluations that `options` ask for, in the order in which they run."""
    experiment, data = options.experiment, options.data
    trained, finetuned = trained_checkpoint(experiment), finetuned_checkpoint(experiment)
    finetune = options.finetune and (options.dry_run or finetuned.exists())
    best = finetuned if finetune else trained
    cpu = ["--cpu"] if options.cpu else []

    def evaluation(kind: str, subset: str, checkpoint: Path, *flags: str) -> Stage:
        where = ["--path", str(checkpoint), "--gen-subset", subset]
        folder = experiment / "results" / kind
        results = ["--results-path", str(folder), "--no-progress-bar"]
        command = ["fairseq-eval-lm", data, "--user-dir", "lm_plugins", *where, *results, *cpu, *flags]
        return Stage(f"{kind}-{subset}", checkpoint, data, command, folder / f"results-{subset}.json")

    planned = []
    if options.plain:
        planned += [evaluation("plain", subset, trained) for subset in SUBSETS]
        planned += [evaluation("finetuned", subset, best) for subset in SUBSETS if finetune]
    if options.cache:
        numbers = experiment / "cache.json"
        tuning = evaluation("tuning", "valid", best, "--cache-tune", str(numbers))
        planned.append(tuning._replace(outcome=numbers))
        planned += [evaluation("cache", subset, best, "--cache-from", str(numbers)) for subset in SUBSETS]
    if options.dynamic:
        flags = shlex.split(options.dynamic)
        planned += [evaluation("dynamic", subset, best, *flags) for subset in SUBSETS]
    writing = sample.command(experiment, best, data, options.cpu)
    return [*planned, Stage("sample", best, data, writing, experiment / "sample.txt")]


def import_fairseq() -> None:
    """Import the modules that all evaluations share, except the plug-in, which each fork imports itself."""
    # The default check would forbid CUDA in forks.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    logging.basicConfig(
        format="%(asctime)s | %(levelname)s | %(name)s | %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        stream=sys.stdout,
    )
    import fairseq_cli.eval_lm  # noqa: F401


def work(command: list[str]) -> None:
    """Run `command` in this process."""
    logging.getLogger().setLevel(logging.INFO)  # only now, to hide the messages of the imports
    sys.argv = command
    if command[0] == "fairseq-eval-lm":
        from fairseq_cli.eval_lm import cli_main

        cli_main()
    else:
        sys.argv = command[2:]  # python -m recipes.sample
        sample.main()


def child(task: Callable[[], None], output: int, parent: int) -> None:
    """Run `task` in a child of the process `parent`, with its output going to the descriptor `output`."""
    become_child(parent)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    os.close(output)
    try:
        task()
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)


def in_fork(task: Callable[[], None], log: Path) -> int:
    """Run `task` in a fork of this process, with its output going to `log`, and return its exit status."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=child, args=(task, writing, os.getpid()))

    def start() -> BaseProcess:
        process.start()
        os.close(writing)
        return process

    with passing_signals(start, wait), open(reading, errors="replace") as lines:
        last = follow(lines, log)
    show_error(last)
    return exit_status(process.exitcode)


def wait(process: BaseProcess) -> int:
    """Wait for the end of `process`, and return its status: negative if a signal ended it."""
    process.join()
    return process.exitcode


def run(experiment: Path, planned: list[Stage], environment: Callable[[], dict[str, Any]]) -> None:
    """Run the stages, except those that are done with the same flags, data and checkpoint.

    Args:
        environment: returns the environment of the stages (recipes/environment.py)

    Raises:
        SystemExit: there is no checkpoint, or a stage failed
    """
    for stage in planned:
        if not stage.checkpoint.exists():
            raise SystemExit(f"error: there is no checkpoint {stage.checkpoint}: train the model first")
    ready = False
    with locked(experiment / "results"):
        for name, _, data, command, outcome in planned:
            log = experiment / "logs" / f"{name}.log"
            inputs = stages.inputs_of(command, data)
            if stages.is_done(experiment, name, inputs, outcome):
                say(f"already done: {shlex.join(command)}")
                continue
            begun = stages.begin(experiment, name, inputs, [environment()])
            logs.begin(log, command)
            if not ready:
                import_fairseq()
                ready = True
            status = in_fork(lambda command=command: work(command), log)
            if status:
                print(f"error: the stage {name} failed with status {status}: see {log}", file=sys.stderr)
                raise SystemExit(status)
            stages.finish(experiment, name, begun)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.evaluate", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("experiment", type=Path, help="folder that holds checkpoints/")
    parser.add_argument("data", help="data folder, or several separated by colons")
    parser.add_argument("--plain", action="store_true", help="evaluate the model as it is")
    parser.add_argument("--finetune", action="store_true", help="use the fine-tuned model if there is one")
    parser.add_argument("--cache", action="store_true", help="tune a cache on valid, and evaluate with it")
    parser.add_argument(
        "--dynamic", default="", metavar="FLAGS", help="also evaluate dynamically with these flags"
    )
    parser.add_argument("--cpu", action="store_true", help="do not use the GPU")
    parser.add_argument("--dry-run", action="store_true", help="print the commands without running them")
    options = parser.parse_args(arguments)
    end_quietly_by_interrupt()
    planned = plan(options)
    if options.dry_run:
        say("\n".join(shlex.join(stage.command) for stage in planned))
    else:
        typed = ["python", "-m", "recipes.evaluate", *(sys.argv[1:] if arguments is None else arguments)]
        run(options.experiment, planned, functools.cache(lambda: read_environment(os.getcwd(), typed)))


if __name__ == "__main__":
    main()
