"""The state of a text: what a model remembers of it between two calls."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lm_plugins.models.carried_state import map_tensors


class TextState(NamedTuple):
    """The state after the tokens of B texts, of which the last one has not been read.

    A model reads the last token in the call that scores the next one.
    """

    layers: list[Any] | None  # the state of each layer, of tensors [B, ...]; None: zeros
    last: Tensor  # [B]: ids

    def select(self, index: Tensor) -> "TextState":
        """Return the states of the texts `index` [N]; an index may occur more than once."""
        return TextState(map_tensors(lambda x: x.index_select(0, index), self.layers), self.last[index])

    def first(self, count: int) -> "TextState":
        """Return the states of the first `count` texts."""
        return TextState(map_tensors(lambda x: x[:count], self.layers), self.last[:count])


def initial_state(eos: int, batch_size: int, device: torch.device) -> TextState:
    """Return the state at the beginning of `batch_size` texts: a zero state and the token ``</s>``."""
    return TextState(None, torch.full((batch_size,), eos, device=device))
