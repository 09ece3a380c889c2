"""A language model and its training loop in nothing but torch: the oracle of the tests through fairseq."""

from itertools import pairwise
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from lm_plugins.data.windows import cut, fixed

NO_DROPOUT = (
    "--dropout", "0", "--hidden-dropout", "0", "--input-dropout", "0", "--embedding-dropout", "0",
    "--weight-dropout", "0",
)  # fmt: skip
NO_REGULARISATION = ("--ar-alpha", "0", "--tar-beta", "0", "--weight-decay", "0")


class PlainModel(torch.nn.Module):
    """A tied two-layer LSTM language model with the weights of a checkpoint."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        size, width = weights["decoder.embed_tokens.weight"].shape
        hidden = weights["decoder.layers.0.weight_hh_l0"].shape[1]
        self.table = torch.nn.Parameter(weights["decoder.embed_tokens.weight"].clone())
        self.bias = torch.nn.Parameter(weights["decoder.output_head.vocabulary.bias"].clone())
        self.layers = torch.nn.ModuleList([torch.nn.LSTM(width, hidden), torch.nn.LSTM(hidden, width)])
        for number, layer in enumerate(self.layers):
            prefix = f"decoder.layers.{number}."
            layer.load_state_dict({name: weights[prefix + name] for name in layer.state_dict()})
        self.size = size

    def forward(self, source: Tensor, state: list[Any]) -> tuple[Tensor, list[Any]]:
        """Return the logits, [T, B, V], and the new state."""
        x, new_state = self.table[source], []
        for layer, layer_state in zip(self.layers, state, strict=True):
            x, out = layer(x, layer_state)
            new_state.append(tuple(tensor.detach() for tensor in out))
        return x @ self.table.T + self.bias, new_state


def streams(tokens: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return source and target [T, B] of contiguous streams, with pads (1) after the shorter ones."""
    bounds = [number * len(tokens) // count for number in range(count + 1)]
    steps = max(end - start for start, end in pairwise(bounds))
    source, target = torch.full((2, steps, count), 1)
    shifted = torch.cat([torch.tensor([2]), tokens[:-1]])
    for row, (start, end) in enumerate(pairwise(bounds)):
        source[: end - start, row], target[: end - start, row] = shifted[start:end], tokens[start:end]
        source[end - start :, row] = tokens[end - 1]
    return source, target


def plain_epoch(
    model: PlainModel,
    tokens: Tensor,
    count: int,
    window: int,
    optimizer: Optional[torch.optim.Optimizer] = None,
) -> float:
    """Return the mean nll over all targets in bits; with an optimizer, make one update per window."""
    source, target = streams(tokens, count)
    state, total = [None] * len(model.layers), 0.0
    for _, start, length, _ in cut(len(source), fixed(window)):
        logits, state = model(source[start : start + length], state)
        nll = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), target[start : start + length].flatten(), ignore_index=1, reduction="sum"
        )
        total += nll.item()
        if optimizer:
            optimizer.zero_grad()
            (nll / int(target[start : start + length].ne(1).sum())).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            optimizer.step()
    return total / len(tokens) / torch.tensor(2.0).log().item()


def tokens_of(data_bin: Path, split: str) -> Tensor:
    """Return all token ids of a subset, [N]."""
    return torch.from_numpy(np.fromfile(data_bin / f"{split}.bin", dtype=np.uint16).astype(np.int64))
