"""Evaluate a model on a text with a scorer, without fairseq's program."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lm_plugins.evaluation.scorers import Scorer
from lm_plugins.evaluation.tally import TalliedScorer, Tally
from lm_plugins.evaluation.windows import EvaluationWindows


@torch.no_grad()
def evaluate(decoder: nn.Module, windows: EvaluationWindows, scorer: Scorer) -> Tally:
    """Return the tally of all targets of `windows`, read in order.

    Raises:
        Refused: some targets were not scored
    """
    tally = Tally()
    tallied = TalliedScorer(scorer, tally, windows.unk)
    for window in windows:
        decoder(**on_device_of(decoder, window["net_input"]), scorer=tallied)
    tally.check(windows.targets, windows.subset)
    return tally


def mean_losses(decoder: nn.Module, windows: Iterable[dict[str, Any]]) -> Iterator[Tensor]:
    """Yield the mean loss of each window, in nats, with an autograd graph."""
    for window in windows:
        net_input = on_device_of(decoder, window["net_input"])
        log_prob, _ = decoder(**net_input)  # [B, T, 1]
        yield -log_prob.squeeze(-1)[net_input["counted"]].mean()


def on_device_of(decoder: nn.Module, net_input: dict[str, Any]) -> dict[str, Any]:
    """Return `net_input` with its tensors on the device of the decoder's parameters."""
    device = next(decoder.parameters()).device
    return {name: value.to(device) if torch.is_tensor(value) else value for name, value in net_input.items()}
