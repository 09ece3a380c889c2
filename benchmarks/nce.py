"""Training steps with noise contrastive estimation; our time does not depend on the vocabulary size."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import nn

from benchmarks.measure import Group, Work
from benchmarks.passes import words
from lm_plugins.modules.noise import Unigram
from lm_plugins.modules.softmax import Softmax
from lm_plugins.ops.noise_contrast import noise_contrastive_estimation
from lm_plugins.optim.averaged_sgd import AveragedSGD

LR = 0.1


def peer(vocabulary: int, width: int, targets: int, k: int) -> Work:
    """Prepare a step like that of Torch's dpnn: noise by torch.multinomial, dense gradients, SGD."""
    head, table = nn.Linear(width, vocabulary), nn.Embedding(vocabulary, width)
    q = 1e6 / torch.arange(1, vocabulary + 1)
    q, optimizer = q / q.sum(), torch.optim.SGD([*head.parameters(), *table.parameters()], lr=LR)
    target = words(vocabulary, (targets,))

    def step() -> None:
        features, noise = table(target.roll(1)), torch.multinomial(q, k, replacement=True)
        score = (features * head.weight[target]).sum(-1) + head.bias[target]
        noise_score = features @ head.weight[noise].t() + head.bias[noise]
        loss = noise_contrastive_estimation(score, q[target].log(), noise_score, q[noise].log())
        loss.sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours(vocabulary: int, width: int, targets: int, k: int) -> Work:
    """Prepare a step of this package: noise by an alias table, sparse gradients, SGD."""
    head = Softmax(width, vocabulary, sparse=True)
    table = nn.Embedding(vocabulary, width, sparse=True)
    noise = Unigram(1e6 / torch.arange(1, vocabulary + 1))
    optimizer = AveragedSGD([*head.parameters(), *table.parameters()], lr=LR)
    target = words(vocabulary, (targets,))

    def step() -> None:
        features, drawn = table(target.roll(1)), noise.draw((k,))
        score = head.scores(features, target.unsqueeze(-1)).squeeze(-1)
        noise_score = head.scores(features, drawn)
        loss = noise_contrastive_estimation(score, noise.log_prob(target), noise_score, noise.log_prob(drawn))
        loss.sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def groups(quick: bool) -> Iterator[Group]:
    """Yield a group for each size of the vocabulary."""
    width, targets, k = (8, 6, 5) if quick else (250, 1400, 400)
    for vocabulary in (50, 90) if quick else (10_000, 793_471):
        rivals = {"dense gradients, multinomial": peer, "ours, sparse, alias table": ours}
        yield Group(
            f"NCE step with embedding and update, V {vocabulary:,}, C {width}, k {k}, {targets:,} targets",
            {name: partial(make, vocabulary, width, targets, k) for name, make in rivals.items()},
        )
