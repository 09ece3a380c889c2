"""recurrence: a loop over the steps of a window, which torch.export traces as one node for any length."""

from collections.abc import Callable

import torch
from torch import Tensor

State = tuple[Tensor, ...]  # [B, ...] each
Step = Callable[..., tuple[Tensor, State]]  # (state, an input [B, ...] of the step, ...) -> (output, state)


def recurrence(
    step: Step,
    state: State,
    inputs: tuple[Tensor, ...],  # [T, B, ...] each
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, State]:
    """Run `step` over the window, outside autocast: the recurrence has the precision of its state.

    Args:
        step: computes one step
        state: the state before the first step
        inputs: of the steps
        reset: True where the state is replaced by zeros before the step; None: nowhere

    Returns:
        (outputs [T, B, ...], state after the last step)
    """

    def run(state: State, resets: Tensor | None, *inputs: Tensor) -> tuple[Tensor, State]:
        if resets is not None:
            state = tuple(tensor.masked_fill(resets.unsqueeze(1), 0) for tensor in state)
        return step(state, *inputs)

    with torch.autocast(inputs[0].device.type, enabled=False):
        if torch.compiler.is_exporting() and isinstance(inputs[0].size(0), torch.SymInt):
            return _traced(run, state, inputs, reset)
        outputs = []
        for t, inputs_t in enumerate(zip(*inputs, strict=True)):
            output, state = run(state, None if reset is None else reset[t], *inputs_t)
            outputs.append(output)
        return torch.stack(outputs), state


def _traced(
    run: Step, state: State, inputs: tuple[Tensor, ...], reset: Tensor | None
) -> tuple[Tensor, State]:
    """Run :func:`recurrence` as a scan, because a loop would be unrolled for one length."""
    from torch._higher_order_ops.scan import scan  # not part of torch's public interface

    def combine(state: State, inputs: tuple[Tensor, ...]) -> tuple[State, Tensor]:
        resets = None if reset is None else inputs[-1]
        output, state = run(state, resets, *(inputs if reset is None else inputs[:-1]))
        return state, output.clone()  # a scan has no outputs that are views of its state

    state, outputs = scan(combine, tuple(state), inputs if reset is None else (*inputs, reset))
    return outputs, tuple(state)
