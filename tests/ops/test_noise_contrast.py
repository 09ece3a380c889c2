"""NCE and the sampled softmax against their formulas and against the softmax that they stand for."""

import math

import numpy as np
import pytest
import torch

from lm_plugins.ops.distinct_words import log_expected_count
from lm_plugins.ops.noise_contrast import noise_contrastive_estimation, sampled_softmax, tf_sampled_softmax

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


def sampled_softmax_loss(weights, biases, labels, inputs, sampled, num_tries):
    """tf.nn.sampled_softmax_loss as TensorFlow documents it, for the log-uniform sampler with unique=True.

    Logits of the true and the sampled classes minus the logarithms of their expected counts; sampled classes
    that equal the label get the smallest number; then the softmax cross entropy with the true class first.
    """
    vocabulary = len(weights)
    p = (np.log(np.arange(vocabulary) + 2.0) - np.log(np.arange(vocabulary) + 1.0)) / np.log(vocabulary + 1.0)
    expected = -np.expm1(num_tries * np.log1p(-p))
    losses = []
    for x, label in zip(inputs, labels, strict=True):
        true = weights[label] @ x + biases[label] - np.log(expected[label])
        logits = weights[sampled] @ x + biases[sampled] - np.log(expected[sampled])
        logits[sampled == label] += np.finfo(np.float64).min
        logits = np.concatenate([[true], logits])
        losses.append(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - true)
    return np.array(losses)


def test_the_sampled_softmax_of_tensorflow_on_fixed_candidates():
    generator = np.random.default_rng(1)
    v, c, n, k, tries = 50, 6, 40, 20, 37
    weights, biases = generator.normal(size=(v, c)), generator.normal(size=v)
    inputs, sampled = 3 * generator.normal(size=(n, c)), generator.permutation(v)[:k]
    labels = generator.integers(v, size=n)
    assert np.isin(labels, sampled).any(), "an accidental hit"
    expected = sampled_softmax_loss(weights, biases, labels, inputs, sampled, tries)
    scores = torch.from_numpy(inputs @ weights.T + biases).requires_grad_()
    words = torch.arange(v).double()
    log_q = (torch.log1p(1 / (words + 1)) / math.log(v + 1)).log()
    log_q = log_expected_count(log_q, torch.tensor(tries)) - math.log(k)
    target, noise = torch.from_numpy(labels), torch.from_numpy(sampled)
    result = tf_sampled_softmax(
        scores[range(n), target],
        log_q[target],
        scores[:, noise],
        log_q[noise],
        hit=noise == target.unsqueeze(1),
    )
    torch.testing.assert_close(result.detach(), torch.from_numpy(expected), rtol=1e-12, atol=1e-12)
    assert (
        result
        - sampled_softmax(
            scores[range(n), target], scores[:, noise], log_q[noise], noise == target.unsqueeze(1)
        )
    ).abs().mean() > 0.1, "the other form is another loss"
    result.sum().backward()
    h, row = 1e-6, 3
    for word in (labels[row], sampled[0], sampled[1]):  # central differences of the oracle
        shifted = []
        for sign in (1, -1):
            moved = biases.copy()
            moved[word] += sign * h
            shifted.append(sampled_softmax_loss(weights, moved, labels, inputs, sampled, tries).sum())
        gradient = scores.grad[:, word].sum()
        assert gradient.item() == pytest.approx((shifted[0] - shifted[1]) / (2 * h), abs=1e-7)


def test_few_noise_words_bias_the_form_of_tensorflow_less():
    """At the true scores the mean gradient is the bias."""
    s = torch.randn(V).double()
    p, q, k = torch.softmax(s, 0), torch.softmax(torch.randn(V).double(), 0), 3
    target = torch.multinomial(p, 500_000, replacement=True)
    noise = torch.multinomial(q, 500_000 * k, replacement=True).view(-1, k)
    hit, scores = noise == target.unsqueeze(1), s.clone().requires_grad_()
    ours = sampled_softmax(scores[target], scores[noise], q[noise].log(), hit)
    theirs = tf_sampled_softmax(scores[target], q[target].log(), scores[noise], q[noise].log(), hit)
    of_ours, of_theirs = (torch.autograd.grad(one.mean(), scores)[0].norm() for one in (ours, theirs))
    assert of_theirs < 0.1 * of_ours


@pytest.mark.parametrize("loss", ["nce", "sampled_softmax"])
def test_the_gradient_tends_to_that_of_the_softmax_with_k(loss):
    """The gradient is with respect to the scores. Its mean over many draws leaves the bias at this k."""
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
