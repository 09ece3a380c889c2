"""QRNN: the pooling of the gates and the whole layer, compared with the method of torchqrnn."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import peer_code
from benchmarks.floor import FLOOR, Matrix, floor
from benchmarks.measure import Group, Work
from benchmarks.passes import AS_TRAINED, as_trained, forward, forward_backward
from lm_plugins.modules.qrnn import QRNNLayer
from lm_plugins.ops.fo_pooling import fo_pooling

SHAPES = [(70, 20, 1550), (200, 40, 1150), (140, 60, 2500)]  # T, B, H: PTB, characters, WikiText-103


def peer_forget_mult(f: Tensor, z: Tensor, c0: Tensor) -> Tensor:
    """Pool like torchqrnn on a CPU, in CPUForgetMult: a loop over T that autograd records."""
    states, previous, forgets = [], c0, f.split(1, dim=0)
    for t, new in enumerate((f * z).split(1, dim=0)):
        previous = (new + (1 - forgets[t]) * previous).view(c0.shape)
        states.append(previous)
    return torch.stack(states)


def peer_pooling(gates: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
    """Pool in torchqrnn's order: the activation of o comes last, after the states of the loop are freed."""
    z, f, o = gates.chunk(3, dim=2)
    z, f = torch.tanh(z), torch.sigmoid(f)
    c = peer_forget_mult(f, z, c0)
    return torch.sigmoid(o) * c, c[-1]


class PeerQRNN(nn.Module):
    """torchqrnn's layer, window 1 or 2, with the input before the window kept on the module."""

    def __init__(self, n_in: int, n_out: int, window: int = 1) -> None:
        super().__init__()
        self.linear, self.window, self.previous = nn.Linear(window * n_in, 3 * n_out), window, None

    def forward(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output, [T, B, H], and the last state, [B, H]."""
        source = x
        if self.window == 2:
            first = torch.zeros_like(x[:1]) if self.previous is None else self.previous
            source = torch.cat([x, torch.cat([first, x[:-1]])], dim=2)
            self.previous = x[-1:].detach()
        return peer_pooling(self.linear(source), c)


def layer_itself(n_in: int, n_out: int) -> nn.Module:
    """Return torchqrnn's own layer on a CPU; by default it would use a GPU."""
    return peer_code.imported("torchqrnn.qrnn").QRNNLayer(n_in, n_out, use_cuda=False)


class Product(torch.autograd.Function):
    """Stand in for the matrix product that computes the gates, in no time."""

    @staticmethod
    def forward(ctx: object, leaf: Tensor, gates: Tensor) -> Tensor:
        """Return the gates, with a gradient if `leaf` has one."""
        return gates.new_empty(0).set_(gates)  # a view could not be overwritten

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> tuple[None, None]:
        """Drop the gradient."""
        return None, None


def pooling(
    shape: tuple[int, int, int], function: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], training: bool
) -> Work:
    """Prepare the pooling of gates that are not used again, as in a layer; `shape` is T, B, H."""
    steps, streams, units = shape
    gates = torch.randn(steps, streams, 3 * units)
    c0, leaf = torch.zeros(streams, units), torch.zeros((), requires_grad=training)

    def output(leaf: Tensor) -> Tensor:
        return function(Product.apply(leaf, gates), c0)[0]

    return forward_backward(output, [], leaf) if training else forward(output, leaf)


def pooling_itself(shape: tuple[int, int, int], training: bool) -> Work:
    """Prepare torchqrnn's own layer without its matrix product."""
    qrnn = layer_itself(shape[-1], shape[-1])
    qrnn.linear = nn.Identity()
    return pooling(shape, qrnn, training)


def copying(shape: tuple[int, int, int], training: bool) -> Work:
    """Prepare a copy of as many bytes as a pooling moves.

    Forward reads z, f, o and writes h, c; backward reads five tensors and writes three.
    """
    source = torch.randn(13 if training else 5, *shape).flatten()
    source, target = source.tensor_split(2)
    return lambda: target.copy_(source[: len(target)])


def layer(shape: tuple[int, int, int], make: Callable[[int, int], nn.Module], training: bool) -> Work:
    """Prepare a layer of kernel width 1 with as many inputs as units; `shape` is T, B, H."""
    steps, streams, units = shape
    recurrent = make(units, units)
    x = torch.randn(steps, streams, units, requires_grad=training)
    c0 = torch.zeros(streams, units)
    state = {QRNNLayer: (c0,), nn.LSTM: None}.get(make, c0)

    def output(x: Tensor) -> Tensor:
        return recurrent(x, state)[0]

    return forward_backward(output, recurrent.parameters(), x) if training else forward(output, x)


def groups(quick: bool) -> Iterator[Group]:
    """Yield a group for the pooling and one for the layer, of each shape, for inference and for training."""
    for shape in [(3, 2, 5)] if quick else SHAPES:
        for training in (False, True):
            steps, streams, units = shape
            passes = f"T, B, H {shape}, {'forward and backward' if training else 'forward'}"
            ways = {
                "torchqrnn's way": partial(pooling, shape, peer_pooling, training),
                **peer_code.itself(partial(pooling_itself, shape, training), "torchqrnn"),
                "torch alone": partial(pooling, shape, partial(fo_pooling, impl="torch"), training),
                "ours": partial(pooling, shape, partial(fo_pooling, overwrite=True), training),
                "copying as many bytes": partial(copying, shape, training),
            }
            layers = {
                "torchqrnn's way": partial(layer, shape, PeerQRNN, training),
                **peer_code.itself(partial(layer, shape, layer_itself, training), "torchqrnn"),
                "torch.nn.LSTM": partial(layer, shape, nn.LSTM, training),
                "ours": partial(layer, shape, QRNNLayer, training),
                AS_TRAINED: partial(as_trained, layer, shape, QRNNLayer, training),
                FLOOR: partial(floor, steps * streams, [Matrix(units, 3 * units)], training),
            }
            yield Group(f"QRNN pooling, {passes}", ways)
            yield Group(f"QRNN layer, {passes}", layers, floors={AS_TRAINED: FLOOR})
