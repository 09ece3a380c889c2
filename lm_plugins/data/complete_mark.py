"""The file ``.complete``, with which preprocess marks a whole data folder."""

import json
import os
from typing import Any

from lm_plugins.errors import Refused

COMPLETE = ".complete"


def read_mark(folder: str | os.PathLike) -> Any:
    """Return the content of ``.complete`` in `folder`; None if there is no such file, or it is no JSON.

    Raises:
        Refused: the file exists and cannot be read
    """
    path = os.path.join(folder, COMPLETE)
    try:
        with open(path) as file:
            return json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise Refused(
            f"{path} cannot be read ({error.strerror}), so it is not known what the folder was made from: "
            "change its permissions, or copy the folder again"
        ) from error
