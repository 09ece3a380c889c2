"""Print lines while training runs, whose reader may end before it."""

import os
import sys
from typing import TextIO


def say(text: str, file: TextIO | None = None) -> None:
    """Print `text` to `file`, standard output by default, at once.

    If its reader has gone, as `head` or a closed terminal, later output goes nowhere: that must not end
    training, and the programs that are started later inherit the same descriptor.
    """
    file = file or sys.stdout
    try:
        print(text, file=file, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
