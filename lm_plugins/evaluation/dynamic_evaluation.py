r"""Dynamic evaluation: the model takes a gradient step on each window after scoring it.

    sgd:  w <- w - lr g + decay (w_0 - w)
    rms:  w <- w - lr g / (s + epsilon) + min(decay s / mean(s), 1) (w_0 - w)

g is the gradient of a window's mean loss, w_0 are the trained weights, and s is the root mean square of such
gradients over the training data. mean(s) is the mean over all weight tensors of each tensor's mean, as in the
authors' code.

Source: Krause, Kahembwe, Murray and Renals (2018, arXiv:1709.07432). Departure: dropout is off, so that a
result can be repeated.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from lm_plugins.errors import Refused


class Diverged(Refused):
    """Dynamic evaluation diverged."""


class Learner:
    """Changes parameters by the rule above.

    Args:
        parameters: to change in place; their values at this moment are w_0
        lr: learning rate
        decay: rate of the decay towards w_0 (the paper's lambda)
        epsilon: added to s; rms only
        rms: s, a tensor for each parameter; None: sgd
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        decay: float,
        epsilon: float = 0.0,
        rms: Sequence[Tensor] | None = None,
    ) -> None:
        self.parameters, self.lr, self.epsilon = list(parameters), lr, epsilon
        self.start = [p.detach().clone() for p in self.parameters]
        if rms is None:
            self.rms, self.decays = [None] * len(self.parameters), [decay] * len(self.parameters)
        else:
            mean = torch.stack([s.mean() for s in rms]).mean()
            self.rms, self.decays = rms, [(decay * s / mean).clamp_(max=1) for s in rms]

    def learn(self, loss: Tensor) -> None:
        """Take one step on `loss`, a scalar with an autograd graph."""
        gradients = dense_gradients(loss, self.parameters)
        with torch.no_grad():
            for p, start, g, decay, s in zip(
                self.parameters, self.start, gradients, self.decays, self.rms, strict=True
            ):
                change = (start - p).mul_(decay)
                if g is not None:
                    change.sub_(g if s is None else g / (s + self.epsilon), alpha=self.lr)
                p.add_(change)

    @torch.no_grad()
    def restore(self) -> None:
        """Copy the trained weights back into the parameters."""
        for p, start in zip(self.parameters, self.start, strict=True):
            p.copy_(start)


@contextmanager
def dynamic_evaluation(
    parameters: Iterable[Tensor],
    lr: float,
    decay: float,
    epsilon: float = 0.0,
    rms: Sequence[Tensor] | None = None,
) -> Iterator[Learner]:
    """Yield a :class:`Learner`, and restore the trained weights when the block ends, even by an error::

    with dynamic_evaluation(decoder.parameters(), lr=1e-4, decay=2e-3, epsilon=1e-5, rms=rms) as learner:
        evaluate(decoder, windows, DynamicScorer(ModelScorer(), learner))
    """
    learner = Learner(parameters, lr, decay, epsilon, rms)
    try:
        yield learner
    finally:
        learner.restore()


def dense_gradients(loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradient of each parameter, also of ``--sparse-embedding-grad`` as a dense tensor."""
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [g.to_dense() if g is not None and g.is_sparse else g for g in gradients]


def gradient_rms(parameters: Sequence[Tensor], losses: Iterable[Tensor]) -> list[Tensor]:
    """Return s: for each parameter, the root mean square of its gradients, one for each of `losses`."""
    squares, count = [torch.zeros_like(p) for p in parameters], 0
    for loss in losses:
        gradients = dense_gradients(loss, parameters)
        count += 1
        for square, g in zip(squares, gradients, strict=True):
            if g is not None:
                square.addcmul_(g, g)
    return [square.div_(count).sqrt_() for square in squares]
