"""The simple recurrent layer (Elman 1990), with DropConnect."""

from torch import Tensor

from lm_plugins.modules.weight_drop import WeightDropLayer
from lm_plugins.ops.resets import Resets
from lm_plugins.ops.simple_rnn import simple_rnn

NONLINEARITIES = ("sigmoid", "tanh")
State = tuple[Tensor]  # (h [B, H],)


class SimpleRNN(WeightDropLayer):
    """A simple recurrent layer with DropConnect on U; see :mod:`lm_plugins.ops.simple_rnn`.

    Args:
        input_size: D
        hidden_size: H
        nonlinearity: "sigmoid" or "tanh"
        options: further arguments of :class:`WeightDropLayer`

    Raises:
        ValueError: there is no such non-linearity, or an option is out of range.
    """

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str = "sigmoid", **options):
        if nonlinearity not in NONLINEARITIES:
            raise ValueError(f"unknown non-linearity '{nonlinearity}': choose from {NONLINEARITIES}")
        shapes = {
            "weight_ih_l0": (hidden_size, input_size),
            "weight_hh_l0": (hidden_size, hidden_size),
            "bias_ih_l0": (hidden_size,),
            "bias_hh_l0": (hidden_size,),
        }
        super().__init__(shapes, hidden_size, **options)
        self.hidden_size, self.nonlinearity = hidden_size, nonlinearity

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
        return simple_rnn(x, state, weights, reset, nonlinearity=self.nonlinearity)
