"""fo_pooling as one autograd node around a pair of kernels; it keeps the gates and c.

Backward, with s the sigmoid, f = m s, and g_t = o_t dL/dh_t + (1 - f_{t+1}) g_{t+1}:

    dz_t = g_t f_t (1 - z_t^2)    df_t = g_t (z_t - c_{t-1}) f_t (1 - s_t)
    do_t = dL/dh_t c_t o_t (1 - o_t)    dc0 = (1 - f_1) g_1
"""

import torch


class FoPooling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kernels, gates, c0, mask, factor, reset, overwrite):
        keep = any(ctx.needs_input_grad)
        h, last, kept = kernels.forward(gates, c0, mask, factor, reset, keep, overwrite)
        if keep:
            if overwrite:  # whoever needs the gates after all gets autograd's error, not wrong numbers
                torch.autograd.graph.increment_version(gates)
            ctx.save_for_backward(gates, c0, mask, reset, kept)
            ctx.kernels, ctx.factor, ctx.overwrite = kernels, factor, overwrite
        return h, last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_h, grad_last):
        gates, c0, mask, reset, kept = ctx.saved_tensors
        given = (gates, c0, mask, ctx.factor, reset, kept, grad_h.contiguous(), grad_last.contiguous())
        grad_gates = gates.detach() if ctx.overwrite else torch.empty_like(gates)
        grad_c0 = ctx.kernels.backward(*given, grad_gates)
        if ctx.overwrite:
            torch.autograd.graph.increment_version(gates)
        return None, grad_gates, grad_c0, None, None, None, None


def fo_pooling(kernels, gates, c0, f_factor, reset, overwrite=False):
    mask, factor = (f_factor.contiguous(), 1.0) if torch.is_tensor(f_factor) else (None, float(f_factor))
    reset = None if reset is None else reset.contiguous()
    taken, state = (part.contiguous() for part in kernels.prepare(gates, c0))
    overwrite = overwrite or taken.data_ptr() != gates.data_ptr()  # a copy is ours
    h, last = FoPooling.apply(kernels, taken, state, mask, factor, reset, overwrite)
    return h.to(c0.dtype), last.to(c0.dtype)
