"""QRNN: the pooling behind the gates, and the whole layer, against torchqrnn's way."""

from functools import partial

import torch
from torch.nn import functional as F

from benchmarks.measure import Group
from benchmarks.passes import forward, forward_backward
from lm_plugins.modules.qrnn import QRNNLayer
from lm_plugins.ops.fo_pooling import fo_pooling

SHAPES = [(70, 20, 1550), (200, 40, 1150), (140, 60, 2500)]  # T, B, H: PTB, characters, WikiText-103


def peer_pooling(gates, c0):
    """As torchqrnn on a CPU: CPUForgetMult, a loop over T on autograd's tape, between activations."""
    z, f, o = gates.chunk(3, dim=2)
    z, f, o = torch.tanh(z), torch.sigmoid(f), torch.sigmoid(o)
    states, previous = [], c0
    forgets = f.split(1, dim=0)
    for t, new in enumerate((f * z).split(1, dim=0)):
        previous = (new + (1 - forgets[t]) * previous).view(c0.shape)
        states.append(previous)
    return o * torch.stack(states), previous


class Product(torch.autograd.Function):
    """Stands for the matrix product that the gates come from, and takes no time."""

    @staticmethod
    def forward(ctx, leaf, gates):
        return gates.view_as(gates)

    @staticmethod
    def backward(ctx, grad):
        return None, None


def pooling(shape, function, training):
    """Of gates that come from elsewhere and are not needed again, as in a layer."""
    steps, streams, units = shape
    gates = torch.randn(steps, streams, 3 * units)
    c0, leaf = torch.zeros(streams, units), torch.zeros((), requires_grad=training)

    def output(leaf):
        return function(Product.apply(leaf, gates), c0)[0]

    return forward_backward(output, [], leaf) if training else forward(output, leaf)


def layer(shape, ours, training):
    """Window 1, as many inputs as units."""
    steps, streams, units = shape
    qrnn = QRNNLayer(units, units)
    x = torch.randn(steps, streams, units, requires_grad=training)
    c0 = torch.zeros(streams, units)

    def output(x):
        if ours:
            return qrnn(x, (c0,))[0]
        return peer_pooling(F.linear(x, qrnn.linear.weight, qrnn.linear.bias), c0)[0]

    return forward_backward(output, qrnn.parameters(), x) if training else forward(output, x)


def groups(quick):
    for shape in [(3, 2, 5)] if quick else SHAPES:
        for training in (False, True):
            passes = f"T, B, H {shape}, {'forward and backward' if training else 'forward'}"
            ways = {"torchqrnn's way": peer_pooling, "torch alone": partial(fo_pooling, impl="sequential")}
            cases = {name: partial(pooling, shape, way, training) for name, way in ways.items()}
            yield Group(
                f"QRNN pooling, {passes}",
                {**cases, "ours": partial(pooling, shape, partial(fo_pooling, overwrite=True), training)},
            )
            yield Group(
                f"QRNN layer, {passes}",
                {
                    "torchqrnn's way": partial(layer, shape, False, training),
                    "ours": partial(layer, shape, True, training),
                },
            )
