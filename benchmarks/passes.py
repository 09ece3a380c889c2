"""Run a layer or a loss forward, or forward and backward."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from benchmarks.measure import Work
from lm_plugins.matmul_precision import set_matmul_precision
from lm_plugins.modules.noise import Unigram

AS_TRAINED = "ours, --float32-matmul auto"  # the default of fairseq-train


def forward(function: Callable[..., Tensor], *inputs: Tensor) -> Work:
    """Return a function that runs the forward pass."""

    def work() -> Tensor:
        with torch.no_grad():
            return function(*inputs)

    return work


def forward_backward(function: Callable[..., Tensor], parameters: Iterable[Tensor], *inputs: Tensor) -> Work:
    """Return a function that runs both passes.

    Gradients are None before each pass, as in a training step. The upstream gradient is random for tensors
    and 1 for losses.
    """
    leaves = [*parameters, *(tensor for tensor in inputs if tensor.requires_grad)]
    upstream = []

    def work() -> None:
        output = function(*inputs)
        if not upstream:
            upstream.append(torch.randn_like(output) if output.dim() else torch.ones_like(output))
        output.backward(upstream[0])
        for leaf in leaves:
            leaf.grad = None

    return work


def as_trained(make: Callable[..., Work], *arguments: object) -> Work:
    """Prepare a case with the matrix products that fairseq-train selects by default, not with torch's."""
    set_matmul_precision("auto", on_cpu=torch.get_default_device().type == "cpu")
    return make(*arguments)


def words(vocabulary: int, shape: tuple[int, ...]) -> Tensor:
    """Draw words with the frequencies of a text, by Zipf's law."""
    return Unigram(1e6 / torch.arange(1, vocabulary + 1)).draw(shape)
