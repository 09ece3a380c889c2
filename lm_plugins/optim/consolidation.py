"""A hook that runs on every process before a checkpoint is saved."""

from collections.abc import Callable
from typing import Any, Optional

import torch
from fairseq.optim import FairseqOptimizer


class ConsolidatingOptimizer(torch.optim.Optimizer):
    """Delegate to `inner`, and call `consolidate` on every process before each checkpoint.

    fairseq builds a checkpoint on the first process alone. The only thing that all processes do before is
    ``trainer.consolidate_optimizer()``. It calls ``consolidate_state_dict`` of the torch optimizer if there
    is such a method, and nothing with --no-save-optimizer-state. fairseq itself wraps a torch optimizer in
    this way for ZeRO (fairseq/optim/shard.py).

    ``super().__init__`` is not called: parameters and state are those of `inner`.
    """

    def __init__(self, inner: torch.optim.Optimizer, consolidate: Callable[[], None]) -> None:
        self.inner, self.consolidate = inner, consolidate

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # not set yet, as in a copy
            raise AttributeError(name)
        return getattr(self.inner, name)

    def consolidate_state_dict(self) -> None:
        self.consolidate()
        if hasattr(self.inner, "consolidate_state_dict"):
            self.inner.consolidate_state_dict()

    def step(self, closure: Optional[Callable] = None, **options: Any) -> Any:
        return self.inner.step(closure, **options)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.inner.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.inner.load_state_dict(state_dict)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        self.inner.add_param_group(param_group)


def before_each_checkpoint(optimizer: FairseqOptimizer, consolidate: Callable[[], None]) -> None:
    """Have fairseq call `consolidate` on every process before each checkpoint. Calling this twice is safe."""
    if not isinstance(optimizer.optimizer, ConsolidatingOptimizer):
        optimizer.optimizer = ConsolidatingOptimizer(optimizer.optimizer, consolidate)


def torch_optimizer(optimizer: FairseqOptimizer) -> torch.optim.Optimizer:
    """Return the torch optimizer of `optimizer`, without the wrapper."""
    inner = optimizer.optimizer
    return inner.inner if isinstance(inner, ConsolidatingOptimizer) else inner
