"""Convert ``--path a:b`` of fairseq-eval-lm, which reads one model, to the options of an interpolation.

fairseq's program loads the file that --path names. The task loads the other models
(:mod:`lm_plugins.tasks.interpolation`). This is the only place that converts, after the command line was
completed, so a completed command still has the typed flags and can be repeated.
"""

import logging
import os

from fairseq.utils import split_paths

from lm_plugins.command_line import program_name, typed_flags
from lm_plugins.completion import is_recurrent_task
from lm_plugins.errors import Refused

logger = logging.getLogger(__name__)

OTHERS = "--interpolate-with"


def split_ensemble(argv: list[str]) -> list[str]:
    """Return the completed command `argv` with the first model as --path, and log the conversion.

    Nothing is changed if there is one model, if the whole name is that of a file, or for another program or
    task.

    Raises:
        Refused: further models are given in both options, or a name is empty
    """
    typed = typed_flags(argv[1:])
    if program_name(argv[0]) != "eval-lm" or not is_recurrent_task(typed.get("--task")):
        return argv
    path = typed.get("--path") or ""
    first, *others = split_paths(path)
    if not others or os.path.exists(path):
        return argv
    if OTHERS in typed:
        raise Refused(f"both --path and {OTHERS} name several models: give all of them in --path")
    if not all((first, *others)):
        raise Refused(f"--path {path} has an empty name next to a colon: give the paths of all models")
    added = ["--path", first, OTHERS, os.pathsep.join(others)]
    logger.info(f"interpolating {1 + len(others)} models: --path {path} is converted to {' '.join(added)}")
    return [*argv, *added]
