"""The faster of two ways to multiply float32 matrices on a CPU, where it is as exact.

torch multiplies with MKL by default, and with oneDNN where a lower precision is allowed
(``torch.set_float32_matmul_precision("medium")``). On processors without matrix units for bfloat16 oneDNN
computes in float32 all the same, on some of them twice as fast as MKL; on the others it rounds to bfloat16.
Which of the two a processor does is measured, not guessed.
"""

import logging

import torch

logger = logging.getLogger(__name__)

CHOICES = ("auto", "highest", "high", "medium")
EXACT = 1e-5  # largest relative error that is taken for float32's own


def set_matmul_precision(choice, on_cpu):
    """Sets torch's precision of float32 products for this process, and logs it if it is not the default.

    Args:
        choice: one of CHOICES; auto: "medium" on a CPU where that is as exact as float32, else "highest"
        on_cpu: whether the model will compute there; on GPUs auto changes nothing
    """
    if choice == "auto":
        choice, error = "highest", None
        if on_cpu:
            torch.set_float32_matmul_precision("medium")
            error = relative_error()
            choice = "medium" if error <= EXACT else "highest"
        if choice == "medium":
            logger.info(
                f"float32 matrix products use oneDNN, with a relative error of {error:.1e} in a test on this "
                "CPU"
            )
    torch.set_float32_matmul_precision(choice)


def relative_error(size=256):
    """Of a product of float32 matrices as torch computes it now."""
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(size, size, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    return float((torch.nn.functional.linear(a, b.T) - exact).norm() / exact.norm())
