"""The state of an averaging optimizer in a checkpoint."""

from pathlib import Path
from typing import Any

import torch

from tests.helpers.runner import load


def optimizer_state(path: Path) -> dict[str, Any]:
    return load(path)["last_optimizer_state"]


def same_optimizer(one: Path, other: Path) -> bool:
    """Return whether two checkpoints hold the same history, iterates and averages, bit by bit."""
    one, other = optimizer_state(one), optimizer_state(other)
    assert one["history"] == other["history"] and one["averaged"] == other["averaged"]
    tensors = [list(saved["iterates"]) + list(saved["averages"] or []) for saved in (one, other)]
    return len(tensors[0]) == len(tensors[1]) and all(map(torch.equal, *tensors))
