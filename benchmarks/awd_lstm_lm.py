"""The rival of the training step: awd-lstm-lm's model and the inside of its main.py's loop."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.lstm import PeerWeightDrop
from benchmarks.qrnn import peer_pooling

OUTPUT_DROPOUT, EMBEDDING_DROPOUT, ALPHA, BETA, LR, WEIGHT_DECAY = 0.4, 0.1, 2, 1, 30, 1.2e-6


class PeerQRNN(nn.Module):
    """torchqrnn's layer, window 1 or 2, with the input before the window kept on the module."""

    def __init__(self, n_in, n_out, window):
        super().__init__()
        self.linear, self.window, self.previous = nn.Linear(window * n_in, 3 * n_out), window, None

    def forward(self, x, c):
        source = x
        if self.window == 2:
            first = torch.zeros_like(x[:1]) if self.previous is None else self.previous
            source = torch.cat([x, torch.cat([first, x[:-1]])], dim=2)
            self.previous = x[-1:].detach()
        return peer_pooling(self.linear(source), c)


class PeerModel(nn.Module):
    def __init__(self, kind, vocabulary, embedding, hidden, layers, dropout_i, dropout_h, weight_dropout):
        super().__init__()
        self.kind, self.dropout_i, self.dropout_h = kind, dropout_i, dropout_h
        self.encoder, self.decoder = (
            nn.Embedding(vocabulary, embedding),
            nn.Linear(embedding, vocabulary),
        )
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        self.decoder.weight = self.encoder.weight
        self.sizes = [embedding, *[hidden] * (layers - 1), embedding]
        self.layers = nn.ModuleList()
        for number in range(layers):
            n_in, n_out = self.sizes[number : number + 2]
            if kind == "LSTM":
                layer = PeerWeightDrop(nn.LSTM(n_in, n_out), "weight_hh_l0", weight_dropout)
            else:
                layer = PeerQRNN(n_in, n_out, window=2 if number == 0 else 1)
                layer.linear = PeerWeightDrop(layer.linear, "weight", weight_dropout)
            self.layers.append(layer)

    def initial_state(self, streams):
        if self.kind == "QRNN":
            return [torch.zeros(streams, size) for size in self.sizes[1:]]
        return [(torch.zeros(1, streams, size),) * 2 for size in self.sizes[1:]]

    def forward(self, source, state):
        table = self.encoder.weight  # embedded_dropout: a masked copy of the whole table
        mask = torch.empty(len(table), 1).bernoulli_(1 - EMBEDDING_DROPOUT) / (1 - EMBEDDING_DROPOUT)
        x = locked_dropout(F.embedding(source, mask * table), self.dropout_i)
        left = []
        for number, (layer, entered) in enumerate(zip(self.layers, state, strict=True)):
            raw, out = layer(x, entered)
            left.append(out)
            last = number == len(self.layers) - 1
            x = locked_dropout(raw, OUTPUT_DROPOUT if last else self.dropout_h)
        return x, raw, left


def locked_dropout(x, p):
    return x * (torch.empty(1, *x.shape[1:]).bernoulli_(1 - p) / (1 - p))


def detached(state):
    return tuple(detached(part) for part in state) if isinstance(state, tuple) else state.detach()


def peer_loss(decoder, dropped, target):
    """SplitCrossEntropyLoss, which has no splits at these sizes; the scores are gone when it returns."""
    scores = F.linear(dropped.flatten(0, 1), decoder.weight, decoder.bias)
    return -F.log_softmax(scores, dim=-1).gather(1, target.reshape(-1, 1)).mean()


def peer_step(model, source, target, clip):
    """One step of main.py's train()."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    state = [model.initial_state(source.size(1))]

    def step():
        entered = [detached(part) for part in state[0]]
        dropped, raw, state[0] = model(source, entered)
        loss = peer_loss(model.decoder, dropped, target)
        loss = loss + ALPHA * dropped.pow(2).mean() + BETA * (raw[1:] - raw[:-1]).pow(2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        state[0] = [detached(part) for part in state[0]]
        optimizer.zero_grad()

    return step
