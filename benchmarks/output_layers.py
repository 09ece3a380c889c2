"""Losses over the whole vocabulary: softmax, adaptive softmax and mixture of softmaxes."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from fairseq.modules import AdaptiveSoftmax as FairseqAdaptiveSoftmax
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import Group, Work
from benchmarks.passes import AS_TRAINED, as_trained, forward_backward, words
from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax
from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes
from lm_plugins.modules.softmax import Softmax

Loss = Callable[[Tensor, Tensor], Tensor]  # of features [N, C] and targets [N]
Head = tuple[nn.Module, Loss]


def linear_softmax(vocabulary: int, width: int) -> Head:
    """Return a linear layer and its cross entropy, like awd-lstm-lm below 75,000 words."""
    head = nn.Linear(width, vocabulary)
    return head, lambda x, target: F.cross_entropy(head(x), target, reduction="none")


def softmax(vocabulary: int, width: int) -> Head:
    """Return the softmax of this package."""
    head = Softmax(width, vocabulary)
    return head, head.nll


def adaptive_of_torch(vocabulary: int, width: int, cutoffs: list[int], factor: float = 4.0) -> Head:
    """Return torch's adaptive softmax."""
    head = nn.AdaptiveLogSoftmaxWithLoss(width, vocabulary, cutoffs, div_value=factor)
    return head, lambda x, target: -head(x, target).output


def adaptive_of_fairseq(vocabulary: int, width: int, cutoffs: list[int]) -> Head:
    """Return fairseq's adaptive softmax with the loss of its criterion adaptive_loss."""
    head = FairseqAdaptiveSoftmax(vocabulary, width, cutoffs, dropout=0.0)

    def nll(x: Tensor, target: Tensor) -> Tensor:
        logits, targets = head(x.unsqueeze(0), target)
        pairs = zip(logits, targets, strict=True)
        losses = [F.cross_entropy(a, b, reduction="sum") for a, b in pairs if b is not None]
        return torch.stack(losses).sum()

    return head, nll


def adaptive(vocabulary: int, width: int, cutoffs: list[int]) -> Head:
    """Return the adaptive softmax of this package."""
    head = AdaptiveSoftmax(width, vocabulary, cutoffs=cutoffs)
    return head, head.nll


def adaptive_tied(vocabulary: int, width: int, cutoffs: list[int]) -> Head:
    """Return the adaptive softmax of this package with the embedding's weight."""
    weight = nn.Parameter(torch.randn(vocabulary, width) * 0.1)
    head = AdaptiveSoftmax(width, vocabulary, cutoffs=cutoffs, weight=weight)
    return head, head.nll


def peer_mixture(vocabulary: int, width: int, experts: int, latent: int) -> Head:
    """Return a mixture like that of mos: all K V probabilities of a token at once."""
    head = MixtureOfSoftmaxes(width, vocabulary, experts=experts, width=latent)

    def nll(x: Tensor, target: Tensor) -> Tensor:
        h = torch.tanh(head.latent(x)).view(-1, latent)
        logits = F.linear(h, head.vocabulary.weight, head.vocabulary.bias)
        p = F.softmax(logits, dim=-1).view(-1, experts, vocabulary)
        mixed = (p * F.softmax(head.prior(x), dim=-1).unsqueeze(2)).sum(1)
        return F.nll_loss(torch.log(mixed + 1e-8), target, reduction="none")

    return head, nll


def mixture(vocabulary: int, width: int, experts: int, latent: int) -> Head:
    """Return the mixture of softmaxes of this package."""
    head = MixtureOfSoftmaxes(width, vocabulary, experts=experts, width=latent)
    return head, head.nll


def loss(make: Callable[..., Head], targets: int, vocabulary: int, width: int, *sizes: object) -> Work:
    """Prepare the loss of random features and its backward pass; `make` gets the vocabulary and all sizes."""
    head, nll = make(vocabulary, width, *sizes)
    x = torch.randn(targets, width, requires_grad=True)

    def total(x: Tensor, target: Tensor) -> Tensor:
        return nll(x, target).sum()

    return forward_backward(total, head.parameters(), x, words(vocabulary, (targets,)))


def groups(quick: bool) -> Iterator[Group]:
    """Yield a group for each kind of output layer and size of the vocabulary."""
    targets, width = (6, 16) if quick else (1400, 400)
    for vocabulary in (50,) if quick else (10_000, 33_278, 267_735):
        rivals = {"linear and cross entropy": linear_softmax, "ours, in chunks": softmax}
        cases = {name: partial(loss, make, targets, vocabulary, width) for name, make in rivals.items()}
        yield Group(
            f"softmax, V {vocabulary:,}, C {width}, {targets:,} targets",
            {**cases, AS_TRAINED: partial(as_trained, cases["ours, in chunks"])},
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
            "ours, in chunks": ours,
            AS_TRAINED: partial(as_trained, ours),
        },
    )
