"""NCE and the sampled softmax against their formulas and against the softmax that they stand for."""

import math

import pytest
import torch

from lm_plugins.ops.noise_contrast import noise_contrastive_estimation, sampled_softmax

V, C, N = 9, 4, 3


def problem():
    """(features, weight, target) and a noise distribution over V words."""
    features, weight = torch.randn(N, C).double(), torch.randn(V, C).double().requires_grad_()
    return features, weight, torch.randint(V, (N,)), torch.softmax(torch.randn(V).double(), 0)


def test_nce_is_the_formula():
    features, weight, target, q = problem()
    noise, log_z = torch.randint(V, (N, 5)), 0.7
    s = features @ weight.T
    result = noise_contrastive_estimation(
        s[range(N), target], q[target].log(), s.gather(1, noise), q[noise].log(), log_z
    )
    for n in range(N):
        p = s[n].exp() / math.exp(log_z)
        expected = -(p[target[n]] / (p[target[n]] + 5 * q[target[n]])).log()
        for w in noise[n]:
            expected = expected - (5 * q[w] / (p[w] + 5 * q[w])).log()
        torch.testing.assert_close(result[n], expected)


def test_the_sampled_softmax_is_the_formula():
    features, weight, target, q = problem()
    noise = torch.randint(V, (N, 5))
    s = features @ weight.T
    hit = noise == target.unsqueeze(1)
    result = sampled_softmax(s[range(N), target], s.gather(1, noise), q[noise].log(), hit)
    for n in range(N):
        own = s[n, target[n]].exp()
        rest = sum(s[n, w].exp() / (5 * q[w]) for w in noise[n] if w != target[n])
        torch.testing.assert_close(result[n], -(own / (own + rest)).log())


@pytest.mark.parametrize("loss", ["nce", "sampled_softmax"])
def test_the_gradient_tends_to_that_of_the_softmax_with_k(loss):
    """With respect to the scores; the mean over many draws, so that what remains is the bias at this k."""
    s, target, q = torch.randn(V).double().requires_grad_(), 4, torch.softmax(torch.randn(V).double(), 0)
    log_z = torch.logsumexp(s, 0).detach()
    exact = torch.softmax(s, 0).detach() - torch.eye(V).double()[target]
    errors = []
    for k in (1, 10, 100):
        noise = torch.multinomial(q, 2_000_000, replacement=True).view(-1, k)
        own = s[target].expand(len(noise))
        if loss == "nce":
            log_q = q[target].log()
            result = noise_contrastive_estimation(own, log_q, s[noise], q[noise].log(), log_z)
        else:
            result = sampled_softmax(own, s[noise], q[noise].log(), noise == target)
        (gradient,) = torch.autograd.grad(result.mean(), s)
        errors.append(((gradient - exact).norm() / exact.norm()).item())
    assert errors[0] > 2 * errors[1] > 4 * errors[2] and errors[2] < 0.02, errors


def test_extreme_scores_stay_finite():
    """dpnn computes exp(score), which overflows at 89."""
    score, noise = torch.tensor([200.0, -200.0]), torch.tensor([[-300.0, 300.0], [300.0, -300.0]])
    log_q = torch.full((2,), -4.0)
    loss = noise_contrastive_estimation(score, log_q, noise, log_q.expand(2, 2))
    assert loss.isfinite().all()
    all_hit = torch.ones(2, 2, dtype=torch.bool)
    assert sampled_softmax(score, noise, log_q.expand(2, 2), all_hit).eq(0).all()
