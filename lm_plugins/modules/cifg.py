"""The LSTM layer with coupled input and forget gates, CIFG (Greff et al. 2015, arXiv:1503.04069)."""

import torch
from torch import Tensor

from lm_plugins.modules.weight_drop import WeightDropLayer
from lm_plugins.ops.cifg import cifg
from lm_plugins.ops.resets import Resets

State = tuple[Tensor, Tensor]  # (h [B, H], c [B, N])


class CIFGLayer(WeightDropLayer):
    """A CIFG layer with DropConnect on U and an optional projection; see :mod:`lm_plugins.ops.cifg`.

    It has 3N (D + H + 1) parameters, and N H more with a projection.

    Args:
        input_size: D
        hidden_size: H
        memory_cells: N, whose outputs are projected to H; None: H cells and no projection
        forget_bias: added to the initial bias of the forget gate
        options: further arguments of :class:`WeightDropLayer`

    Raises:
        ValueError: a probability is not in [0, 1), or `memory_cells` does not exceed `hidden_size`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        memory_cells: int | None = None,
        forget_bias: float = 0.0,
        **options: float | None,
    ):
        if memory_cells is not None and memory_cells <= hidden_size:
            raise ValueError(
                f"a CIFG with a projection needs more memory cells than outputs, not {memory_cells} for "
                f"{hidden_size}"
            )
        cells = memory_cells or hidden_size
        shapes = {
            "weight_ih_l0": (3 * cells, input_size),
            "weight_hh_l0": (3 * cells, hidden_size),
            "bias_l0": (3 * cells,),
        }
        if memory_cells:
            shapes["weight_hr_l0"] = (hidden_size, cells)
        super().__init__(shapes, cells, **options)
        self.hidden_size, self.cells, self.projects = hidden_size, cells, memory_cells is not None
        with torch.no_grad():
            self.bias_l0[:cells] += forget_bias

    def initial_state(self, batch_size: int) -> State:
        """Return zeros (h [B, H], c [B, N])."""
        h, c = (self.bias_l0.new_zeros(batch_size, size) for size in (self.hidden_size, self.cells))
        return h, c

    def forward(
        self,
        x: Tensor,  # [T, B, D]
        state: State | None = None,
        reset: Resets | None = None,
    ) -> tuple[Tensor, State]:
        """Return (h [T, B, H], new state)."""
        weights = (*self.dropped_matrices(), self.bias_l0)
        if self.projects:
            weights = (*weights, self.weight_hr_l0)
        state = self.initial_state(x.size(1)) if state is None else state
        return cifg(x, state, weights, reset)
