"""The state of a text: what a model remembers of it between two calls."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lm_plugins.models.nested_state import map_tensors, tensors_of
from lm_plugins.models.recurrent_decoder import RecurrentDecoder

Layers = Any  # the state of each layer of a model, nested tensors [B, ...]


class TextState(NamedTuple):
    """The state after the tokens of B texts, except that the last token of each has not been read yet.

    A model reads the last token in the call that scores the next one.
    """

    layers: Layers
    last: Tensor  # [B]: ids

    def select(self, index: Tensor) -> "TextState":
        """Return the states of the texts `index` [N]; an index may occur more than once."""
        return TextState(select(self.layers, index), self.last[index])

    def first(self, count: int) -> "TextState":
        """Return the states of the first `count` texts."""
        return TextState(map_tensors(lambda x: x[:count], self.layers), self.last[:count])


def beginning(decoder: RecurrentDecoder, batch_size: int = 1) -> TextState:
    """Return the state at the beginning of `batch_size` texts: a zero state and the token ``</s>``."""
    device = next(decoder.parameters()).device
    last = torch.full((batch_size,), decoder.dictionary.eos(), device=device)
    return TextState(zeros(decoder, batch_size), last)


def zeros(decoder: RecurrentDecoder, batch_size: int) -> Layers:
    """Return the initial state of each layer."""
    return [layer.initial_state(batch_size) for layer in decoder.layers]


def select(layers: Layers, index: Tensor) -> Layers:
    """Return the rows `index` [N] of the state of each layer."""
    return map_tensors(lambda tensor: tensor.index_select(0, index), layers)


def concatenate(states: Sequence[Layers]) -> Layers:
    """Return the rows of several states as one state."""
    rows = [tensors_of(state) for state in states]
    return map_tensors(lambda _: torch.cat([next(row) for row in rows]), states[0])
