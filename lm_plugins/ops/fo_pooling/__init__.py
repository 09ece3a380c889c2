"""fo_pooling: all of a QRNN layer behind its matrix product (Bradbury et al. 2016, arXiv:1611.01576)."""

import functools
import logging

import torch

from lm_plugins.ops import cpu_kernels
from lm_plugins.ops.fo_pooling import cpu
from lm_plugins.ops.fo_pooling.fused import fo_pooling as fused
from lm_plugins.ops.fo_pooling.naive import fo_pooling as naive
from lm_plugins.ops.fo_pooling.sequential import fo_pooling as sequential

logger = logging.getLogger(__name__)

IMPLEMENTATIONS = ("naive", "sequential", "cpu", "triton")


def fo_pooling(gates, c0, f_factor=1.0, reset=None, *, impl=None, overwrite=False):
    """Activations, recurrence and output gate.

        z_t = tanh(.)    f_t = m_t * sigmoid(.)    o_t = sigmoid(.)
        c_t = f_t * z_t + (1 - f_t) * c_{t-1}      h_t = o_t * c_t

    where reset_t is True, c_{t-1} is taken for zero. f lets the new value in, as in torchqrnn; it is one
    minus the forget gate of the paper. All is computed in the precision of c0, by the kernels at least
    in float32.

    Args:
        gates: before the activations, z | f | o, [T, B, 3 H]
        c0: state before the first step, [B, H]
        f_factor: m, a number or a bool mask [T, B, H]: zoneout
        reset: [T, B] bool; None: nowhere
        impl: one of IMPLEMENTATIONS; None: triton on a GPU, cpu on a CPU, sequential where these are
            missing
        overwrite: nobody needs the gates after this: the kernels may write c and then the gates' gradient
            into their memory, which on a CPU saves as much of it and half of the time

    Returns:
        (h [T, B, H], c_T [B, H]), with the dtype of c0

    Raises:
        ValueError: shapes or devices that do not fit, a mask that is not bool, or an unknown `impl`.
        RuntimeError: the kernels of `impl` are not there.
    """
    shape = (*gates.shape[:2], c0.size(-1))
    mask = f_factor if torch.is_tensor(f_factor) else None
    if gates.dim() != 3 or c0.shape != shape[1:] or gates.size(2) != 3 * shape[2]:
        raise ValueError(
            f"fo_pooling expects gates [T, B, 3 H] and c0 [B, H], not {tuple(gates.shape)} and "
            f"{tuple(c0.shape)}"
        )
    for name, given, wanted in (("f_factor", mask, shape), ("reset", reset, shape[:2])):
        if given is not None and (given.shape != wanted or given.dtype != torch.bool):
            raise ValueError(
                f"fo_pooling expects a bool mask of shape {wanted} as {name}, not {given.dtype} of shape "
                f"{tuple(given.shape)}"
            )
    devices = {part.device for part in (gates, c0, mask, reset) if part is not None}
    if len(devices) > 1 or (impl == "cpu" and gates.device.type != "cpu"):
        raise ValueError(
            f"fo_pooling expects all tensors on one device, and for impl 'cpu' on a CPU, not on {devices}"
        )
    if impl is not None and impl not in IMPLEMENTATIONS:
        raise ValueError(f"fo_pooling has no impl '{impl}': choose from {IMPLEMENTATIONS}")
    impl = impl or best(gates.device.type)
    if not len(gates) or impl == "naive":
        return naive(gates, c0, f_factor, reset)
    if impl == "sequential":
        return sequential(gates, c0, f_factor, reset)
    kernels = cpu if impl == "cpu" else of_triton()
    if kernels is None or (impl == "cpu" and cpu_kernels.library() is None):
        missing = cpu_kernels.MISSING if impl == "cpu" else "the Triton kernels are not available here"
        raise RuntimeError(f"fo_pooling: {missing}")
    return fused(kernels, gates, c0, f_factor, reset, overwrite)


def best(device):
    if device == "cuda" and of_triton() is not None:
        return "triton"
    return "cpu" if device == "cpu" and cpu_kernels.library() is not None else "sequential"


@functools.cache
def of_triton():
    """The kernels, imported when first used, which takes seconds; None if they are missing or wrong."""
    try:
        from lm_plugins.ops.fo_pooling import gpu
    except ImportError:
        return None
    if torch.cuda.is_available() and not agrees(gpu, "cuda"):
        return None
    return gpu


def agrees(kernels, device):
    """Return whether `kernels` run on `device` and agree with the definition; warn if they do not.

    The check covers what a model asks for: both precisions of the gates, with zoneout and resets and
    without. It holds under ``torch.no_grad`` too, where an evaluation pools for the first time.
    """
    try:
        with torch.inference_mode(False), torch.enable_grad():
            for dtype, masked in ((torch.float32, False), (torch.bfloat16, True)):
                expected = _pooled(naive, dtype, masked, device)
                torch.testing.assert_close(
                    _pooled(functools.partial(fused, kernels), dtype, masked, device),
                    expected,
                    rtol=1e-3 if dtype == torch.float32 else 2e-2,
                    atol=1e-4 if dtype == torch.float32 else 1e-2,
                )
    except Exception as error:  # whatever a compiler or driver raises: training continues in PyTorch
        logger.warning(f"the QRNN kernels for {device} do not work here, falling back to PyTorch: {error}")
        return False
    return True


def _pooled(pool, dtype, masked, device):
    """Return h, c_T and the gates' gradient of a small example drawn on the CPU, the same for every `pool`."""
    steps, streams, units = 3, 2, 5
    generator = torch.Generator("cpu").manual_seed(1)

    def draw(*shape):
        return torch.randn(shape, generator=generator, device="cpu")

    gates = draw(steps, streams, 3 * units).to(device, dtype).requires_grad_()
    c0 = draw(streams, units).to(device)
    mask, reset = (draw(steps, streams, units) > 0).to(device), (draw(steps, streams) > 0).to(device)
    h, last = pool(gates, c0, mask if masked else 1.0, reset if masked else None)
    (grad,) = torch.autograd.grad(h.sum() + last.pow(2).sum(), gates)
    return [h.detach(), last.detach(), grad]
