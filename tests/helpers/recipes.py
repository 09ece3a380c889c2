"""Recipes, and the commands that they print, as a user starts them."""

import os
import shlex
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from fairseq import options

from tests.helpers.runner import ROOT

# The link recipes/penn leads to recipes/ptb.
RECIPES = sorted(path for path in ROOT.glob("recipes/*/*.sh") if not path.parent.is_symlink())
PARSERS = {
    "fairseq-train": options.get_training_parser,
    "fairseq-eval-lm": options.get_eval_lm_parser,
}


def recipe(path: Path, *arguments: object, **environ: str) -> subprocess.CompletedProcess:
    """Run the recipe `path` with this Python's commands on the PATH."""
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environ}
    return subprocess.run([str(path), *map(str, arguments)], capture_output=True, text=True, env=environ)


def recipe_process(path: Path, *arguments: object, **environ: str) -> subprocess.Popen:
    """Start `path` in its own process group, with its output in a pipe."""
    return subprocess.Popen(
        [str(path), *map(str, arguments)], env={**os.environ, **environ}, text=True, process_group=0,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def commands(path: Path, *arguments: object) -> list[list[str]]:
    """Return what `path` would run, as lists of words."""
    run = recipe(path, "--dry-run", *arguments)
    assert run.returncode == 0, run.stderr
    return [shlex.split(line) for line in run.stdout.splitlines()]


def parsed(command: list[str]) -> Namespace:
    """Return the options of `command`, as fairseq's own parser reads them once they are completed."""
    import lm_plugins  # noqa: F401
    from lm_plugins.completion import complete

    program, *arguments = complete(command)
    return options.parse_args_and_arch(PARSERS[program](default_task="language_modeling"), arguments)
