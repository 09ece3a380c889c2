"""What preprocess records in a folder that it makes (preprocess/completion.py)."""

import json
import os
from typing import Any

from lm_plugins.errors import Refused

INPUTS, COMPLETE = ".inputs", ".complete"  # of a folder that is being made, and of one that is complete


def is_unfinished(folder: str | os.PathLike) -> bool:
    """Return whether preprocess began to make `folder` and did not complete it."""
    begun, complete = (os.path.exists(os.path.join(folder, name)) for name in (INPUTS, COMPLETE))
    return begun and not complete


def read_mark(folder: str | os.PathLike) -> dict[str, Any]:
    """Return the record of a complete folder; {} if there is none, or if it is damaged.

    Raises:
        Refused: it exists and cannot be read
    """
    path = os.path.join(folder, COMPLETE)
    try:
        with open(path) as file:
            mark = json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    except OSError as error:
        raise Refused(
            f"{path} cannot be read ({error.strerror}), so it is not known what the folder was made from: "
            "change its permissions, or copy the folder again"
        ) from error
    return mark if isinstance(mark, dict) else {}
