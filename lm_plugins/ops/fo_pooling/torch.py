"""fo_pooling in torch alone, for machines without the kernels.

The recurrence is one autograd node: two fused operations a step, in place, and no graph of T nodes.
Backward, with g_t = dL/dc_t + (1 - f_{t+1}) g_{t+1}:

    dz_t = f_t g_t        df_t = (z_t - c_{t-1}) g_t        dc0 = (1 - f_1) g_1
"""

import torch
from torch import Tensor


class ForgetMult(torch.autograd.Function):
    """c_t = f_t * z_t + (1 - f_t) * c_{t-1}, for z, f and c of [T, B, H]."""

    @staticmethod
    def forward(ctx, z: Tensor, f: Tensor, c0: Tensor) -> Tensor:
        c = torch.empty_like(z, memory_format=torch.contiguous_format)
        previous = c0
        for z_t, f_t, c_t in zip(z.unbind(), f.unbind(), c.unbind(), strict=True):
            previous = torch.lerp(previous, z_t, f_t, out=c_t)
        ctx.save_for_backward(z, f, c0, c)
        return c

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_c: Tensor) -> tuple[Tensor | None, ...]:
        z, f, c0, c = ctx.saved_tensors
        g = torch.empty_like(c)
        carry = torch.zeros_like(c0)  # (1 - f_{t+1}) g_{t+1}
        for grad_t, f_t, g_t in zip(
            reversed(grad_c.unbind()), reversed(f.unbind()), reversed(g.unbind()), strict=True
        ):
            torch.add(grad_t, carry, out=g_t)
            torch.addcmul(g_t, f_t, g_t, value=-1, out=carry)
        change = z - torch.cat([c0.unsqueeze(0), c[:-1]])
        return g * f, change.mul_(g), carry


def fo_pooling(
    gates: Tensor,  # [T, B, 3 H]
    c0: Tensor,  # [B, H]
    f_factor: float | Tensor,  # [T, B, H]
    reset: Tensor | None,  # [T, B]
) -> tuple[Tensor, Tensor]:  # [T, B, H], [B, H]
    z, f, o = gates.to(c0.dtype).chunk(3, dim=-1)
    if not len(z):
        return torch.empty_like(z), c0
    z, f, o = torch.tanh(z), torch.sigmoid(f), torch.sigmoid(o)
    if not isinstance(f_factor, float) or f_factor != 1:
        f = f * f_factor
    if reset is not None:  # f z + 0 c is 1 (f z) + (1 - 1) c
        start = reset.unsqueeze(-1)
        z, f = torch.where(start, f * z, z), f.masked_fill(start, 1)
    c = ForgetMult.apply(z, f, c0)
    return o * c, c[-1].clone()
