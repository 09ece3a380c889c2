"""CUDA graphs by running again: a recording keeps each op with its tensors, and a replay computes them again.

As on a GPU, a recording must not make the host wait, and a replay writes into the tensors of the recording.
Other than there, the ops are computed while they are recorded; the state of the random generator is put back.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves

from tests.helpers.pretended_gpu.record import Record
from tests.helpers.pretended_gpu.tensors import GPUTensor

Op = tuple[Callable[[], Any], Any]  # computes it again, and the result while it was recorded


class Graph:
    """Stand in for ``torch.cuda.CUDAGraph``."""

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def replay(self) -> None:
        """Compute all ops again, with new random numbers."""
        with _disable_current_modes(), torch.no_grad():
            for compute, result in self.ops:
                again = compute()
                for old, new in zip(tensors(result), tensors(again), strict=True):
                    if old.data_ptr() != new.data_ptr():  # neither a view nor an op in place
                        old.detach().copy_(new)


class Recorder:
    """Stand in for ``torch.cuda.graph``; all graphs of a process share it."""

    def __init__(self, record: Record) -> None:
        self.record, self.graph = record, None

    @contextlib.contextmanager
    def recording(self, graph: Graph, **options: Any) -> Iterator[None]:
        """Record what runs in the block into `graph`.

        Raises:
            RuntimeError: the host waits in the block.
        """
        waits, state = self.record.waits.total(), torch.get_rng_state()
        self.graph = graph
        try:
            yield
        finally:
            self.graph = None
        torch.set_rng_state(state)
        if self.record.waits.total() > waits:
            raise RuntimeError("operation not permitted when stream is capturing")

    def add(self, compute: Callable[[], Any], result: Any) -> None:
        """Note an op, if a graph is being recorded."""
        if self.graph is not None:
            self.graph.ops.append((compute, result))


def tensors(nest: Any) -> list[Tensor]:
    """Return the CPU tensors in `nest`, inside of GPU tensors."""
    leaves = (leaf for leaf in tree_leaves(nest) if isinstance(leaf, Tensor))
    return [leaf.inner if isinstance(leaf, GPUTensor) else leaf for leaf in leaves]
