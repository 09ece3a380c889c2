"""A recipe as it was typed, and the commands of its stages."""

import argparse
import functools
import os
import shutil
from pathlib import Path

from preprocess.completion import is_complete
from recipes import evaluate, stages
from recipes.checkpoints import FINETUNED, TRAINED, trained_checkpoint
from recipes.environment import read_environment
from recipes.processes import ONE_PROCESS


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
        return is_complete(self.options.data)

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
