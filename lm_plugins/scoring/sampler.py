"""Draw the tokens of several texts at once."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lm_plugins.errors import Refused
from lm_plugins.models.recurrent_decoder import RecurrentDecoder
from lm_plugins.scoring.reading import read
from lm_plugins.scoring.state import TextState, concatenate, zeros


@torch.no_grad()
def sample(
    decoder: RecurrentDecoder,
    prefixes: Sequence[Tensor],
    length: int,
    draw: Callable[[Tensor], Tensor],
    excluded: Sequence[int] = (),
) -> Tensor:
    """Return `length` more tokens of each text, [B, length] on the CPU.

    Args:
        decoder: a model in evaluation
        prefixes: the ids of the beginning of each text, [T] each, on the CPU
        draw: draws a token from each row of ln p
        excluded: ids that are never drawn

    Raises:
        Refused: a probability is NaN
    """
    state, drawn = read_prefixes(decoder, prefixes), []
    never = torch.tensor(list(excluded), dtype=torch.long, device=state.last.device)
    for _ in range(length):
        features, layers, _ = decoder.extract_features(state.last.unsqueeze(0), state.layers)
        log_prob = decoder.output_head.log_prob(features[0])  # [B, V]
        if log_prob.isnan().any():
            raise Refused("the model assigns a token the probability NaN: use an earlier checkpoint")
        state = TextState(layers, draw(log_prob.index_fill(-1, never, -torch.inf)))
        drawn.append(state.last)
    return torch.stack(drawn, dim=1).cpu() if drawn else torch.empty(len(prefixes), 0, dtype=torch.long)


def read_prefixes(decoder: RecurrentDecoder, prefixes: Sequence[Tensor]) -> TextState:
    """Return the state after each of B `prefixes`, all from a zero state and after a ``</s>``.

    Prefixes of the same length are read together.
    """
    device, eos = next(decoder.parameters()).device, torch.tensor([decoder.dictionary.eos()])
    order, states = [], []
    for size in sorted({len(prefix) for prefix in prefixes}):
        rows = [row for row, prefix in enumerate(prefixes) if len(prefix) == size]
        source = torch.stack([torch.cat([eos, prefixes[row]]) for row in rows], dim=1)  # [1 + T, B]
        source = source.to(device)
        layers = zeros(decoder, len(rows))
        if size:
            _, layers = read(decoder, source[:-1], layers)
        order += rows
        states.append(TextState(layers, source[-1]))
    together = TextState(
        concatenate([state.layers for state in states]), torch.cat([state.last for state in states])
    )
    return together.select(torch.tensor(order, device=device).argsort())
