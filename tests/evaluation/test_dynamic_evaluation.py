"""Dynamic evaluation against its formulas, weight by weight."""

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.evaluation.dynamic_evaluation import DynamicEvaluation, gradient_sizes, numbers, search


def parameters():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(s, generator=generator).double().requires_grad_() for s in ((3, 2), (4,), (2,))]


def loss_of(weights, x):
    """The last of the weights has no part in it."""
    return ((weights[0] @ x).pow(2).sum() + weights[1].sin().sum() * x.sum()) ** 2


def sizes_of(weights):
    return gradient_sizes(weights, (loss_of(weights, torch.full((2,), k).double()) for k in (0.5, 1.0, -2.0)))


def test_sizes_are_root_mean_squares():
    weights = parameters()
    found = sizes_of(weights)
    gradients = [
        torch.autograd.grad(loss_of(weights, torch.full((2,), k).double()), weights[:2])
        for k in (0.5, 1.0, -2.0)
    ]
    for size, g in zip(found, zip(*gradients, strict=True), strict=False):
        torch.testing.assert_close(size, torch.stack(g).pow(2).mean(0).sqrt())
    assert not found[2].any()


@pytest.mark.parametrize("kind", ["sgd", "rms"])
def test_steps_are_those_of_the_formulas(kind):
    weights, lr, decay, epsilon = parameters(), 0.01, 0.4, 1e-3
    sizes = sizes_of(weights) if kind == "rms" else None
    learner = DynamicEvaluation(weights, lr, decay, epsilon, sizes)
    expected, start = [w.detach().clone() for w in weights], [w.detach().clone() for w in weights]
    for k in (1.0, 2.0, -0.5):
        x = torch.tensor([k, 0.3]).double()
        learner.learn(loss_of(weights, x))
        copies = [w.clone().requires_grad_() for w in expected]
        gradients = [*torch.autograd.grad(loss_of(copies, x), copies[:2]), torch.zeros(2).double()]
        for n, g in enumerate(gradients):
            back, step = decay, g
            if kind == "rms":
                mean = sum(float(s.mean()) for s in sizes) / 3
                back, step = (decay * sizes[n] / mean).clamp(max=1), g / (sizes[n] + epsilon)
            expected[n] = expected[n] + back * (start[n] - expected[n]) - lr * step
    for w, e in zip(weights, expected, strict=True):
        torch.testing.assert_close(w.detach(), e)
    assert (sizes is None) or any((decay * s / mean > 1).any() for s in sizes), "the clipping is not tested"
    learner.restore()
    assert all(torch.equal(w, s) for w, s in zip(weights, start, strict=True))


def test_the_search_finds_the_least():
    assert search(((1.0, 2.0, 3.0), (0.1, 0.2)), lambda lr, decay: (lr - 2) ** 2 + decay) == (2.0, 0.1)


@pytest.mark.parametrize("text", ["a", "-1", "1,nan", ""])
def test_bad_numbers_are_refused(text):
    with pytest.raises(Refused, match="--dynamic-lr is"):
        numbers(text, "--dynamic-lr")
