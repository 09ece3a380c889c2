"""Dropout masks over streams that do not depend on how many processes share the streams.

fairseq gives every rank the same random state at each update. A mask of weights or of words must
come out the same on all ranks, and does. A mask of streams must not: it is drawn for the streams of
all ranks, and each rank takes the rows of its own. Then the ranks' random states stay in step, and
2 processes of B/2 streams train like 1 process of B streams, dropout included.
"""

from lm_plugins.ops.dropout import dropout
from lm_plugins.ranks import rank_and_world


def stream_mask(x, p, steps):
    """Bernoulli(1 - p) / (1 - p) for this rank's rows of x.

    Args:
        x: [T, B, C], read for its sizes, dtype and device
        p: probability of a zero
        steps: T, or 1 for a mask that all steps share

    Returns:
        [steps, B, C]
    """
    rank, world = rank_and_world()
    streams = x.size(1)
    mask = dropout(x.new_ones(steps, streams * world, x.size(2)), p)
    return mask[:, rank * streams : (rank + 1) * streams]


def check_probability(p, name):
    if not 0 <= p < 1:
        raise ValueError(f"{name} is {p}: a dropout probability must be at least 0 and below 1")
    return p
