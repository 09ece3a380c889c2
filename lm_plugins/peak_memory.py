"""Measure the peak memory of a run."""

import resource

import torch


def peak_memory() -> float:
    """Return the peak memory of this process in GiB: on the GPU if one is used, else resident."""
    if torch.cuda.is_initialized():  # raw: torch's table of all statistics takes 0.5 ms
        allocated = torch.cuda.memory.memory_stats_as_nested_dict()["allocated_bytes"]["all"]
        if allocated["peak"]:
            return allocated["peak"] / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


class PeakMemory:
    """Keep the largest peak of a run: fairseq resets CUDA's own statistics after every update."""

    def __init__(self) -> None:
        self.gib = 0.0

    def update(self) -> float:
        """Return the peak so far, in GiB. Call it after the optimizer's step, before fairseq's reset."""
        self.gib = max(self.gib, peak_memory())
        return self.gib
