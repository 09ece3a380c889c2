"""Run the stages of a recipe.

    python -m recipes.run --exp EXP ... -- PREPROCESS -- TRAINING -- TYPED

recipes/common.sh ends with this command. PREPROCESS are the options of preprocess.CORPUS, TRAINING are the
flags of fairseq-train, and TYPED is the command line of the recipe. Each stage is a child process, to which
signals are passed on. The first stage that fails ends the recipe, with the status of that stage.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from recipes import evaluate, logs, report, stages
from recipes.checkpoints import BEST
from recipes.files import make_folder
from recipes.printing import say
from recipes.processes import (
    ONE_PROCESS,
    SENT_TO_TORCHRUN,
    Stopped,
    end_quietly_by_interrupt,
    exit_status,
    piped,
)
from recipes.progress import follow, show_all, show_error
from recipes.recipe import Recipe, from_folder
from recipes.resuming import check_resumable, check_trained_with, has_begun
from recipes.torchrun import explanation

ADDED = "LM_PLUGINS_ADDOPTS"  # flags that fairseq-train adds


def run_logged(
    command: list[str], log: Path, read: Callable[[Iterable[str], Path], list[str]], torchrun: bool = False
) -> None:
    """Run `command`, and let `read` show its output and append it to `log`.

    Raises:
        SystemExit: it failed, a signal was passed on to it, or its log cannot be written
    """
    logs.begin(log, command)
    last: list[str] = []
    try:
        with piped(command, SENT_TO_TORCHRUN if torchrun else None) as process:
            last = read(process.stdout, log)
    except Stopped as stopped:
        if torchrun:  # which ends any run that it stops with status 1 and a traceback
            raise SystemExit(128 + stopped.number) from None
        if stopped.code < 128:
            show_error(last)
        raise
    show_error(last)
    if process.returncode:
        raise SystemExit(exit_status(process.returncode))


def completed(recipe: Recipe, command: list[str]) -> list[str]:
    """Return the command of a training run with the flags that its architecture adds.

    Raises:
        SystemExit: fairseq-train does not understand its flags, or another process trains in its folder.
    """
    options = recipe.options
    typed = command if recipe.processes > 1 else recipe.launched(command)
    checking = [sys.executable, "-m", "recipes.check_flags", options.name, options.own, *typed[1:]]
    ranks = {"WORLD_SIZE": str(recipe.processes), "RANK": "0", "LOCAL_RANK": "0"}
    environ = os.environ | (ranks if recipe.processes > 1 else {})
    with piped(checking, stderr=None, env=environ) as process:
        printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(exit_status(process.returncode))
    return json.loads(printed.splitlines()[-1])


def train(recipe: Recipe, stage: str, folder: Path, command: list[str]) -> None:
    """Train, unless this was already done with the same command, data and model.

    Raises:
        SystemExit: training failed, or would continue a run with other settings
    """
    experiment, log = recipe.experiment, recipe.experiment / "logs" / f"{stage}.log"

    def inputs_of(words: list[str]) -> stages.Inputs:
        added = {ADDED: os.environ[ADDED]} if os.environ.get(ADDED) else {}
        inputs = stages.inputs_of(words, recipe.data(), ("data",))
        if recipe.processes == 1:  # "processes" records it
            inputs.pop(ONE_PROCESS[0], None)
        return inputs | {"processes": str(recipe.processes), **added}

    inputs = inputs_of(command)
    if stages.is_done(experiment, stage, inputs, folder / BEST):
        say(f"already done: {shlex.join(recipe.launched(command))}")
        return
    settings, earlier = inputs_of(completed(recipe, command)), stages.runs(experiment, stage)
    if has_begun(folder):
        check_resumable(experiment, stage, folder, inputs, settings)
    elif is_of_another(log, stages.record(experiment, stage).get("settings"), settings):
        earlier = []
        set_aside(log)
    begun = stages.begin(experiment, stage, inputs, [*earlier, recipe.environment()], settings=settings)
    torchrun, nodes, rendezvous = recipe.processes > 1, recipe.options.nodes, recipe.options.rendezvous

    def follow_torchrun(lines: Iterable[str], log: Path) -> list[str]:
        return explanation(follow(lines, log), nodes, rendezvous)

    run_logged(recipe.launched(command), log, follow_torchrun if torchrun else follow, torchrun)
    stages.finish(experiment, stage, begun)


def is_of_another(log: Path, before: Any, settings: stages.Inputs) -> bool:
    """Return whether `log` belongs to another training run than the one that begins now, without checkpoint.

    It does if that run had other settings, `before`, or if it completed an epoch, whose checkpoint was
    removed.
    """
    return before != settings or bool(logs.epochs(log, "train"))


def set_aside(log: Path) -> None:
    """Rename the log of a training run of which nothing else is left: ``train.log`` to ``train.1.log``."""
    if log.exists():
        number = 1
        while (aside := log.with_suffix(f".{number}.log")).exists():
            number += 1
        log.rename(aside)


def run(recipe: Recipe, of_preprocess: list[str]) -> None:
    """Run the stages that were asked for.

    The options `of_preprocess`, such as --source, are compared with existing data even if stage 1 is not
    asked for.
    """
    options, experiment = recipe.options, recipe.experiment
    if not recipe.flags_are_known() and not (recipe.includes(2) and recipe.has_data()):
        completed(recipe, recipe.training("train", experiment))  # refuses a wrong flag before a download
    if options.stop_stage >= 4 and not recipe.trainings():
        check_trained_with(experiment, stages.inputs_of(recipe.flags, recipe.data(), ()))
    make_folder(experiment)
    if recipe.includes(1) or (of_preprocess and recipe.is_preprocessed()):
        run_logged(recipe.preprocess(of_preprocess), experiment / "logs/preprocess.log", show_all)
    for stage, folder, command in recipe.trainings():
        train(recipe, stage, folder, command)
    if evaluations := recipe.evaluations():
        evaluate.run(experiment, evaluations, recipe.environment)
    if options.stop_stage >= 2:
        report.main([str(experiment)])


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the recipe's own options, which recipes/common.sh has checked."""
    parser = argparse.ArgumentParser(prog="python -m recipes.run", description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="path of the recipe, as it was typed")
    parser.add_argument("--own", required=True, help="options of recipes, separated by spaces")
    parser.add_argument("--folder", required=True, help="folder in which the recipe was typed")
    parser.add_argument("--corpus", required=True, help="module of preprocess/")
    parser.add_argument("--arch", required=True)
    parser.add_argument("--data", required=True, help="data folder")
    parser.add_argument("--exp", type=Path, required=True, help="folder of the experiment")
    parser.add_argument("--stage", type=int, required=True)
    parser.add_argument("--stop-stage", type=int, required=True)
    parser.add_argument("--gpus", type=int, required=True)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--rendezvous", default="")
    parser.add_argument("--finetune", action="store_true")
    parser.add_argument("--cache", action="store_true")
    parser.add_argument("--dynamic", default="", help="flags of dynamic evaluation")
    parser.add_argument("--dry-run", action="store_true", help="print the commands without running them")
    parser.set_defaults(plain=True)  # every recipe evaluates the model as it is
    return parser


def main() -> None:
    """Run the command line."""
    end_quietly_by_interrupt()
    arguments, lists = sys.argv[1:], []
    for _ in range(3):
        position = arguments.index("--")
        lists.append(arguments[:position])
        arguments = arguments[position + 1 :]
    own, of_preprocess, flags = lists
    options = argument_parser().parse_args(own)
    recipe = Recipe(options, from_folder(flags, options.folder), arguments)
    if not options.dry_run:
        run(recipe, of_preprocess)
        return
    commands = [recipe.preprocess(of_preprocess)] if recipe.includes(1) else []
    commands += [recipe.launched(command) for _, _, command in recipe.trainings()]
    commands += [stage.command for stage in recipe.evaluations()]
    say("\n".join(map(shlex.join, commands)))


if __name__ == "__main__":
    main()
