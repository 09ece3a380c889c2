"""Stand in for the recording of a CUDA graph, on a CPU."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lm_plugins.tasks.cuda_graphs import Outputs


def tensors(nest: Any) -> list[Tensor]:
    """Return the tensors in nested dicts, tuples and lists."""
    if torch.is_tensor(nest):
        return [nest]
    values = nest.values() if isinstance(nest, dict) else nest if isinstance(nest, tuple | list) else ()
    return [tensor for value in values for tensor in tensors(value)]


def rerun(run: Callable[[], Outputs], pool: Any) -> tuple[Outputs, Callable[[], None]]:
    """Record without consuming random numbers; a replay writes into the recording's outputs."""
    state = torch.get_rng_state()
    outputs = run()
    torch.set_rng_state(state)

    def replay() -> None:
        for recorded, computed in zip(tensors(outputs), tensors(run()), strict=True):
            recorded.data.copy_(computed)

    return outputs, replay
