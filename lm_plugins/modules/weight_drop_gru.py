"""The weight-dropped GRU layer, the third model of awd-lstm-lm."""

from torch import Tensor

from lm_plugins.modules.weight_drop import WeightDropLayer
from lm_plugins.ops.gru import gru
from lm_plugins.ops.resets import Resets

State = tuple[Tensor]  # (h [B, H],)


class WeightDropGRU(WeightDropLayer):
    """A GRU layer with DropConnect on U; see :mod:`lm_plugins.ops.gru`.

    Args:
        input_size: D
        hidden_size: H
        options: further arguments of :class:`WeightDropLayer`
    """

    def __init__(self, input_size: int, hidden_size: int, **options):
        shapes = {
            "weight_ih_l0": (3 * hidden_size, input_size),
            "weight_hh_l0": (3 * hidden_size, hidden_size),
            "bias_ih_l0": (3 * hidden_size,),
            "bias_hh_l0": (3 * hidden_size,),
        }
        super().__init__(shapes, hidden_size, **options)
        self.hidden_size = hidden_size

    def initial_state(self, batch_size: int) -> State:
        """Return zeros (h [B, H],)."""
        return (self.bias_hh_l0.new_zeros(batch_size, self.hidden_size),)

    def forward(
        self,
        x: Tensor,  # [T, B, D]
        state: State | None = None,
        reset: Resets | None = None,
    ) -> tuple[Tensor, State]:
        """Return (h [T, B, H], new state)."""
        weights = (*self.dropped_matrices(), self.bias_ih_l0, self.bias_hh_l0)
        state = self.initial_state(x.size(1)) if state is None else state
        return gru(x, state, weights, reset)
