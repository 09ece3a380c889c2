"""Whether the Triton kernels run on this machine and compute what the definition does."""

import functools
import logging

import torch
from torch import Tensor

from lm_plugins.ops.fo_pooling.autograd import Kernels, fo_pooling
from lm_plugins.ops.fo_pooling.naive import fo_pooling as naive

logger = logging.getLogger(__name__)


def why_no_triton(gates: Tensor, asked: bool) -> str | None:
    """Return why the Triton kernels cannot pool `gates`.

    On a CPU Triton interprets them, which is slow: only if they are `asked` for.
    """
    if not gates.is_cuda and not asked:
        return "the Triton kernels take tensors on a GPU"
    return None if triton_kernels() else "the Triton kernels are not available here"


@functools.cache
def triton_kernels() -> Kernels | None:
    """Import the Triton kernels, which takes seconds; return None if they are missing or wrong."""
    try:
        from lm_plugins.ops.fo_pooling import triton as kernels
    except ImportError:
        return None
    if torch.cuda.is_available() and not agrees(kernels, "cuda"):
        return None
    return kernels


def agrees(kernels: Kernels, device: str) -> bool:
    """Return whether `kernels` run here and agree with the definition; log a warning if they do not."""
    generator = torch.Generator().manual_seed(1)
    gates, c0 = (
        torch.randn(shape, generator=generator, device="cpu").to(device) for shape in ((3, 2, 15), (2, 5))
    )
    results = []
    try:
        with torch.enable_grad():
            for pool in (functools.partial(fo_pooling, kernels), naive):
                leaf = gates.clone().requires_grad_()
                h, c = pool(leaf, c0, 1.0, None)
                loss = h.sum() + c.pow(2).sum()
                results.append([h.detach(), c.detach(), *torch.autograd.grad(loss, leaf)])
        torch.testing.assert_close(*results, rtol=1e-3, atol=1e-4)
    except Exception as error:  # whatever a compiler or a driver raises: training continues in torch
        logger.warning(f"the QRNN kernels for {device} do not work here, falling back to PyTorch: {error}")
        return False
    return True
