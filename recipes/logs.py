"""Reading fairseq's log."""

import json


def logged(output, tag):
    """What fairseq logged as JSON under `tag` ("train", "valid"), a dictionary an epoch."""
    parts = [line.split(f" | {tag} | ", 1) for line in output.splitlines()]
    return [json.loads(part[1]) for part in parts if len(part) == 2 and part[1].startswith("{")]
