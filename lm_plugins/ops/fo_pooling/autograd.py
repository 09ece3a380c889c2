"""fo_pooling as one autograd node that calls a pair of kernels; it stores the gates and c.

Backward, with s the sigmoid, f = m s, and g_t = o_t dL/dh_t + (1 - f_{t+1}) g_{t+1}:

    dz_t = g_t f_t (1 - z_t^2)    df_t = g_t (z_t - c_{t-1}) f_t (1 - s_t)
    do_t = dL/dh_t c_t o_t (1 - o_t)    dc0 = (1 - f_1) g_1
"""

from typing import Protocol

import torch
from torch import Tensor


class Kernels(Protocol):
    """The functions of a module of kernels: cpu.py and triton.py."""

    def prepare(self, gates: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
        """Return both in a dtype that the kernels take."""

    def forward(
        self,
        gates: Tensor,  # [T, B, 3 H]
        c0: Tensor,  # [B, H]
        mask: Tensor | None,  # [T, B, H]
        factor: float,
        reset: Tensor | None,  # [T, B]
        save: bool,
        overwrite: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return (h [T, B, H], c_T [B, H], c [T, B, H] if `save`); with `overwrite` c may overwrite z."""

    def backward(
        self,
        gates: Tensor,
        c0: Tensor,
        mask: Tensor | None,
        factor: float,
        reset: Tensor | None,
        c: Tensor,  # [T, B, H]
        grad_h: Tensor,  # [T, B, H]
        grad_c: Tensor,  # [B, H], of c_T
        grad_gates: Tensor,  # [T, B, 3 H]
    ) -> Tensor:
        """Write the gradient of the gates to `grad_gates`, which may be `gates`; return that of c0 [B, H]."""


class FoPooling(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        kernels: Kernels,
        gates: Tensor,  # [T, B, 3 H]
        c0: Tensor,  # [B, H]
        mask: Tensor | None,  # [T, B, H]
        factor: float,
        reset: Tensor | None,  # [T, B]
        overwrite: bool,
    ) -> tuple[Tensor, Tensor]:  # [T, B, H], [B, H]
        save = any(ctx.needs_input_grad)
        h, c_last, c = kernels.forward(gates, c0, mask, factor, reset, save, overwrite)
        if save:
            if overwrite:  # another use of the gates then raises autograd's error instead of being wrong
                torch.autograd.graph.increment_version(gates)
            ctx.save_for_backward(gates, c0, mask, reset, c)
            ctx.kernels, ctx.factor, ctx.overwrite = kernels, factor, overwrite
        return h, c_last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_h: Tensor, grad_c: Tensor) -> tuple[Tensor | None, ...]:
        gates, c0, mask, reset, c = ctx.saved_tensors
        inputs = (gates, c0, mask, ctx.factor, reset, c, grad_h.contiguous(), grad_c.contiguous())
        grad_gates = gates.detach() if ctx.overwrite else torch.empty_like(gates)
        grad_c0 = ctx.kernels.backward(*inputs, grad_gates)
        if ctx.overwrite:
            torch.autograd.graph.increment_version(gates)
        return None, grad_gates, grad_c0, None, None, None, None


def fo_pooling(
    kernels: Kernels,
    gates: Tensor,  # [T, B, 3 H]
    c0: Tensor,  # [B, H]
    f_factor: float | Tensor,  # [T, B, H]
    reset: Tensor | None,  # [T, B]
    overwrite: bool = False,
) -> tuple[Tensor, Tensor]:  # [T, B, H], [B, H]
    mask, factor = (f_factor.contiguous(), 1.0) if torch.is_tensor(f_factor) else (None, float(f_factor))
    reset = None if reset is None else reset.contiguous()
    prepared, state = (tensor.contiguous() for tensor in kernels.prepare(gates, c0))
    overwrite = overwrite or prepared.data_ptr() != gates.data_ptr()  # a copy is ours
    h, c_last = FoPooling.apply(kernels, prepared, state, mask, factor, reset, overwrite)
    return h.to(c0.dtype), c_last.to(c0.dtype)
