"""Dynamic evaluation against its formulas, weight by weight."""

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.evaluation.dynamic_evaluation import Diverged, Learner, dynamic_evaluation, gradient_rms
from lm_plugins.evaluation.dynamic_options import DynamicEvaluationConfig, dynamic_settings, numbers
from lm_plugins.evaluation.grid_search import grid_search


def parameters():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(s, generator=generator).double().requires_grad_() for s in ((3, 2), (4,), (2,))]


def loss_of(weights, x):
    """The last of the weights gets no gradient."""
    return ((weights[0] @ x).pow(2).sum() + weights[1].sin().sum() * x.sum()) ** 2


def rms_of(weights):
    return gradient_rms(weights, (loss_of(weights, torch.full((2,), k).double()) for k in (0.5, 1.0, -2.0)))


def test_the_rms_is_that_of_the_gradients():
    weights = parameters()
    rms = rms_of(weights)
    gradients = [
        torch.autograd.grad(loss_of(weights, torch.full((2,), k).double()), weights[:2])
        for k in (0.5, 1.0, -2.0)
    ]
    for s, g in zip(rms, zip(*gradients, strict=True), strict=False):
        torch.testing.assert_close(s, torch.stack(g).pow(2).mean(0).sqrt())
    assert not rms[2].any()


@pytest.mark.parametrize("kind", ["sgd", "rms"])
def test_steps_are_those_of_the_formulas(kind):
    weights, lr, decay, epsilon = parameters(), 0.01, 0.4, 1e-3
    rms = rms_of(weights) if kind == "rms" else None
    learner = Learner(weights, lr, decay, epsilon, rms)
    expected, start = [w.detach().clone() for w in weights], [w.detach().clone() for w in weights]
    for k in (1.0, 2.0, -0.5):
        x = torch.tensor([k, 0.3]).double()
        learner.learn(loss_of(weights, x))
        copies = [w.clone().requires_grad_() for w in expected]
        gradients = [*torch.autograd.grad(loss_of(copies, x), copies[:2]), torch.zeros(2).double()]
        for n, g in enumerate(gradients):
            back, step = decay, g
            if kind == "rms":
                mean = sum(float(s.mean()) for s in rms) / 3
                back, step = (decay * rms[n] / mean).clamp(max=1), g / (rms[n] + epsilon)
            expected[n] = expected[n] + back * (start[n] - expected[n]) - lr * step
    for w, e in zip(weights, expected, strict=True):
        torch.testing.assert_close(w.detach(), e)
    assert (rms is None) or any((decay * s / mean > 1).any() for s in rms), "the clipping is not tested"
    learner.restore()
    assert all(torch.equal(w, s) for w, s in zip(weights, start, strict=True))


@pytest.mark.parametrize("kind", ["sgd", "rms"])
def test_sparse_gradients_change_the_weights_as_dense_ones_do(kind):
    words, results = torch.tensor([3, 1, 3]), []
    for sparse in (False, True):
        weights = parameters()

        def loss(scale, weights=weights, sparse=sparse):
            rows = torch.nn.functional.embedding(words % 3, weights[0], sparse=sparse)
            return (scale * rows.sum(0)).sin().sum() * weights[1].sum()

        rms = gradient_rms(weights, (loss(scale) for scale in (0.5, 2.0))) if kind == "rms" else None
        learner = Learner(weights, 0.1, 0.4, 1e-3, rms)
        learner.learn(loss(1.0))
        learner.learn(loss(-1.5))
        results.append([w.detach() for w in weights])
    for dense, sparse in zip(*results, strict=True):
        torch.testing.assert_close(dense, sparse)


@pytest.mark.parametrize("stop", [None, KeyboardInterrupt, Diverged])
def test_the_weights_are_restored_at_the_end_of_the_block(stop):
    weights = parameters()
    start = [w.detach().clone() for w in weights]
    try:
        with dynamic_evaluation(iter(weights), lr=0.1, decay=0.0) as learner:
            learner.learn(loss_of(weights, torch.ones(2).double()))
            assert not torch.equal(weights[0], start[0])
            if stop:
                raise stop
    except (KeyboardInterrupt, Diverged):
        assert stop
    assert all(torch.equal(w, s) for w, s in zip(weights, start, strict=True))


def test_the_search_returns_the_point_of_the_lowest_perplexity():
    def perplexity(lr, decay):
        if lr == 3:
            raise Diverged
        return (lr - 2) ** 2 + decay

    assert grid_search((1.0, 2.0, 3.0), (0.1, 0.2), perplexity) == (2.0, 0.1)
    with pytest.raises(Diverged, match="at every point of the grid"):
        grid_search((3.0,), (0.1, 0.2), perplexity)


@pytest.mark.parametrize("text", ["a", "-1", "1,nan", ""])
def test_bad_numbers_are_refused(text):
    with pytest.raises(Refused, match="--dynamic-lr is"):
        numbers(text, "--dynamic-lr")


def test_the_settings_are_those_of_the_options():
    assert dynamic_settings(DynamicEvaluationConfig()) is None
    settings = dynamic_settings(DynamicEvaluationConfig(dynamic_evaluation="rms", dynamic_lr="1,2e-1"))
    assert settings.rms and settings.is_grid and settings.lrs == [1, 0.2] and settings.decays == [2e-3]
    assert not dynamic_settings(DynamicEvaluationConfig(dynamic_evaluation="sgd")).is_grid
    with pytest.raises(Refused, match="--dynamic-epsilon is 0: it must be above 0"):
        dynamic_settings(DynamicEvaluationConfig(dynamic_epsilon=0))
