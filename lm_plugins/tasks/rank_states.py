"""Bringing the carried states of all ranks together before a checkpoint is written."""

import sys

import torch.distributed as dist


def before_each_save(optimizer, gather):
    """Has fairseq call `gather` on every rank before each checkpoint.

    Only rank 0 builds the checkpoint. The one thing that all ranks do before (trainer.py:388) is to
    call ``consolidate_state_dict`` of the torch optimizer, if it has one; torch's ordinary ones do
    not. With --no-save-optimizer-state it is not called.
    """
    if dist.is_initialized() and not hasattr(optimizer.optimizer, "consolidate_state_dict"):
        optimizer.optimizer.consolidate_state_dict = gather


def all_ranks(state):
    """List of the `state` of every rank; None while an exception is on its way.

    fairseq also saves when one rank fails (crash.pt): the others are not there to answer then.
    """
    if sys.exc_info()[0] is not None:
        return None
    states = [None] * dist.get_world_size()
    dist.all_gather_object(states, state)
    return states
