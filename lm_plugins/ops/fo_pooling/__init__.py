"""fo_pooling: a QRNN layer without its matrix product (Bradbury et al. 2016, arXiv:1611.01576)."""

from torch import Tensor

from lm_plugins.ops import cpu_kernels
from lm_plugins.ops.dispatch import choose
from lm_plugins.ops.fo_pooling import cpu, self_test
from lm_plugins.ops.fo_pooling.autograd import fo_pooling as with_kernels
from lm_plugins.ops.fo_pooling.loop import fo_pooling as loop
from lm_plugins.ops.fo_pooling.naive import fo_pooling as naive
from lm_plugins.ops.fo_pooling.shapes import check_shapes
from lm_plugins.ops.fo_pooling.torch import fo_pooling as in_torch


def fo_pooling(
    gates: Tensor,  # [T, B, 3 H]
    c0: Tensor,  # [B, H]
    f_factor: float | Tensor = 1.0,  # [T, B, H]
    reset: Tensor | None = None,  # [T, B]
    *,
    impl: str | None = None,
    overwrite: bool = False,
) -> tuple[Tensor, Tensor]:
    """Apply activations, recurrence and output gate.

        z_t = tanh(.)    f_t = m_t * sigmoid(.)    o_t = sigmoid(.)
        c_t = f_t * z_t + (1 - f_t) * c_{t-1}      h_t = o_t * c_t

    Where reset_t is True, c_{t-1} is replaced by zero. f is the share of the new value, as in torchqrnn; the
    forget gate of the paper is 1 - f. Everything is computed in the precision of c0; the kernels compute in
    float32 at least.

    Args:
        gates: the gates before their activations, z | f | o
        c0: state before the first step
        f_factor: m, a number or a bool mask: zoneout
        reset: bool; None: nowhere
        impl: "triton": kernels for GPUs; "cpu": compiled kernels for CPUs; "torch": torch alone; "loop": a
            loop over time that torch.export can trace; "naive": the definition; None: the first of these that
            supports the device, and "loop" while torch.export traces it
        overwrite: the caller does not use `gates` again, so the kernels may write c and then the gradient of
            the gates into their memory. On a CPU this saves the memory and half of the time.

    Returns:
        (h [T, B, H], c_T [B, H]), with the dtype of c0

    Raises:
        ValueError: shapes or devices do not match, a mask is not bool, or there is no such `impl`.
        RuntimeError: `impl` is missing, or does not support the device.
    """
    check_shapes(gates, c0, f_factor, reset)
    checks = {
        "triton": lambda: self_test.why_no_triton(gates, asked=impl == "triton"),
        "cpu": lambda: why_not_on_cpu(gates),
        "torch": None,
        "loop": None,
        "naive": None,
    }
    impl = choose("fo_pooling", impl, checks)
    if gates.size(0) == 0 or impl == "naive":  # len(gates) would fix the size that torch.export traces
        return naive(gates, c0, f_factor, reset)
    if impl == "loop":
        return loop(gates, c0, f_factor, reset)
    if impl == "torch":
        return in_torch(gates, c0, f_factor, reset)
    kernels = cpu if impl == "cpu" else self_test.triton_kernels()
    return with_kernels(kernels, gates, c0, f_factor, reset, overwrite)


def why_not_on_cpu(gates: Tensor) -> str | None:
    """Return why the compiled kernels cannot run; they take every dtype, because they convert it."""
    if not gates.is_cpu:
        return "the compiled kernels take tensors on a CPU"
    return None if cpu_kernels.library() else cpu_kernels.MISSING
