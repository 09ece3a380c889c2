"""Choose how float32 matrices are multiplied: the faster of two ways on a CPU, one precision on a GPU.

PyTorch multiplies with MKL by default, and with oneDNN where a lower precision is allowed
(``torch.set_float32_matmul_precision("medium")``). On processors without bfloat16 matrix units, oneDNN still
computes in float32, on some of them twice as fast as MKL. On the others it rounds to bfloat16. A test product
shows what a processor does.

On a GPU, cuDNN's LSTMs have a separate setting, which is TF32 by default, whereas matrix products are exact
by default. Here the LSTMs follow the matrix products, so that LSTMs and QRNNs have the same precision.
"""

import functools
import logging

import torch

logger = logging.getLogger(__name__)

CHOICES = ("auto", "highest", "high", "medium")
EXACT = 1e-5  # largest relative error that counts as float32's own
SIZE = 256  # of the matrices of the test product


def set_matmul_precision(choice: str, on_cpu: bool) -> None:
    """Set the precision of float32 matrix products in this process.

    Args:
        choice: one of CHOICES. "auto" is "medium" on a CPU where oneDNN is then as exact as float32;
            otherwise, and always on a GPU, it leaves PyTorch's setting of matrix products as it is, which is
            "highest" by default. On a GPU "high" and "medium" compute in TF32.
        on_cpu: whether the model computes on the CPU
    """
    if choice != "auto":
        torch.set_float32_matmul_precision(choice)
    elif on_cpu and medium_is_exact():
        torch.set_float32_matmul_precision("medium")
    if not on_cpu:
        # cudnn.rnn.fp32_precision would set LSTMs alone, but cudnn.flags and torch.export would raise errors.
        torch.backends.cudnn.allow_tf32 = torch.get_float32_matmul_precision() != "highest"


@functools.cache
def medium_is_exact() -> bool:
    """Return whether "medium" products have float32's error on this CPU, and log it if they do."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    error = relative_error()
    torch.set_float32_matmul_precision(before)
    if error <= EXACT:
        logger.info(
            f"float32 matrix products use oneDNN, with a relative error of {error:.1e} in a test on this CPU"
        )
    return error <= EXACT


def relative_error() -> float:
    """Return |AB - exact| / |exact| of a product of float32 matrices [SIZE, SIZE], at the current setting."""
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(SIZE, SIZE, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    return float((torch.nn.functional.linear(a, b.T) - exact).norm() / exact.norm())
