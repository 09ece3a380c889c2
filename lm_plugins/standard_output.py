"""The standard output of a command, which may be closed, or whose reader may end before all is written."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def open_standard_output() -> None:
    """Write standard output in UTF-8, and discard what is written to a stream that the caller has closed.

    Python has None in place of a stream that ``>&-`` or ``2>&-`` closed, and ``print(file=None)`` prints to
    standard output, so the summary of a command would be among its rows.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    sys.stdout.reconfigure(encoding="utf-8")


@contextmanager
def reader_may_end() -> Iterator[None]:
    """Leave the block, without an error, when the reader of standard output has ended, such as head."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # what is still in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
