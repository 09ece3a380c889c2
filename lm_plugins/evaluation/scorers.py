"""Score the targets of a window: with the model, with a neural cache, or with a model that adapts.

Scorers wrap each other::

    scorer = CachedScorer(DynamicScorer(ModelScorer(), learner), cache, weight=0.1)
    nll = scorer(head, features, target, counted)
"""

from typing import Protocol

from torch import Tensor

from lm_plugins.evaluation.dynamic_evaluation import Diverged, Learner
from lm_plugins.evaluation.neural_cache import NeuralCache, mixed

MAX_NLL = 100.0  # nats per token; dynamic evaluation stops above this
ROUNDING = 0.5  # nats by which ln p may exceed 0: scores of bfloat16 have errors of 0.1
ABOVE_ONE = (
    "a probability is above 1, so an output layer or a scorer of a plug-in does not return -ln p, or does "
    "not normalise p: correct it"
)


class Head(Protocol):
    """An output layer, as scorers see it."""

    def nll(self, features: Tensor, target: Tensor) -> Tensor:
        """Return -ln p(target) in nats, [T, B], from features [T, B, C] and target [T, B]."""


class Scorer(Protocol):
    """Scores the windows of a text, in order.

    A scorer around others passes their `needs_graph` on, and calls each of them once for each window.

    Args of a call:
        head: the output layer
        features: output of the last layer, [T, B, C]
        target: ids of the next tokens, [T, B]
        counted: True where a target counts, [T, B]; False for pads and for tokens of a warm-up

    Returns:
        -ln p(target) in nats, [T, B]
    """

    needs_graph: bool  # the features must have an autograd graph

    def __call__(self, head: Head, features: Tensor, target: Tensor, counted: Tensor) -> Tensor: ...


class ModelScorer:
    """Scores with the model alone."""

    needs_graph = False

    def __call__(self, head: Head, features: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        return head.nll(features, target)


class DynamicScorer:
    """Scores a window with `inner`; the learner then takes one gradient step on its mean loss.

    Raises:
        Diverged: the mean loss is above MAX_NLL, or NaN
    """

    needs_graph = True

    def __init__(self, inner: Scorer, learner: Learner) -> None:
        self.inner, self.learner = inner, learner

    def __call__(self, head: Head, features: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        nll = self.inner(head, features, target, counted)
        loss = nll[counted].mean()
        if not loss < MAX_NLL:
            raise Diverged("the model diverged during dynamic evaluation: give a lower --dynamic-lr")
        self.learner.learn(loss)
        return nll.detach()


class CachedScorer:
    """Mixes the probabilities of `inner` with those of a neural cache: (1 - weight) p + weight p_cache.

    Args:
        inner: scores the same windows
        cache: has one window and one theta; the scorer adds each token to it
        weight: lambda, in [0, 1)
    """

    def __init__(self, inner: Scorer, cache: NeuralCache, weight: float) -> None:
        self.inner, self.cache, self.weight = inner, cache, weight
        self.needs_graph = inner.needs_graph

    def __call__(self, head: Head, features: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        nll = self.inner(head, features, target, counted)
        log_cache = self.cache.log_prob(features.detach(), target)[0, 0]
        return -mixed(-nll, log_cache, self.weight)
