"""Run the stages of a recipe.

    python -m recipes.run --exp EXP ... -- PREPROCESS -- TRAINING -- TYPED

recipes/common.sh ends with this command. PREPROCESS are the options of preprocess.CORPUS, TRAINING are the
flags of fairseq-train, and TYPED is the command line of the recipe. Each stage is a child process, to which
signals are passed on. The first stage that fails ends the recipe, with the status of that stage.
"""

import argparse
import functools
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from recipes import evaluate, logs, report, stages
from recipes.checkpoints import BEST, FINETUNED, TRAINED, trained_checkpoint
from recipes.environment import read_environment
from recipes.files import make_folder
from recipes.processes import (
    ONE_PROCESS,
    SENT_TO_TORCHRUN,
    Stopped,
    end_quietly_by_interrupt,
    exit_status,
    piped,
)
from recipes.progress import follow, show_all, show_error
from recipes.resuming import check_resumable, check_trained_with, has_begun

ADDED = "LM_PLUGINS_ADDOPTS"  # flags that fairseq-train adds


class Recipe:
    """A recipe as it was typed.

    Args:
        options: the recipe's own options
        flags: flags of fairseq-train
        typed: the recipe's command line
    """

    def __init__(self, options: argparse.Namespace, flags: list[str], typed: list[str]) -> None:
        self.options, self.flags = options, flags
        self.experiment, self.processes = options.exp, options.gpus * options.nodes
        self.environment = functools.cache(lambda: read_environment(options.folder, typed))

    def includes(self, stage: int) -> bool:
        """Return whether the stage was asked for."""
        return self.options.stage <= stage <= self.options.stop_stage

    def has_data(self) -> bool:
        """Return whether there is a data-bin."""
        return Path(self.data().split(":")[0], "dict.txt").exists()

    def is_preprocessed(self) -> bool:
        """Return whether preprocess.CORPUS made the data, so that it can tell if the text is the same."""
        return Path(self.options.data, ".complete").exists()

    def flags_are_known(self) -> bool:
        """Return whether the experiment was trained with these flags, or there are none."""
        known = stages.record(self.experiment, "train").get("inputs") or {}
        return stages.by_flag(self.flags).items() <= known.items()

    def data(self) -> str:
        """Return the data folders, separated by colons: the shards of gbw, or the given one."""
        folder = self.options.data
        if self.options.corpus != "gbw" or not os.path.isdir(folder):
            return folder
        return ":".join(map(str, sorted(Path(folder).glob("[0-9]*/")))) or folder

    def preprocess(self, arguments: list[str]) -> list[str]:
        """Return the command that makes the data."""
        return ["python", "-m", f"preprocess.{self.options.corpus}", self.options.data, *arguments]

    def training(self, stage: str, folder: Path, *more: str) -> list[str]:
        """Return the command of a training run, without the flags that depend on the number of processes."""
        return [
            "fairseq-train", self.data(), "--user-dir", "lm_plugins", "--arch", self.options.arch,
            "--save-dir", str(folder), "--no-epoch-checkpoints", "--log-format", "json",
            "--log-interval", "10", "--no-progress-bar",
            "--tensorboard-logdir", str(self.experiment / "tensorboard" / stage),
            *more, *self.flags,
        ]  # fmt: skip

    def launched(self, command: list[str]) -> list[str]:
        """Return `command` as it is started, on one process or several."""
        if self.processes == 1:
            return [*command, *ONE_PROCESS]
        options = self.options
        launch = ["torchrun", "--nproc-per-node", str(options.gpus), "--nnodes", str(options.nodes)]
        if options.rendezvous:
            launch += ["--rdzv-backend", "c10d", "--rdzv-endpoint", options.rendezvous]
        return [*launch, shutil.which(command[0]) or command[0], *command[1:]]

    def trainings(self) -> list[tuple[str, Path, list[str]]]:
        """Return (stage, folder of checkpoints, command) of each training run that was asked for."""
        result = []
        if self.includes(2):
            folder = self.experiment / TRAINED
            result.append(("train", folder, self.training("train", folder)))
        if self.includes(3) and self.options.finetune:
            folder = self.experiment / FINETUNED
            model = "--finetune-from-model", str(trained_checkpoint(self.experiment))
            result.append(("finetune", folder, self.training("finetune", folder, *model)))
        return result

    def evaluations(self) -> list[evaluate.Stage]:
        """Return the evaluations that were asked for."""
        options = self.options
        kinds = {4: "plain", 5: "cache", 6: "dynamic"}
        wanted = {kind: getattr(options, kind) for stage, kind in kinds.items() if self.includes(stage)}
        if not any(wanted.values()):
            return []
        chosen = argparse.Namespace(
            experiment=self.experiment, data=self.data(), finetune=options.finetune,
            cpu="--cpu" in self.flags, dry_run=options.dry_run,
            **{kind: wanted.get(kind, "") for kind in kinds.values()},
        )  # fmt: skip
        return evaluate.plan(chosen)


