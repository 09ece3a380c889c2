"""The weight-dropped LSTM layer of AWD-LSTM (Merity et al. 2017, arXiv:1708.02182)."""

import torch
from torch import Tensor

from lm_plugins.modules.dropout_mask import check_probability, stream_mask
from lm_plugins.modules.weight_drop import WeightDropLayer
from lm_plugins.ops.lstm import lstm
from lm_plugins.ops.resets import Resets

State = tuple[Tensor, Tensor]  # (h [B, H], c [B, N])


class WeightDropLSTM(WeightDropLayer):
    """An LSTM layer with DropConnect and an optional projection; see :mod:`lm_plugins.ops.lstm`.

    Args:
        input_size: D
        hidden_size: H
        memory_cells: N, whose outputs are projected to H (LSTMP, Sak et al. 2014, arXiv:1402.1128; torch's
            hidden_size, H being its proj_size); None: H cells and no projection
        weight_dropout: on U, hidden to hidden (AWD-LSTM; OpenSeq2Seq: 1 - recurrent_weight_keep_prob)
        input_weight_dropout: on W, input to hidden (OpenSeq2Seq: 1 - input_weight_keep_prob)
        candidate_dropout: on the candidate g, with a new mask at each step (OpenSeq2Seq: 1 -
            recurrent_keep_prob). Training then uses a step-by-step loop in place of torch's fused LSTM.
        forget_bias: added to the initial bias of the forget gate
        init_range: half-width of the uniform distribution of the initial parameters; None: 1 / sqrt(N), as in
            torch.nn.LSTM

    Raises:
        ValueError: a probability is not in [0, 1), or `memory_cells` does not exceed `hidden_size`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        memory_cells: int | None = None,
        weight_dropout: float = 0.0,
        input_weight_dropout: float = 0.0,
        candidate_dropout: float = 0.0,
        forget_bias: float = 0.0,
        init_range: float | None = None,
    ):
        if memory_cells is not None and memory_cells <= hidden_size:
            raise ValueError(
                f"an LSTM with a projection needs more memory cells than outputs, not {memory_cells} for "
                f"{hidden_size}"
            )
        cells = memory_cells or hidden_size
        shapes = {
            **self.matrix_shapes(input_size, hidden_size, cells),
            "bias_ih_l0": (4 * cells,),
            "bias_hh_l0": (4 * cells,),
        }
        if memory_cells:
            shapes["weight_hr_l0"] = (hidden_size, cells)  # P, as torch.nn.LSTM names it
        super().__init__(
            shapes,
            cells,
            weight_dropout=weight_dropout,
            input_weight_dropout=input_weight_dropout,
            init_range=init_range,
        )
        self.hidden_size, self.cells, self.projects = hidden_size, cells, memory_cells is not None
        self.candidate_dropout = check_probability(candidate_dropout, "candidate_dropout")
        with torch.no_grad():
            self.bias_ih_l0[cells : 2 * cells] += forget_bias

    def matrix_shapes(self, input_size: int, hidden_size: int, cells: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the parameters that W and U consist of."""
        return {"weight_ih_l0": (4 * cells, input_size), "weight_hh_l0": (4 * cells, hidden_size)}

    def initial_state(self, batch_size: int) -> State:
        """Return zeros (h [B, H], c [B, N])."""
        sizes = (self.hidden_size, self.cells)
        h, c = (self.bias_hh_l0.new_zeros(batch_size, size) for size in sizes)
        return h, c

    def forward(
        self,
        x: Tensor,  # [T, B, D]
        state: State | None = None,
        reset: Resets | None = None,
    ) -> tuple[Tensor, State]:
        """Return (h [T, B, H], new state)."""
        weights = (*self.dropped_matrices(), self.bias_ih_l0, self.bias_hh_l0)
        if self.projects:
            weights = (*weights, self.weight_hr_l0)
        mask = candidate_mask(x, self.cells, self.candidate_dropout) if self.training else None
        state = self.initial_state(x.size(1)) if state is None else state
        return lstm(x, state, weights, mask, reset)


def candidate_mask(x: Tensor, cells: int, p: float) -> Tensor | None:
    """Draw a mask [T, B, N] for the candidates of the inputs x [T, B, D]; return None if `p` is 0."""
    if not p:
        return None
    return stream_mask(x.new_empty(()).expand(*x.shape[:2], cells), p, x.size(0))
