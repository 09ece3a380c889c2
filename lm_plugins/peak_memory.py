"""Measure the memory that a run has needed."""

import resource

import torch


def peak_memory() -> float:
    """Return the most memory that this process has held, in GiB: of the GPU if it uses one, else resident."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
