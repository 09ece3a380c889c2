"""The two forms of an exported model: one step of generation, or a window of a text to score."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lm_plugins.errors import Refused
from lm_plugins.models.recurrent_decoder import RecurrentDecoder

STEP, WINDOW = "step", "window"
EXAMPLE = (3, 5)  # streams and steps while a model is traced; all sizes are possible afterwards
State = list[tuple[Tensor, ...]]  # of each layer, [B, ...]


class NextToken(nn.Module):
    """Return ln p of the token that follows `ids`: (ids [B], state) -> (ln p [B, V], new state)."""

    def __init__(self, decoder: RecurrentDecoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        features, new_state, _ = self.decoder.extract_features(ids.unsqueeze(0), state)
        return self.decoder.output_head.log_prob(features.squeeze(0)), new_state


class Targets(nn.Module):
    """Return ln p of each target: (ids [B, T], targets [B, T], state) -> (ln p [B, T], new state)."""

    def __init__(self, decoder: RecurrentDecoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, ids: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        features, new_state, _ = self.decoder.extract_features(ids.t(), state)
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
    state = [tuple(tensor.clone() for tensor in layer.initial_state(streams)) for layer in decoder.layers]
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
