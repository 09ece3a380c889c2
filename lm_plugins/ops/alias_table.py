"""Drawing from a discrete distribution in constant time (Walker 1977, Vose 1991)."""

import torch


def alias_table(weights):
    """The alias table of `weights` [V], at least one of them positive, none negative.

    Column v holds word v with probability ``keep[v]``, else ``alias[v]``; all columns are equally
    likely. Built without a loop over V by the sweep of Huebschle-Schneider and Sanders (2019,
    arXiv:1903.00227): the light columns, in order, are filled up by the surplus of the heavy ones, in
    order; a heavy column that ends up short of one is filled by the next.

    Returns:
        (keep [V] in float64, alias [V])
    """
    load = weights.double() * (len(weights) / weights.double().sum())
    light, heavy = (load < 1).nonzero().squeeze(1), (load >= 1).nonzero().squeeze(1)
    deficit, surplus = (1 - load[light]).cumsum(0), (load[heavy] - 1).cumsum(0)
    keep, alias = load.clone(), torch.arange(len(weights), device=weights.device)
    keep[heavy] = 1.0
    if len(light) == 0 or len(heavy) == 0:  # nothing to fill, but for rounding
        return keep, alias
    last = len(heavy) - 1
    filled_before = torch.cat([deficit.new_zeros(1), deficit[:-1]])
    alias[light] = heavy[torch.searchsorted(surplus, filled_before).clamp(max=last)]
    first_short = torch.searchsorted(deficit, surplus[:last], right=True)  # the light one that overdraws it
    short = first_short < len(light)
    overdrawn = deficit[first_short.clamp(max=len(light) - 1)] - surplus[:last]
    keep[heavy[:last][short]] = 1 - overdrawn[short]
    alias[heavy[:last][short]] = heavy[1:][short]
    return keep, alias


def alias_draw(keep, alias, shape):
    """Independent draws, `shape`, with torch's random state."""
    column = torch.randint(len(keep), shape, device=keep.device)
    stays = torch.rand(shape, device=keep.device, dtype=keep.dtype) < keep[column]
    return torch.where(stays, column, alias[column])
