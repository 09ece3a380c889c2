"""Run a layer or a loss forward, or forward and backward."""

import torch

from lm_plugins.matmul_precision import set_matmul_precision
from lm_plugins.modules.noise import Unigram

AS_TRAINED = "ours, --float32-matmul auto"  # of training


def forward(function, *inputs):
    def work():
        with torch.no_grad():
            return function(*inputs)

    return work


def forward_backward(function, parameters, *inputs):
    """Return a function that runs both passes.

    Gradients are None before each pass, as in a training step. The upstream gradient is random for tensors
    and 1 for losses.
    """
    leaves = [*parameters, *(part for part in inputs if part.requires_grad)]
    drawn = []

    def work():
        output = function(*inputs)
        if not drawn:
            drawn.append(torch.randn_like(output) if output.dim() else torch.ones_like(output))
        output.backward(drawn[0])
        for leaf in leaves:
            leaf.grad = None

    return work


def as_trained(make, *arguments):
    """Prepare a case with the matrix products that fairseq-train selects by default, instead of torch's."""
    set_matmul_precision("auto", on_cpu=torch.get_default_device().type == "cpu")
    return make(*arguments)


def words(vocabulary, shape):
    """Draw words that are as frequent as in a text, by Zipf's law."""
    return Unigram(1e6 / torch.arange(1, vocabulary + 1)).draw(shape)
