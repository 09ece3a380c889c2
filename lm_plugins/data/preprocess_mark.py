"""What preprocess records in a folder that it makes (preprocess/completion.py)."""

import json
import os
from typing import Any

INPUTS, COMPLETE = ".inputs", ".complete"  # of a folder that is being made, and of one that is complete


def is_unfinished(folder: str | os.PathLike) -> bool:
    """Return whether preprocess began to make `folder` and did not complete it."""
    begun, complete = (os.path.exists(os.path.join(folder, name)) for name in (INPUTS, COMPLETE))
    return begun and not complete


def read_mark(folder: str | os.PathLike) -> dict[str, Any]:
    """Return the record of a complete folder; {} if there is none, or if it is damaged."""
    try:
        with open(os.path.join(folder, COMPLETE)) as file:
            mark = json.load(file)
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}
