"""Small models of awd-lstm-lm, mos and fastai: pickled like theirs, and their forward pass in plain torch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WORDS = ["the", "<unk>", "cat", "<eos>", "sat", "on", "mat", "a", "dog", "ran", "far", "away"]
EMBEDDING, HIDDEN = 4, 6


@contextmanager
def modules(**classes: dict[str, type]) -> Iterator[None]:
    """Make {name of a module: {name of a class: class}} importable, and remove them afterwards."""
    for name, members in classes.items():
        sys.modules[name] = ModuleType(name)
        for attribute, kind in members.items():
            kind.__module__, kind.__qualname__ = name, attribute
            setattr(sys.modules[name], attribute, kind)
    try:
        yield
    finally:
        for name in classes:
            del sys.modules[name]


class LockedDropout(nn.Module):
    """A module without parameters."""


class WeightDrop(nn.Module):
    """A wrapper that keeps the raw weight under another name, and a bound method, as theirs does."""

    def __init__(self, module: nn.Module, name: str, dropout: float) -> None:
        super().__init__()
        raw = module._parameters.pop(name)
        module.register_parameter(f"{name}_raw", nn.Parameter(raw.data))
        object.__setattr__(module, name, raw.data * 7)  # a dropped weight that must not be taken
        module.flatten_parameters = self.nothing
        self.module, self.weights, self.dropout = module, [name], dropout

    def nothing(self) -> None:
        """Replace flatten_parameters."""


class QRNNLayer(nn.Module):
    """The attributes of torchqrnn's layer."""

    def __init__(self, n_in: int, n_out: int, window: int) -> None:
        super().__init__()
        self.window, self.output_gate, self.zoneout, self.hidden_size = window, True, 0, n_out
        self.linear = WeightDrop(nn.Linear(window * n_in, 3 * n_out), "weight", 0.1)


class SplitCrossEntropyLoss(nn.Module):
    """The attributes of awd-lstm-lm's criterion."""

    def __init__(self, hidden_size: int, splits: list[int]) -> None:
        super().__init__()
        self.splits = [0, *splits, 100 * 1000000]
        if splits:
            self.tail_vectors = nn.Parameter(torch.randn(len(splits), hidden_size))
            self.tail_bias = nn.Parameter(torch.randn(len(splits)))


class RNNModel(nn.Module):
    """The attributes of the models of awd-lstm-lm, and with `experts` of mos."""

    def __init__(self, kind: str, experts: int = 0, last: int = EMBEDDING, tied: bool = True) -> None:
        super().__init__()
        self.lockdrop, self.rnn_type = LockedDropout(), kind
        self.encoder = nn.Embedding(len(WORDS), EMBEDDING)
        sizes = [(EMBEDDING, HIDDEN), (HIDDEN, last)]
        if kind == "QRNN":
            layers = [QRNNLayer(*size, window=2 - number) for number, size in enumerate(sizes)]
        else:
            cell = {"LSTM": nn.LSTM, "GRU": nn.GRU}[kind]
            layers = [WeightDrop(cell(*size), "weight_hh_l0", 0.25) for size in sizes]
        self.rnns = nn.ModuleList(layers)
        self.decoder = nn.Linear(EMBEDDING if experts else last, len(WORDS))
        if experts:
            self.prior = nn.Linear(last, experts, bias=False)
            self.latent = nn.Sequential(nn.Linear(last, experts * EMBEDDING), nn.Tanh())
        if tied:
            self.decoder.weight = self.encoder.weight
        self.dropout, self.dropouth, self.dropouti, self.dropoute = 0.4, 0.3, 0.65, 0.1
        nn.init.normal_(self.decoder.bias)


PEER_MODULES = {
    "model": {"RNNModel": RNNModel},
    "weight_drop": {"WeightDrop": WeightDrop},
    "locked_dropout": {"LockedDropout": LockedDropout},
    "splitcross": {"SplitCrossEntropyLoss": SplitCrossEntropyLoss},
    "torchqrnn": {"QRNNLayer": QRNNLayer},
}


def save(content: Any, path: Any, **options: Any) -> str:
    """Save `content` while the peers' modules can be imported, and return `path`."""
    with modules(**PEER_MODULES):
        torch.save(content, path, **options)
    return str(path)


def features(weights: dict[str, Tensor], kind: str, ids: Tensor) -> Tensor:
    """Return the last layer's output of a model with these weights, [T, C], from a zero state."""
    x = F.embedding(ids, weights["encoder.weight"]).unsqueeze(1)
    for number in range(2):
        layer = {
            name.split(".")[-1].removesuffix("_raw"): tensor
            for name, tensor in sorted(weights.items(), key=lambda item: item[0].endswith("_raw"))
            if name.startswith(f"rnns.{number}.")
        }
        x = qrnn(x, layer) if kind == "QRNN" else recurrence(x, layer, kind)
    return x.squeeze(1)


def recurrence(x: Tensor, layer: dict[str, Tensor], kind: str) -> Tensor:
    """Return the output of torch's own LSTM or GRU."""
    module = {"LSTM": nn.LSTM, "GRU": nn.GRU}[kind](
        layer["weight_ih_l0"].size(1), layer["weight_hh_l0"].size(1)
    )
    module.load_state_dict(layer)
    return module(x)[0].detach()


def qrnn(x: Tensor, layer: dict[str, Tensor]) -> Tensor:
    """Return the output of torchqrnn's layer: gates z, f, o of [x_t; x_{t-1}]."""
    if layer["weight"].size(1) == 2 * x.size(-1):
        x = torch.cat([x, torch.cat([torch.zeros_like(x[:1]), x[:-1]])], dim=-1)
    z, f, o = F.linear(x, layer["weight"], layer["bias"]).chunk(3, dim=-1)
    c, outputs = torch.zeros_like(z[0]), []
    for t in range(len(x)):
        c = f[t].sigmoid() * z[t].tanh() + (1 - f[t].sigmoid()) * c
        outputs.append(o[t].sigmoid() * c)
    return torch.stack(outputs)


def split_log_prob(h: Tensor, weight: Tensor, bias: Tensor, criterion: SplitCrossEntropyLoss) -> Tensor:
    """Return ln p of SplitCrossEntropyLoss, [T, V]: the i-th tail has the i-th tombstone from the end."""
    first, *bounds = [min(bound, len(bias)) for bound in criterion.splits[1:]]
    head = F.linear(
        h, torch.cat([weight[:first], criterion.tail_vectors]), torch.cat([bias[:first], criterion.tail_bias])
    ).log_softmax(-1)
    results = [head[:, :first]]
    for number, (low, high) in enumerate(zip([first, *bounds], bounds, strict=False), 1):
        tail = F.linear(h, weight[low:high], bias[low:high]).log_softmax(-1)
        results.append(head[:, -number].unsqueeze(-1) + tail)
    return torch.cat(results, dim=-1).detach()


def mixture_log_prob(h: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Return ln p of mos, [T, V], with the 1e-8 that it adds to p."""
    latent = F.linear(h, weights["latent.0.weight"], weights["latent.0.bias"]).tanh()
    logits = F.linear(latent.view(-1, EMBEDDING), weights["decoder.weight"], weights["decoder.bias"])
    prior = F.linear(h, weights["prior.weight"]).softmax(-1)
    p = logits.softmax(-1).view(len(h), -1, len(WORDS))
    return ((p * prior.unsqueeze(-1)).sum(1) + 1e-8).log()
