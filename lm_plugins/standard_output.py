"""The standard output of a command, whose reader may end before everything is written."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reader_may_end() -> Iterator[None]:
    """Leave the block, without an error, when the reader of standard output has ended, such as head."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # what is still in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
