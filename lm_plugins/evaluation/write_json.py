"""Write JSON files atomically."""

import json
import os
from typing import Any


def write_json(path: str, content: Any) -> None:
    """Write `content` to `path` as a whole, or not at all if an error interrupts it."""
    unfinished = f"{path}.part"
    with open(unfinished, "w") as file:
        json.dump(content, file, indent=1)
    os.replace(unfinished, path)
