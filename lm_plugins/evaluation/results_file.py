"""Write the results of an evaluation as JSON."""

import logging
import os
import shlex
import sys
from typing import Any

from lm_plugins.files import sha256, write_json

logger = logging.getLogger(__name__)


def results_file(folder: str, subset: str) -> str:
    """Return the path of the results of `subset` in `folder`."""
    return os.path.join(folder, f"results-{subset}.json")


def identified(path: str) -> dict[str, str]:
    """Return the path of a model and its SHA-256, before training that is still running replaces it."""
    return {"path": path, "sha256": sha256(path)}


def write_results(folder: str, subset: str, results: dict[str, Any], checkpoint: dict[str, str]) -> None:
    """Write ``folder/results-<subset>.json``: the results, the command, and the identified checkpoint."""
    path = results_file(folder, subset)
    os.makedirs(folder, exist_ok=True)
    content = {
        "subset": subset,
        **results,
        "command": shlex.join(["fairseq-eval-lm", *sys.argv[1:]]),
        "checkpoint": checkpoint,
    }
    write_json(path, content)
    logger.info(f"wrote {path}")
