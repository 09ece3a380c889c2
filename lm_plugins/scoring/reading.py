"""Read text with a model, in windows with carried state."""

import torch
from torch import Tensor

from lm_plugins.models.recurrent_decoder import RecurrentDecoder
from lm_plugins.scoring.state import Layers

WINDOW = 128  # tokens of each text in a window


@torch.no_grad()
def read(decoder: RecurrentDecoder, source: Tensor, layers: Layers) -> tuple[Tensor, Layers]:
    """Return the output of the last layer after each token, [T, B, C], and the new state.

    Args:
        decoder: a model in evaluation
        source: ids, [T, B] with T > 0
        layers: the state before them
    """
    outputs = []
    for window in source.split(WINDOW):
        features, layers, _ = decoder.extract_features(window, layers)
        outputs.append(features)
    return torch.cat(outputs), layers
