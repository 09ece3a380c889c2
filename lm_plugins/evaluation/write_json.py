"""Results as JSON, whole or not at all."""

import json
import os


def write_json(path, content):
    unfinished = f"{path}.part"
    with open(unfinished, "w") as file:
        json.dump(content, file, indent=1)
    os.replace(unfinished, path)
