"""The LSTM with a candidate mask, which neither cuDNN nor oneDNN supports.

It is one autograd node with an explicit backward pass. A step costs one matrix product and a few fused
element-wise operations in each direction, and no graph of T steps is built. The product with x and that for
the gradient of U are computed once for the whole window.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


class MaskedLSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        projected: Tensor,  # W x + b, [T, B, 4N]
        h0: Tensor,  # [B, H]
        c0: Tensor,  # [B, N]
        u: Tensor,  # [4N, H]
        mask: Tensor,  # [T, B, N]
        keep: Tensor | None,  # [T, B, 1], 0 where the state is reset
        p: Tensor | None,  # [H, N]
    ) -> tuple[Tensor, Tensor]:  # [T, B, H], [B, N]
        gates = projected.clone()  # becomes i, f, g, o after their non-linearities
        h, c = (projected.new_empty(len(gates) + 1, *start.shape) for start in (h0, c0))
        h[0], c[0] = h0, c0
        for t, step in enumerate(gates):
            step.addmm_(h[t] if keep is None else h[t] * keep[t], u.T)
            i, f, g, o = step.chunk(4, dim=1)
            i.sigmoid_(), f.sigmoid_(), g.tanh_(), o.sigmoid_()
            torch.mul(f, c[t] if keep is None else c[t] * keep[t], out=c[t + 1])
            c[t + 1].addcmul_(i, g * mask[t])
            if p is None:
                torch.mul(o, torch.tanh(c[t + 1]), out=h[t + 1])
            else:
                torch.mm(o * torch.tanh(c[t + 1]), p.T, out=h[t + 1])
        ctx.save_for_backward(gates, h, c, u, mask, keep, p)
        return h[1:], c[-1].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_h: Tensor, grad_c: Tensor) -> tuple[Tensor | None, ...]:
        gates, h, c, u, mask, keep, p = ctx.saved_tensors
        h_in, c_in = (h[:-1], c[:-1]) if keep is None else (h[:-1] * keep, c[:-1] * keep)
        grad_gates = torch.empty_like(gates)
        grad_output = None if p is None else torch.empty_like(h_in)  # of h_t, over all paths
        dh, dc = torch.zeros_like(h[0]), grad_c.clone()
        for t in range(len(gates) - 1, -1, -1):
            i, f, g, o = gates[t].chunk(4, dim=1)
            di, df, dg, do = grad_gates[t].chunk(4, dim=1)
            dh = dh + grad_h[t]
            if p is not None:
                grad_output[t] = dh
                dh = dh @ p
            tanh_c = torch.tanh(c[t + 1])
            dc = dc + dh * o * (1 - tanh_c * tanh_c)
            di.copy_(dc * g * mask[t] * i * (1 - i))
            df.copy_(dc * c_in[t] * f * (1 - f))
            dg.copy_(dc * i * mask[t] * (1 - g * g))
            do.copy_(dh * tanh_c * o * (1 - o))
            dc = dc * f
            dh = grad_gates[t] @ u
            if keep is not None:
                dh, dc = dh * keep[t], dc * keep[t]
        du = grad_gates.flatten(0, 1).T @ h_in.flatten(0, 1)
        dp = None
        if p is not None:
            cells = gates.chunk(4, dim=2)[3] * torch.tanh(c[1:])
            dp = grad_output.flatten(0, 1).T @ cells.flatten(0, 1)
        return grad_gates, dh, dc, du, None, None, dp


def lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H], [B, N]
    weights: tuple[Tensor, ...],  # [4N, D], [4N, H], [4N], [4N] and optionally [H, N]
    candidate_mask: Tensor | None = None,  # [T, B, N]
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], ([B, H], [B, N])
    (h, c), (w, u, b_ih, b_hh, *projection) = state, weights
    projected = F.linear(x, w, b_ih + b_hh).to(h.dtype)  # the recurrence is not autocast
    if candidate_mask is None:
        candidate_mask = projected.new_ones(()).expand(*x.shape[:2], c.size(1))
    keep = None if reset is None else reset.logical_not().unsqueeze(-1).to(projected.dtype)
    p = projection[0] if projection else None
    y, c = MaskedLSTM.apply(projected, h, c, u, candidate_mask, keep, p)
    return y, (y[-1].clone(), c)
