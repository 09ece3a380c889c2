"""The two forms of an exported model: one step of generation, or a window of a text to score."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lm_plugins.errors import Refused
from lm_plugins.models.nested_state import map_tensors, tensors_of
from lm_plugins.models.recurrent_decoder import RecurrentDecoder

STEP, WINDOW = "step", "window"
EXAMPLE = (3, 5)  # streams and steps while a model is traced; all sizes are possible afterwards
State = list[tuple[Tensor, ...]]  # the tensors of each layer's state, [B, ...]


def flat(states: Sequence[Any]) -> State:
    """Return the tensors of each layer's state, which may be of any type that a layer may have."""
    return [tuple(tensors_of(state)) for state in states]


class StatefulModule(nn.Module):
    """A decoder whose state is flat, as the file has it: the layers get it in their own types."""

    def __init__(self, decoder: RecurrentDecoder):
        super().__init__()
        self.decoder = decoder
        self.patterns = [layer.initial_state(1) for layer in decoder.layers]

    def features(self, source: Tensor, state: State) -> tuple[Tensor, State]:
        """Return (features [T, B, C], new state) for the ids `source` [T, B]."""
        values = [iter(tensors) for tensors in state]
        pairs = zip(self.patterns, values, strict=True)
        states = [map_tensors(lambda _, own=own: next(own), pattern) for pattern, own in pairs]
        features, new_states, _ = self.decoder.extract_features(source, states)
        return features, flat(new_states)


class NextToken(StatefulModule):
    """Return ln p of the token that follows `ids`: (ids [B], state) -> (ln p [B, V], new state)."""

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        features, new_state = self.features(ids.unsqueeze(0), state)
        return self.decoder.output_head.log_prob(features.squeeze(0)), new_state


class Targets(StatefulModule):
    """Return ln p of each target: (ids [B, T], targets [B, T], state) -> (ln p [B, T], new state)."""

    def forward(self, ids: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        features, new_state = self.features(ids.t(), state)
        # A two-dimensional matrix product needs no transposed copy of the table.
        log_prob = self.decoder.output_head.log_prob(features.flatten(0, 1))
        scored = log_prob.gather(1, targets.t().reshape(-1, 1))
        return scored.view(ids.size(1), ids.size(0)).t(), new_state


class Form(NamedTuple):
    """What torch.onnx.export needs to know of a form."""

    module: nn.Module
    examples: tuple  # arguments of the module
    dynamic: tuple  # the names of their dynamic dimensions
    inputs: list[str]  # their names in the file
    outputs: list[str]


def form_of(decoder: RecurrentDecoder, name: str) -> Form:
    """Return the form STEP or WINDOW of `decoder`.

    Raises:
        Refused: a layer starts from a state other than zeros, which the file could not record.
    """
    streams, steps = EXAMPLE
    initial = [layer.initial_state(streams) for layer in decoder.layers]
    state = flat(map_tensors(torch.Tensor.clone, initial))
    if any(tensor.any() for tensors in state for tensor in tensors):
        raise Refused("the model cannot be exported, because a layer's initial state is not zero")
    names = [f"state_{layer}_{i}" for layer, tensors in enumerate(state) for i, _ in enumerate(tensors)]
    dynamic_state = [tuple({0: "B"} for _ in tensors) for tensors in state]
    shape, sizes = ((streams,), {0: "B"}) if name == STEP else (EXAMPLE, {0: "B", 1: "T"})
    tokens = ["ids"] if name == STEP else ["ids", "targets"]
    return Form(
        module=(NextToken if name == STEP else Targets)(decoder).eval(),
        examples=(*(torch.zeros(shape, dtype=torch.long) for _ in tokens), state),
        dynamic=(*(sizes for _ in tokens), dynamic_state),
        inputs=[*tokens, *names],
        outputs=["log_prob", *(f"new_{name}" for name in names)],
    )
