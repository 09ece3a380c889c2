"""The rank of this process among those that train together."""

import torch.distributed as dist


def rank_and_world() -> tuple[int, int]:
    """Return the number of this process and the number of processes; (0, 1) if there is only one."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1
