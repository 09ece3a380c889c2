"""Test whether the Triton kernels run on this machine and agree with the definition."""

import functools
import logging
from collections.abc import Callable

import torch
from torch import Tensor

from lm_plugins.ops.fo_pooling.autograd import Kernels, fo_pooling
from lm_plugins.ops.fo_pooling.naive import fo_pooling as naive

logger = logging.getLogger(__name__)


def why_no_triton(gates: Tensor, asked: bool) -> str | None:
    """Return why the Triton kernels cannot pool `gates`.

    On a CPU Triton interprets them, which is slow, so they run there only if they are `asked` for.
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
    """Return whether `kernels` run on `device` and agree with the definition; warn if they do not.

    The check covers what a model needs: both precisions of the gates, with and without zoneout and resets. It
    also works under ``torch.no_grad``, where an evaluation pools for the first time.
    """
    try:
        with torch.inference_mode(False), torch.enable_grad():
            for dtype, masked in ((torch.float32, False), (torch.bfloat16, True)):
                expected = _pooled(naive, dtype, masked, device)
                torch.testing.assert_close(
                    _pooled(functools.partial(fo_pooling, kernels), dtype, masked, device),
                    expected,
                    rtol=1e-3 if dtype == torch.float32 else 2e-2,
                    atol=1e-4 if dtype == torch.float32 else 1e-2,
                )
    except Exception as error:  # whatever a compiler or driver raises: training continues in PyTorch
        logger.warning(f"the QRNN kernels for {device} do not work here, falling back to PyTorch: {error}")
        return False
    return True


def _pooled(pool: Callable, dtype: torch.dtype, masked: bool, device: str) -> list[Tensor]:
    """Return h, c_T and the gates' gradient of a small example, which is the same for every `pool`."""
    steps, streams, units = 3, 2, 5
    generator = torch.Generator("cpu").manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device="cpu")

    gates = draw(steps, streams, 3 * units).to(device, dtype).requires_grad_()
    c0 = draw(streams, units).to(device)
    mask, reset = (draw(steps, streams, units) > 0).to(device), (draw(steps, streams) > 0).to(device)
    h, last = pool(gates, c0, mask if masked else 1.0, reset if masked else None)
    (grad,) = torch.autograd.grad(h.sum() + last.pow(2).sum(), gates)
    return [h.detach(), last.detach(), grad]
