"""What checkpoints hold, and how they differ."""

from pathlib import Path
from typing import Any

import torch

from lm_plugins.checkpoints import safe_loading


def load(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, read as fairseq's programs read it: without running code."""
    with safe_loading():
        return torch.load(path, map_location="cpu", weights_only=True)


def same_weights(one: Path, other: Path) -> bool:
    """Return whether two checkpoints hold the same model, bit by bit."""
    one, other = load(one)["model"], load(other)["model"]
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def largest_difference(one: Path, other: Path) -> float:
    """Return the largest absolute difference between two weights of two checkpoints; NaN if one is NaN."""
    one, other = load(one)["model"], load(other)["model"]
    assert one.keys() == other.keys()
    return float(torch.stack([(one[key] - other[key]).abs().max().double() for key in one]).max())


def optimizer_state(path: Path) -> dict[str, Any]:
    """Return the state of the optimizer."""
    return load(path)["last_optimizer_state"]


def same_optimizer(one: Path, other: Path) -> bool:
    """Return whether two checkpoints hold the same history, iterates and averages, bit by bit."""
    one, other = optimizer_state(one), optimizer_state(other)
    assert one["history"] == other["history"] and one["averaged"] == other["averaged"]
    tensors = [list(saved["iterates"]) + list(saved["averages"] or []) for saved in (one, other)]
    return len(tensors[0]) == len(tensors[1]) and all(map(torch.equal, *tensors))
