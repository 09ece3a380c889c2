"""The part of fairseq's half precision that its checkpoints lack.

With --fp16 the optimizer updates float32 weights, and the model holds rounded copies of them. fairseq saves
the copies alone. Of the loss scale it saves the value, but not the counters that decide when it next changes.
"""

from collections.abc import Mapping
from typing import Any, Optional

import torch
from fairseq.optim import FairseqOptimizer
from torch.nn import Parameter

from lm_plugins.optim.averaged_sgd import is_averaging

COUNTERS = ("_iter", "_last_overflow_iter", "_last_rescale_iter", "_overflows_since_rescale")


def half_precision_state(optimizer: Optional[FairseqOptimizer]) -> dict[str, Any]:
    """Return the float32 weights, on the CPU, and the counters of the loss scale; without --fp16, {}.

    The weights are left out for an optimizer that averages, because its own state has the iterates, and for
    --memory-efficient-fp16, where the model holds all there is.
    """
    state, scaler = {}, getattr(optimizer, "scaler", None)
    if hasattr(optimizer, "fp32_params") and is_averaging(optimizer) is None:
        state["weights"] = [p.data.cpu() for p in _float32_weights(optimizer)]
    if scaler is not None:
        state["loss_scale"] = {name: getattr(scaler, name) for name in COUNTERS}
    return state


@torch.no_grad()
def load_half_precision_state(optimizer: FairseqOptimizer, state: Mapping[str, Any]) -> None:
    """Restore what :func:`half_precision_state` returned. The model already holds its rounded copies."""
    if "weights" in state:
        for p, saved in zip(_float32_weights(optimizer), state["weights"], strict=True):
            p.copy_(saved)
    for name, value in state.get("loss_scale", {}).items():
        setattr(optimizer.scaler, name, value)


def _float32_weights(optimizer: FairseqOptimizer) -> list[Parameter]:
    """Return one tensor per parameter, or one per device if fairseq flattens them."""
    weights = optimizer.fp32_params
    return list(weights.values() if isinstance(weights, dict) else weights)
