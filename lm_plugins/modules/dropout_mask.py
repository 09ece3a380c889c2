"""Dropout masks over streams that do not depend on the number of processes that share the streams.

fairseq gives every process the same random state at each update. Masks of weights and of words are therefore
the same on all processes. A mask over streams is drawn for the streams of all processes, and each process
takes its own. The random states then stay equal, and 2 processes of B/2 streams train like 1 process of B
streams, dropout included.
"""

from torch import Tensor

from lm_plugins.ops.dropout import dropout
from lm_plugins.ranks import rank_and_world


def stream_mask(x: Tensor, p: float, steps: int) -> Tensor:
    """Draw Bernoulli(1 - p) / (1 - p) for the streams of this process.

    Args:
        x: [T, B, C], whose sizes, dtype and device the mask has
        p: probability of a zero
        steps: T, or 1 for a mask that all steps share

    Returns:
        [steps, B, C]
    """
    rank, world = rank_and_world()
    streams = x.size(1)
    mask = dropout(x.new_ones(steps, streams * world, x.size(2)), p)
    return mask[:, rank * streams : (rank + 1) * streams]


def check_probability(p: float, name: str) -> float:
    """Return `p`, or raise a ValueError if it is not in [0, 1)."""
    if not 0 <= p < 1:
        raise ValueError(f"{name} is {p}: a dropout probability must be at least 0 and below 1")
    return p
