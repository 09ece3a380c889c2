"""How much memory a run has needed."""

import resource

import torch


def peak_memory():
    """The most that this process has held, in GiB: on the GPU if one is used, else resident."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
