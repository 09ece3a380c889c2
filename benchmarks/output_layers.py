"""Losses over the whole vocabulary, forward and backward: softmax, adaptive softmax, mixture of softmaxes."""

from functools import partial

import torch
from fairseq.modules import AdaptiveSoftmax as FairseqAdaptiveSoftmax
from torch import nn
from torch.nn import functional as F

from benchmarks.measure import Group
from benchmarks.passes import AS_TRAINED, as_trained, forward_backward, words
from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax
from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes
from lm_plugins.modules.softmax import Softmax


def linear_softmax(vocabulary, width):
    """Return a linear layer and its cross entropy, like awd-lstm-lm below 75,000 words."""
    head = nn.Linear(width, vocabulary)
    return head, lambda x, target: F.cross_entropy(head(x), target, reduction="none")


def softmax(vocabulary, width):
    head = Softmax(width, vocabulary)
    return head, head.nll


def adaptive_of_torch(vocabulary, width, cutoffs, factor=4.0):
    head = nn.AdaptiveLogSoftmaxWithLoss(width, vocabulary, cutoffs, div_value=factor)
    return head, lambda x, target: -head(x, target).output


def adaptive_of_fairseq(vocabulary, width, cutoffs):
    head = FairseqAdaptiveSoftmax(vocabulary, width, cutoffs, dropout=0.0)

    def nll(x, target):  # as its criterion, adaptive_loss
        logits, targets = head(x.unsqueeze(0), target)
        pairs = zip(logits, targets, strict=True)
        losses = [F.cross_entropy(a, b, reduction="sum") for a, b in pairs if b is not None]
        return torch.stack(losses).sum()

    return head, nll


def adaptive(vocabulary, width, cutoffs):
    head = AdaptiveSoftmax(width, vocabulary, cutoffs=cutoffs)
    return head, head.nll


def adaptive_tied(vocabulary, width, cutoffs):
    weight = nn.Parameter(torch.randn(vocabulary, width) * 0.1)
    head = AdaptiveSoftmax(width, vocabulary, cutoffs=cutoffs, weight=weight)
    return head, head.nll


def peer_mixture(vocabulary, width, experts, latent):
    """Return a mixture like that of mos: all K V probabilities of a token at once."""
    head = MixtureOfSoftmaxes(width, vocabulary, experts=experts, width=latent)

    def nll(x, target):
        h = torch.tanh(head.latent(x)).view(-1, latent)
        logits = F.linear(h, head.vocabulary.weight, head.vocabulary.bias)
        p = F.softmax(logits, dim=-1).view(-1, experts, vocabulary)
        mixed = (p * F.softmax(head.prior(x), dim=-1).unsqueeze(2)).sum(1)
        return F.nll_loss(torch.log(mixed + 1e-8), target, reduction="none")

    return head, nll


def mixture(vocabulary, width, experts, latent):
    head = MixtureOfSoftmaxes(width, vocabulary, experts=experts, width=latent)
    return head, head.nll


def loss(make, targets, vocabulary, width, *sizes):
    head, nll = make(vocabulary, width, *sizes)
    x = torch.randn(targets, width, requires_grad=True)

    def total(x, target):
        return nll(x, target).sum()

    return forward_backward(total, head.parameters(), x, words(vocabulary, (targets,)))


def groups(quick):
    targets, width = (6, 16) if quick else (1400, 400)
    for vocabulary in (50,) if quick else (10_000, 33_278, 267_735):
        rivals = {"linear and cross entropy": linear_softmax, "ours, by chunks": softmax}
        cases = {name: partial(loss, make, targets, vocabulary, width) for name, make in rivals.items()}
        yield Group(
            f"softmax, V {vocabulary:,}, C {width}, {targets:,} targets",
            {**cases, AS_TRAINED: partial(as_trained, cases["ours, by chunks"])},
        )
        cutoffs = {50: [10, 20], 10_000: [2000, 5000]}.get(vocabulary, [2800, 20000])
        cutoffs += [76_000] if vocabulary > 76_000 else []
        rivals = {
            "torch, tails C / 4^i": adaptive_of_torch,
            "fairseq, tails C / 4^i": adaptive_of_fairseq,
            "ours, tails C / 4^i": adaptive,
            "torch, tails C": partial(adaptive_of_torch, factor=1.0),
            "ours, tails C, tied": adaptive_tied,
        }
        yield Group(
            f"adaptive softmax, V {vocabulary:,}, C {width}, {targets:,} targets",
            {name: partial(loss, make, targets, vocabulary, width, cutoffs) for name, make in rivals.items()},
        )
    sizes = (50, 16, 3, 8) if quick else (10_000, 620, 15, 280)
    ours = partial(loss, mixture, targets, *sizes)
    yield Group(
        f"mixture of softmaxes, V, C, K, E {sizes}, {targets:,} targets",
        {
            "mos's way": partial(loss, peer_mixture, targets, *sizes),
            "ours, by chunks": ours,
            AS_TRAINED: partial(as_trained, ours),
        },
    )
