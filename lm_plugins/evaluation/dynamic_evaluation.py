"""Dynamic evaluation (Krause, Kahembwe, Murray and Renals 2018, arXiv:1709.07432)."""

import itertools
import logging
import math
from dataclasses import dataclass, field

import torch
from fairseq.dataclass import ChoiceEnum, FairseqDataclass

from lm_plugins.errors import Refused

logger = logging.getLogger(__name__)


@dataclass
class DynamicEvaluationConfig(FairseqDataclass):
    dynamic_evaluation: ChoiceEnum(["none", "sgd", "rms"]) = field(
        default="none",
        metadata={
            "help": "adapt the model to each window of --tokens-per-sample tokens (Krause et al. 2018: 5) "
            "after scoring it; sgd: by SGD; rms: by SGD scaled by the RMS of the gradients on the training "
            "data"
        },
    )
    dynamic_lr: str = field(
        default="1e-4",
        metadata={
            "help": "learning rate of dynamic evaluation, at least 0 (Krause et al. 2018, rms: 3e-5 to 1e-4 "
            "for windows of 5 tokens; scale it in proportion); comma-separated values are searched as a grid"
        },
    )
    dynamic_decay: str = field(
        default="2e-3",
        metadata={
            "help": "decay rate towards the trained weights, at least 0 (lambda; Krause et al. 2018, rms: "
            "1e-3 to 5e-3); comma-separated values are searched as a grid"
        },
    )
    dynamic_epsilon: float = field(
        default=1e-5, metadata={"help": "constant added to the gradient RMS, above 0; rms only (epsilon)"}
    )
    dynamic_batches: int = field(
        default=200,
        metadata={
            "help": "number of windows of training data, read in up to 100 streams, from which the gradient "
            "RMS is computed, at least 1; rms only (Krause et al. 2018: all)"
        },
    )


class Diverged(Refused):
    """The model learned itself to pieces."""


STREAMS = 100  # of the training data, for the statistics


def numbers(text, flag):
    """The numbers of a flag, separated by commas."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(math.isfinite(number) and number >= 0 for number in found):
        raise Refused(f"{flag} is {text}: give one or more comma-separated numbers of at least 0")
    return found


class DynamicEvaluation:
    r"""Gradient descent on the windows that were scored, with a prior at the trained weights.

        sgd:  w <- w - lr g + decay (w_0 - w)
        rms:  w <- w - lr g / (s + epsilon) + min(decay s / mean(s), 1) (w_0 - w)

    with g the gradient of a window's mean loss, s the root of the mean square of such gradients over the
    training data, and mean(s) over all weights of the mean of each tensor, as in the authors' code. The
    model is in evaluation: no dropout of any kind is on, so that a result can be repeated.

    Args:
        parameters: to be trained
        lr, decay, epsilon: see above; decay is lambda
        sizes: list of s, a tensor for each parameter; None: sgd
    """

    def __init__(self, parameters, lr, decay, epsilon=0.0, sizes=None):
        self.parameters, self.lr, self.epsilon, self.sizes = parameters, lr, epsilon, sizes
        self.start = [p.detach().clone() for p in parameters]
        self.decays = [decay] * len(parameters)
        if sizes is not None:
            mean = torch.stack([s.mean() for s in sizes]).mean()
            self.decays = [(decay * s / mean).clamp_(max=1) for s in sizes]

    def learn(self, loss):
        """One step on `loss`, a scalar with a graph."""
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        with torch.no_grad():
            sizes = self.sizes or [None] * len(gradients)
            for p, start, g, decay, s in zip(
                self.parameters, self.start, gradients, self.decays, sizes, strict=True
            ):
                change = (start - p).mul_(decay)
                if g is not None:
                    change.sub_(g if s is None else g / (s + self.epsilon), alpha=self.lr)
                p.add_(change)

    def restore(self):
        """Puts the trained weights back."""
        with torch.no_grad():
            for p, start in zip(self.parameters, self.start, strict=True):
                p.copy_(start)


def gradient_sizes(parameters, losses):
    """s of :class:`DynamicEvaluation`: root mean square of the gradient of each of `losses`."""
    squares, count = [torch.zeros_like(p) for p in parameters], 0
    for loss in losses:
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        count += 1
        for square, g in zip(squares, gradients, strict=True):
            if g is not None:
                square.addcmul_(g, g)
    return [square.div_(count).sqrt_() for square in squares]


def search(settings, evaluate):
    """The best (lr, decay) of a grid: ``evaluate(lr, decay)`` gives a perplexity. Prints a table.

    Raises:
        Diverged: at every point
    """
    lrs, decays = settings
    found = {}
    logger.info("lr \\ decay    " + "".join(f"{decay:10g}" for decay in decays))
    for lr, decay in itertools.product(lrs, decays):
        try:
            found[lr, decay] = evaluate(lr, decay)
        except Diverged:
            found[lr, decay] = math.inf
        if decay == decays[-1]:
            logger.info(f"{lr:14g}" + "".join(f"{found[lr, d]:10.2f}" for d in decays))
    lr, decay = min(found, key=found.get)
    if not math.isfinite(found[lr, decay]):
        raise Diverged(
            "dynamic evaluation diverged at every point of the grid: give lower values of --dynamic-lr"
        )
    logger.info(
        f"best: --dynamic-lr {lr:g} --dynamic-decay {decay:g} gives perplexity {found[lr, decay]:.2f}"
    )
    return lr, decay
