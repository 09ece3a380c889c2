"""The training step of awd-lstm-lm: its model, and the body of the loop in its main.py."""

import contextlib

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.lstm import PeerWeightDrop
from benchmarks.measure import Work
from benchmarks.peer_code import imported
from benchmarks.qrnn import PeerQRNN

OUTPUT_DROPOUT, EMBEDDING_DROPOUT, ALPHA, BETA, LR, WEIGHT_DECAY = 0.4, 0.1, 2, 1, 30, 1.2e-6

State = Tensor | tuple[Tensor, Tensor]  # of one layer


class PeerModel(nn.Module):
    """A tied language model of LSTM or QRNN layers (`kind`), with awd-lstm-lm's dropouts."""

    def __init__(
        self,
        kind: str,
        vocabulary: int,
        embedding: int,
        hidden: int,
        layers: int,
        dropout_i: float,
        dropout_h: float,
        weight_dropout: float,
    ) -> None:
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

    def initial_state(self, streams: int) -> list[State]:
        """Return a zero state for each layer."""
        if self.kind == "QRNN":
            return [torch.zeros(streams, size) for size in self.sizes[1:]]
        return [(torch.zeros(1, streams, size),) * 2 for size in self.sizes[1:]]

    def forward(self, source: Tensor, state: list[State]) -> tuple[Tensor, Tensor, list[State]]:
        """Return the last layer's output with and without dropout, [T, B, C], and the new state."""
        table = self.encoder.weight  # embedded_dropout: a masked copy of the whole table
        mask = torch.empty(len(table), 1).bernoulli_(1 - EMBEDDING_DROPOUT) / (1 - EMBEDDING_DROPOUT)
        x = locked_dropout(F.embedding(source, mask * table), self.dropout_i)
        new_state = []
        for number, (layer, layer_state) in enumerate(zip(self.layers, state, strict=True)):
            raw, layer_state = layer(x, layer_state)
            new_state.append(layer_state)
            last = number == len(self.layers) - 1
            x = locked_dropout(raw, OUTPUT_DROPOUT if last else self.dropout_h)
        return x, raw, new_state


def locked_dropout(x: Tensor, p: float) -> Tensor:
    """Drop the same units of `x`, [T, B, C], at every time step."""
    return x * (torch.empty(1, *x.shape[1:]).bernoulli_(1 - p) / (1 - p))


def detached(state: State) -> State:
    """Cut the state of a layer from the graph."""
    return tuple(map(detached, state)) if isinstance(state, tuple) else state.detach()


def peer_loss(decoder: nn.Linear, dropped: Tensor, target: Tensor) -> Tensor:
    """Return the mean loss as in SplitCrossEntropyLoss, which has no splits at these sizes."""
    scores = F.linear(dropped.flatten(0, 1), decoder.weight, decoder.bias)
    return -F.log_softmax(scores, dim=-1).gather(1, target.reshape(-1, 1)).mean()


def peer_step(model: PeerModel, source: Tensor, target: Tensor, clip: float) -> Work:
    """Prepare a step of main.py's train()."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    state = [model.initial_state(source.size(1))]

    def step() -> None:
        dropped, raw, state[0] = model(source, list(map(detached, state[0])))
        loss = peer_loss(model.decoder, dropped, target)
        loss = loss + ALPHA * dropped.pow(2).mean() + BETA * (raw[1:] - raw[:-1]).pow(2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        state[0] = list(map(detached, state[0]))
        optimizer.zero_grad()

    return step


def model_itself(
    kind: str, vocabulary: int, embedding: int, hidden: int, layers: int, *dropouts: float
) -> nn.Module:
    """Return awd-lstm-lm's own model, for the arguments of :class:`PeerModel`."""
    sizes = vocabulary, embedding, hidden, layers
    dropout_i, dropout_h, weight_dropout = dropouts
    dropouts = OUTPUT_DROPOUT, dropout_h, dropout_i, EMBEDDING_DROPOUT, weight_dropout
    with contextlib.redirect_stdout(None):  # it prints its layers
        model = imported("model").RNNModel(kind, *sizes, *dropouts, True)
    for layer in model.rnns:
        layer.use_cuda = False  # a QRNN would use a GPU by default
    return model


def step_itself(model: nn.Module, source: Tensor, target: Tensor, clip: float) -> Work:
    """Prepare a step with awd-lstm-lm's own code, except main.py, which cannot be imported."""
    repackage_hidden = imported("utils").repackage_hidden
    criterion = imported("splitcross").SplitCrossEntropyLoss(model.ninp, splits=[])
    parameters = [*model.parameters(), *criterion.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=LR, weight_decay=WEIGHT_DECAY)
    state = [model.init_hidden(source.size(1))]

    def step() -> None:
        model.train()
        hidden = repackage_hidden(state[0])
        output, state[0], raw, dropped = model(source, hidden, return_h=True)
        loss = criterion(model.decoder.weight, model.decoder.bias, output, target.flatten())
        loss = loss + ALPHA * dropped[-1].pow(2).mean() + BETA * (raw[-1][1:] - raw[-1][:-1]).pow(2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        state[0] = repackage_hidden(state[0])
        optimizer.zero_grad()  # main.py does this before the next step, which would keep the gradients

    return step
