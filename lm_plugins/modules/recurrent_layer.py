"""The contract of a recurrent layer."""

from typing import Any

from torch import Tensor, nn

from lm_plugins.ops.resets import Resets

State = Any  # None, a tensor [B, ...], or a tuple, NamedTuple or list of states


class RecurrentLayer(nn.Module):
    """A layer that reads a window of T steps in B parallel streams.

        y, new_state = layer(x, state, reset)

    A subclass implements the two methods below, and follows these rules, on which exact resuming, independent
    sentences, mixed precision and training with several processes rely:

    - Splitting a window in two and passing the state on gives the same result.
    - The state has a row for each stream, and sizes that do not depend on the number of steps that were read:
      rows are selected, repeated and concatenated. A count is a tensor [B], not a number. Whatever a layer
      remembers from window to window is in the state, not in an attribute.
    - The state has the dtype of the weights. Under autocast, x may have a lower precision, and matrix
      products may use it; the recurrence is computed in the dtype of the state.
    - The old state is not changed in place, because a window may be run again. The tensors of the new state
      are new, not views of x or y: a view would keep the whole window in memory. (A decoder copies the state
      that it carries to the next window if it is a view.)
    - A dropout mask over streams is drawn by :func:`lm_plugins.modules.dropout_mask.stream_mask`, so that N
      processes train the same model as one. Weights are dropped by :func:`lm_plugins.ops.dropout.dropout`.
    """

    def initial_state(self, batch_size: int) -> State:
        """Return the state of `batch_size` streams before their first step, usually zeros [B, ...].

        It has the types that :meth:`forward` returns: a state that is read from a checkpoint gets them.
        """
        raise NotImplementedError

    def forward(
        self,
        x: Tensor,  # [T, B, D]
        state: State | None = None,
        reset: Resets | None = None,
    ) -> tuple[Tensor, State]:
        """Run the layer over a window.

        Args:
            x: inputs
            state: state before the first step; None: the initial state
            reset: ``reset.mask`` [T, B] is True where the state is reset to zeros before the step; None:
                nowhere

        Returns:
            (outputs [T, B, H], state after the last step)
        """
        raise NotImplementedError
