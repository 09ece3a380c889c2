"""Training, window after window with the state carried on, against cells and a loop in nothing but torch."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.helpers.models import SIZE, tiny

Parameters = dict[str, Tensor]
NO_DROPOUT = (
    "--dropout", "0", "--hidden-dropout", "0", "--input-dropout", "0", "--embedding-dropout", "0",
    "--weight-dropout", "0", "--candidate-dropout", "0",
)  # fmt: skip


def gru(p, x, state):
    h = torch.gru_cell(x, state[0], p["weight_ih_l0"], p["weight_hh_l0"], p["bias_ih_l0"], p["bias_hh_l0"])
    return h, (h,)


def rnn(p, x, state):
    bias = p["bias_ih_l0"] + p["bias_hh_l0"]
    h = 1 / (1 + torch.exp(-(x @ p["weight_ih_l0"].T + state[0] @ p["weight_hh_l0"].T + bias)))
    return h, (h,)


def lstmp(p, x, state):
    h, c = state
    bias = p["bias_ih_l0"] + p["bias_hh_l0"]
    i, f, g, o = (x @ p["weight_ih_l0"].T + h @ p["weight_hh_l0"].T + bias).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = (torch.sigmoid(o) * torch.tanh(c)) @ p["weight_hr_l0"].T
    return h, (h, c)


def cifg(p, x, state):
    h, c = state
    f, g, o = (x @ p["weight_ih_l0"].T + h @ p["weight_hh_l0"].T + p["bias_l0"]).chunk(3, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(-f) * torch.tanh(g)
    h = (torch.sigmoid(o) * torch.tanh(c)) @ p["weight_hr_l0"].T
    return h, (h, c)


def factorised(p, x, state):
    h, c = state
    low = F.linear(torch.cat([x, h], 1), torch.cat([p["factor_ih"], p["factor_hh"]], 1))
    i, f, g, o = F.linear(low, p["factor_out"], p["bias_ih_l0"] + p["bias_hh_l0"]).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, (h, c)


def layer_norm(p, x, state):
    h, c = state
    gates = (x @ p["weight_ih_l0"].T + h @ p["weight_hh_l0"].T).chunk(4, dim=1)
    units = c.shape[1:]
    i, f, g, o = (
        F.layer_norm(gate, units, scale, shift, 1e-5)
        for gate, scale, shift in zip(gates, p["gate_scale"], p["gate_shift"], strict=True)
    )
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    c = F.layer_norm(c, units, p["cell_scale"], p["cell_shift"], 1e-5)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, (h, c)


MODELS = {  # {name: (cell, architecture and flags)}
    "awd_gru": (gru, ("awd_gru", *NO_DROPOUT[:-2])),
    "simple_rnn": (rnn, ("simple_rnn", *NO_DROPOUT[:-2])),
    "lstmp": (lstmp, ("awd_lstm", "--memory-cells", "9", *NO_DROPOUT)),
    "cifg": (cifg, ("cifg", "--memory-cells", "9", *NO_DROPOUT[:-2])),
    "factorised_lstm": (factorised, ("awd_lstm", "--lstm-rank", "2", *NO_DROPOUT)),
    "layer_norm_lstm": (layer_norm, ("lstm_wt103", "--layer-norm", *NO_DROPOUT)),
}


def plain_loss(cell, p: Parameters, source: Tensor, target: Tensor, states: list) -> tuple[Tensor, list]:
    """Return the mean nll of a window, source and target [T, B], and the states after it."""
    x = p["embed_tokens.weight"][source]
    after = []
    for number, state in enumerate(states):
        prefix, outputs = f"layers.{number}.", []
        own = {name.removeprefix(prefix): value for name, value in p.items() if name.startswith(prefix)}
        for x_t in x:
            y, state = cell(own, x_t, state)
            outputs.append(y)
        x = torch.stack(outputs)
        after.append(tuple(tensor.detach() for tensor in state))
    matrix = p.get("output_head.vocabulary.weight", p["embed_tokens.weight"])
    logits = x @ matrix.T + p["output_head.vocabulary.bias"]
    return F.cross_entropy(logits.flatten(0, 1), target.flatten()), after


@pytest.mark.parametrize("name", MODELS)
def test_training_is_that_of_a_plain_loop(name):
    cell, flags = MODELS[name]
    model = tiny(*flags).train()
    plain = {key: p.detach().clone().requires_grad_() for key, p in model.decoder.named_parameters()}
    states = [layer.initial_state(3) for layer in model.decoder.layers]
    optimizers = [torch.optim.Adam(p, lr=0.01) for p in (model.parameters(), plain.values())]
    text = torch.randint(4, SIZE, (3, 121))
    start = 0
    for step, size in enumerate([5, 1, 9, 5] * 6):
        source, target = text[:, start : start + size], text[:, start + 1 : start + 1 + size]
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = -model(source, target=target, stream="train", step=step)[0].mean()
        expected, states = plain_loss(cell, plain, source.t(), target.t(), states)
        loss.backward(), expected.backward()
        torch.testing.assert_close(loss, expected, rtol=0, atol=1e-12)
        for key, p in model.decoder.named_parameters():
            torch.testing.assert_close(p.grad, plain[key].grad, rtol=0, atol=1e-11, msg=key)
        for optimizer in optimizers:
            optimizer.step()
        start += size
    for key, p in model.decoder.named_parameters():
        torch.testing.assert_close(p, plain[key], rtol=0, atol=1e-9)
