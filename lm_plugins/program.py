"""Prepare fairseq's programs for this package; no other program is touched.

fairseq imports a --user-dir before it reads the command line, and again in each process that it spawns. That
import is the only moment at which our code runs early enough.
"""

import os
import shlex
import sys
from typing import SupportsIndex

from lm_plugins.checkpoints import force_safe_loading
from lm_plugins.command_line import ADDED_OPTIONS, program_name
from lm_plugins.completion import check_arch_is_typed, complete
from lm_plugins.ensemble_path import split_ensemble
from lm_plugins.excepthook import excepthook
from lm_plugins.option_help import HELP, help_and_exit
from lm_plugins.passes import count_folders
from lm_plugins.quiet import filter_configuration, filter_tracebacks, filter_warnings
from lm_plugins.stop_signals import pass_to_children


def prepare() -> None:
    """Complete the command line, load checkpoints safely, and filter messages, in fairseq's programs.

    With ``--cpu`` the GPUs are hidden. The signals that end training are passed on to its processes.
    Elsewhere, as in a notebook, this function does nothing.
    """
    program = program_name(sys.argv[0])
    if program is None:
        return
    sys.excepthook = excepthook
    filter_warnings()
    filter_configuration()
    filter_tracebacks()
    force_safe_loading()
    added = shlex.split(os.environ.get(ADDED_OPTIONS, "")) if program == "train" else []
    if "--cpu" in (*sys.argv, *added):
        # fairseq moves the norms of CPU gradients to a GPU wherever there is one.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if program == "train":
        pass_to_children()
    sys.argv = UnreadCommandLine(sys.argv)


class UnreadCommandLine(list):
    """``sys.argv`` until a parser takes ``sys.argv[1:]``, which triggers its completion.

    It cannot be completed earlier: a --user-dir that imports this package registers its own architectures
    afterwards. fairseq's parsers take the slice when everything is registered. From then on ``sys.argv`` is
    a plain list.
    """

    def __getitem__(self, index: SupportsIndex | slice) -> str | list[str]:
        if not isinstance(index, slice):
            return super().__getitem__(index)
        sys.argv = list(self)
        if HELP & {*sys.argv}:
            help_and_exit(sys.argv)
        else:
            check_arch_is_typed(sys.argv)
            sys.argv = count_folders(split_ensemble(complete(sys.argv)))
        return sys.argv[index]

    def __reduce__(self) -> tuple:
        """Pickle as a plain list: a spawned process reads ``sys.argv`` before it can import this class."""
        return list, (list(self),)