def run_logged(
    command: list[str], log: Path, read: Callable[[Iterable[str], Path], list[str]], torchrun: bool = False
) -> None:
    """Run `command`, and let `read` show its output and append it to `log`.

    Raises:
        SystemExit: it failed, or a signal was passed on to it
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
        SystemExit: fairseq-train does not understand its flags.
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
        print(f"already done: {shlex.join(recipe.launched(command))}", flush=True)
        return
    settings, earlier = inputs_of(completed(recipe, command)), stages.runs(experiment, stage)
    if has_begun(folder):
        check_resumable(experiment, stage, folder, inputs, settings)
    elif is_of_another(log, stages.record(experiment, stage).get("settings"), settings):
        earlier = []
        set_aside(log)
    stages.begin(experiment, stage, inputs, [*earlier, recipe.environment()], settings=settings)
    run_logged(recipe.launched(command), log, follow, torchrun=recipe.processes > 1)
    stages.finish(experiment, stage)


def is_of_another(log: Path, before: Any, settings: stages.Inputs) -> bool:
    """Return whether `log` belongs to another training run than the one that begins now, without checkpoint.

    It does if that run had other settings, `before`, or if it completed an epoch, whose checkpoint was
    removed.
    """
    return before != settings or bool(logs.epochs(log, "train"))


def from_folder(flags: list[str], folder: str) -> list[str]:
    """Return `flags` with the files to read taken from `folder`, in which the flags were typed."""
    if folder == os.getcwd():
        return flags
    result, flag = [], ""
    for word in flags:
        flag, equals, value = word.partition("=") if word.startswith("--") else (flag, "", word)
        if flag in stages.READ and value and Path(folder, value).is_file():
            value = str(Path(folder, value))
        result.append(flag + equals + value if word.startswith("--") else value)
    return result


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
    evaluate.run(experiment, recipe.evaluations(), recipe.environment)
    if options.stop_stage >= 2:
        report.main([str(experiment)])


def main() -> None:
    """Run the command line."""
    end_quietly_by_interrupt()
    arguments, lists = sys.argv[1:], []
    for _ in range(3):
        position = arguments.index("--")
        lists.append(arguments[:position])
        arguments = arguments[position + 1 :]
    own, of_preprocess, flags = lists
    parser = argparse.ArgumentParser(prog="python -m recipes.run", description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="path of the recipe, as it was typed")
    parser.add_argument("--own", required=True, help="options of recipes, separated by spaces")
    parser.add_argument("--folder", required=True, help="folder in which the recipe was typed")
    parser.add_argument("--corpus", required=True, help="module of preprocess/")
    parser.add_argument("--arch", required=True)
    parser.add_argument("--data", required=True, help="data-bin folder")
    parser.add_argument("--exp", type=Path, required=True, help="folder of the experiment")
    parser.add_argument("--stage", type=int, required=True)
    parser.add_argument("--stop-stage", type=int, required=True)
    parser.add_argument("--gpus", type=int, required=True)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--rendezvous", default="")
    parser.add_argument("--plain", action="store_true", help="evaluate the model as it is")
    parser.add_argument("--finetune", action="store_true")
    parser.add_argument("--cache", action="store_true")
    parser.add_argument("--dynamic", default="", help="flags of dynamic evaluation")
    parser.add_argument("--dry-run", action="store_true", help="print the commands without running them")
    options = parser.parse_args(own)
    options.plain = True
    recipe = Recipe(options, from_folder(flags, options.folder), arguments)
    if not options.dry_run:
        run(recipe, of_preprocess)
        return
    commands = [recipe.preprocess(of_preprocess)] if recipe.includes(1) else []
    commands += [recipe.launched(command) for _, _, command in recipe.trainings()]
    commands += [stage.command for stage in recipe.evaluations()]
    print("\n".join(map(shlex.join, commands)))


if __name__ == "__main__":
    main()
