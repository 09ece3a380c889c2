"""Write the results of an evaluation as JSON."""

import hashlib
import logging
import os
import shlex
import sys

from lm_plugins.evaluation.write_json import write_json

logger = logging.getLogger(__name__)


def write_results(folder: str, subset: str, results: dict[str, float], checkpoint: str) -> None:
    """Write ``folder/results-<subset>.json``: the results, the command, and the checkpoint's SHA-256."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"results-{subset}.json")
    content = {
        "subset": subset,
        **results,
        "command": shlex.join(["fairseq-eval-lm", *sys.argv[1:]]),
        "checkpoint": {"path": checkpoint, "sha256": _sha256(checkpoint)},
    }
    write_json(path, content)
    logger.info(f"wrote {path}")


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
