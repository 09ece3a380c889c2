"""The shared code of all command lines: types of arguments, and errors in one sentence."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path


def nonempty_path(text: str) -> Path:
    """Return the path `text`, which is not empty: the type of an argument."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: give a path")
    return Path(text)


def positive_int(text: str) -> int:
    """Return a whole number of at least 1: the type of an argument.

    It must fit into an int32, the type that SentencePiece takes.
    """
    if not text.isdecimal() or len(text) > 10 or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 2^31 - 1")
    return int(text)


def run(main: Callable[[], None]) -> None:
    """Run the command line `main`, which may be interrupted at any time and run again.

    Raises:
        SystemExit: it was interrupted (130), or a file could not be read or written (1), or see `main`.
    """
    logging.basicConfig(level=logging.WARNING)  # otherwise the import of fairseq logs more
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted: run the same command again to resume", file=sys.stderr)
        raise SystemExit(130) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise SystemExit(f"error: {where}{error.strerror or error}") from error
