"""The rank of this process among those that train together."""

from collections.abc import Callable
from typing import Any, Optional, TypeVar

import torch.distributed as dist

from lm_plugins.errors import Refused

Result = TypeVar("Result")


def rank_and_world() -> tuple[int, int]:
    """Return the number of this process and the number of processes; (0, 1) if there is only one."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def on_first_rank(work: Callable[[], Result]) -> Optional[Result]:
    """Return what `work` returns on the first rank, and None on the others once it has returned there.

    Raises:
        Refused: on all ranks, if `work` raises it on the first one
    """
    rank, world = rank_and_world()
    result, refusal = None, [None]
    if rank == 0:
        try:
            result = work()
        except Refused as error:
            if world == 1:
                raise
            refusal = [str(error)]
    if world > 1:
        dist.broadcast_object_list(refusal, src=0)
    if refusal[0] is not None:
        raise Refused(refusal[0])
    return result


def from_all_ranks(value: Any) -> list[Any]:
    """Return what each rank calls this with, in their order; all ranks call it."""
    world = rank_and_world()[1]
    values = [value] * world
    if world > 1:
        dist.all_gather_object(values, value)
    return values
