"""Head: the output layer of a model, from the features of its last layer to probabilities of words."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Head(nn.Module):
    """The base class of all heads; a subclass implements :meth:`log_prob` and :meth:`nll`.

    Both compute in float32 at least, and in nats.

    Args:
        padding_idx: targets that are not scored; None: all targets are scored
    """

    def __init__(self, padding_idx: int | None = None):
        super().__init__()
        self.padding_idx = padding_idx

    def log_prob(self, features: Tensor) -> Tensor:
        """Return ln p over the whole vocabulary, normalised: features [..., C] -> [..., V]."""
        raise NotImplementedError

    def nll(self, features: Tensor, target: Tensor) -> Tensor:
        """Return -ln p(target), without [..., V] in memory.

        Args:
            features: [..., C]
            target: [...] ids

        Returns:
            [...]; zero, without a gradient, where the target is `padding_idx`
        """
        raise NotImplementedError

    def host_facts(self, target: Any) -> dict[str, Any]:
        """Return further arguments of :meth:`nll`, computed from the targets in the host's memory.

        Without them `nll` must return the same result, but it may have to wait for a GPU.

        Args:
            target: ids, a NumPy array [...]; None: they are not known
        """
        return {}


# A loss of each target, in nats: (head, features [T, B, C], target [T, B]) -> [T, B].
Loss = Callable[[Head, Tensor, Tensor], Tensor]
