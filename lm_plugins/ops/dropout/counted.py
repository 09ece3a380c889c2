"""dropout as one autograd node that keeps its seed in place of its mask."""

import torch

from lm_plugins.ops.cpu_kernels import call
from lm_plugins.ops.dropout import naive


class CountedDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, p, seed, impl):
        ctx.how = (p, seed, impl)
        return run(x, *ctx.how)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return run(grad, *ctx.how), None, None, None


def run(x, p, seed, impl):
    x = x.contiguous()
    y = torch.empty_like(x)
    if impl == "naive":
        naive.dropout(x, p, seed, y)
    else:
        call("dropout_of", x.dtype, x, x.numel(), seed, naive.threshold(p), 1 / (1 - p), y)
    return y


def dropout(x, p, impl):
    seed = int(torch.randint(2**63 - 1, (), device="cpu"))  # with the random state that checkpoints keep
    return CountedDropout.apply(x, p, seed, impl)
