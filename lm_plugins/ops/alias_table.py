"""Draws from a discrete distribution in constant time (Walker 1977, Vose 1991)."""

import torch
from torch import Tensor


def alias_table(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the alias table of a distribution proportional to `weights`.

    All columns are equally likely. Column v yields word v with probability ``keep[v]``, else ``alias[v]``.
    The table is built without a loop over V, by the sweep of Huebschle-Schneider and Sanders (2019,
    arXiv:1903.00227): the surplus of the heavy columns, in order, fills up the light columns, in order. A
    heavy column that falls short of one is filled up by the next heavy one.

    Args:
        weights: [V], none of them negative and at least one positive

    Returns:
        (keep [V] in float64, alias [V])
    """
    load = weights.double() * (len(weights) / weights.double().sum())
    light, heavy = (load < 1).nonzero().squeeze(1), (load >= 1).nonzero().squeeze(1)
    deficit, surplus = (1 - load[light]).cumsum(0), (load[heavy] - 1).cumsum(0)
    keep, alias = load.clone(), torch.arange(len(weights), device=weights.device)
    keep[heavy] = 1.0
    if len(light) == 0 or len(heavy) == 0:  # all are equal, up to rounding
        return keep, alias
    last = len(heavy) - 1
    filled_before = torch.cat([deficit.new_zeros(1), deficit[:-1]])
    alias[light] = heavy[torch.searchsorted(surplus, filled_before).clamp(max=last)]
    first_short = torch.searchsorted(deficit, surplus[:last], right=True)  # the light column that exhausts it
    short = first_short < len(light)
    overdrawn = deficit[first_short.clamp(max=len(light) - 1)] - surplus[:last]
    keep[heavy[:last][short]] = 1 - overdrawn[short]
    alias[heavy[:last][short]] = heavy[1:][short]
    return keep, alias


def alias_draw(keep: Tensor, alias: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Draw independent words [*shape] from the table (keep [V], alias [V]), with torch's generator."""
    column = torch.randint(len(keep), shape, device=keep.device)
    stays = torch.rand(shape, device=keep.device, dtype=keep.dtype) < keep[column]
    return torch.where(stays, column, alias[column])
