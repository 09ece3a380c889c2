"""Report an interpolation: the weight and the perplexity of each model."""

import logging
from collections.abc import Sequence
from typing import Any

import torch

from lm_plugins import metrics
from lm_plugins.evaluation.interpolation import (
    Component,
    Mixture,
    MixtureScorer,
    RecordingScorer,
    interpolate,
)
from lm_plugins.evaluation.interpolation_tuning import em_weights
from lm_plugins.evaluation.tally import Tally
from lm_plugins.files import write_json

logger = logging.getLogger(__name__)


def report(
    mixture: Mixture, scorer: RecordingScorer | MixtureScorer, tally: Tally, subset: str
) -> dict[str, Any]:
    """Find the weights if they are to be tuned, and log the weight and the perplexity of each model.

    Args:
        scorer: of the mixture, after the text
        tally: of what it returned
        subset: name of the text

    Returns:
        for a JSON file: {"models": [{"path", "sha256", "weight", "perplexity": of the model alone}],
        "perplexity": of the mixture}
    """
    if mixture.weights is None:
        components = [Component(mixture.first, scorer.log_probs, tally), *mixture.others]
        return tune(components, mixture.file, subset)
    components = [Component(mixture.first, [], scorer.tally), *mixture.others]
    return {"models": report_models(components, mixture.weights), "perplexity": tally.perplexity}


def report_models(components: Sequence[Component], weights: Sequence[float]) -> list[dict[str, Any]]:
    """Log the weight and the perplexity of each model, and return them for a JSON file."""
    for one, weight in zip(components, weights, strict=True):
        logger.info(f"weight {weight:.4f}, perplexity {one.tally.perplexity:.2f} alone: {one.model['path']}")
    return [
        {**one.model, "weight": weight, "perplexity": one.tally.perplexity}
        for one, weight in zip(components, weights, strict=True)
    ]


def tune(components: Sequence[Component], path: str, subset: str) -> dict[str, Any]:
    """Find the best weights, log them, write them to `path` as JSON, and return the models; see report().

    Args:
        components: the K models, the first one first
        subset: name of the text
    """
    log_probs = torch.stack([torch.cat(one.log_probs).double() for one in components])  # [K, N]
    weights = em_weights(log_probs)
    nats = -float(interpolate(log_probs, weights).sum())
    perplexity = metrics.perplexity(nats, log_probs.size(1))
    found = {"models": report_models(components, weights.tolist()), "perplexity": perplexity}
    typed = ",".join(f"{weight:.6f}" for weight in weights.tolist())
    logger.info(f"best: --interpolate-weights {typed} gives perplexity {perplexity:.2f} on '{subset}'")
    write_json(path, {**found, "subset": subset})
    logger.info(f"wrote {path}: evaluate with --interpolate-from {path}")
    return found
