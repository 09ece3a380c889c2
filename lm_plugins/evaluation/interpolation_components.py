"""Score a text with the models of an interpolation other than the first."""

import logging
import math

import torch
from torch import nn

from lm_plugins.errors import Refused
from lm_plugins.evaluation.evaluate import evaluate
from lm_plugins.evaluation.interpolation import Component, RecordingScorer
from lm_plugins.evaluation.ngram import Ngram
from lm_plugins.evaluation.scorers import ModelScorer
from lm_plugins.evaluation.tally import Tally
from lm_plugins.evaluation.windows import EvaluationWindows

logger = logging.getLogger(__name__)


def model_component(model: dict[str, str], decoder: nn.Module, windows: EvaluationWindows) -> Component:
    """Score the targets of `windows` with the model `decoder`, in one pass.

    Args:
        model: path and SHA-256 of its file

    Raises:
        Refused: a probability is zero or NaN
    """
    logger.info(f"scoring '{windows.subset}' with {model['path']}")
    recorder = RecordingScorer(ModelScorer())
    tally = evaluate(decoder, windows, recorder)
    if not math.isfinite(tally.nats):
        raise Refused(
            f"{model['path']} assigns a target a probability of zero or NaN: training has diverged, use an "
            "earlier checkpoint"
        )
    return Component(model, recorder.log_probs, tally)


def ngram_component(model: dict[str, str], ngram: Ngram, windows: EvaluationWindows) -> Component:
    """Score the targets of `windows` with an n-gram model.

    The n-gram model reads the text as a whole: at the start of a stream, it sees the tokens before it.

    Args:
        model: path and SHA-256 of its file
    """
    logger.info(f"scoring '{windows.subset}' with {model['path']}")
    text = torch.from_numpy(windows.streams.corpus[:].astype("int64"))
    log_prob = ngram.log_prob(text)
    tally = Tally()
    tally.add(-log_prob, torch.ones_like(text, dtype=torch.bool), text.eq(windows.unk))
    pairs = zip(windows, windows.positions(), strict=True)
    targets = [positions[batch["net_input"]["counted"].t()] for batch, positions in pairs]
    return Component(model, [log_prob[positions] for positions in targets], tally)
