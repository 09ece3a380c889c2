"""cuDNN's LSTM, computed by the CPU's, with cuDNN's demands on its arguments."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from tests.helpers.pretended_gpu.record import Record
from tests.helpers.pretended_gpu.tensors import GPUTensor

CPU_LSTM = torch.lstm
# The backward pass runs in a thread that is not inside a dispatch mode, nor below autograd.
OUTSIDE = ThreadPoolExecutor(1)
LSTM = 2  # cuDNN's number of the cell


def lstm(x: Tensor, *rest: Any, **named: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Stand in for ``torch.lstm``, which has no GPU to dispatch to in a CPU-only build."""
    if not x.is_cuda:
        return CPU_LSTM(x, *rest, **named)
    if isinstance(rest[0], Tensor):  # packed sequences
        sizes, (h, c), weights, _, _, _, train, _ = rest
        if sizes.device.type != "cpu":
            raise RuntimeError("batch_sizes tensor should be on CPU")
        sizes = sizes.tolist()
    else:
        (h, c), weights, sizes = rest[0], rest[1], []
        train = named["train"] if "train" in named else rest[5]
    units = h.size(2)
    out = torch._cudnn_rnn(
        x, list(weights), 4, None, h, c, LSTM, units, 0, 1, False, 0.0, train, False, sizes, None
    )
    return out[0], out[1], out[2]


def forward(
    record: Record, x: Tensor, weights: list[Tensor], stride: int, buffer: Tensor | None, h: Tensor,
    c: Tensor, mode: int, units: int, projection: int, layers: int, batch_first: bool, dropout: float,
    train: bool, both: bool, sizes: list[int], dropout_state: Tensor | None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Compute ``aten::_cudnn_rnn``."""
    for what, tensor in {"input": x, "h": h, "c": c, **dict(enumerate(weights))}.items():
        if not isinstance(tensor, GPUTensor) or tensor.dtype != x.dtype:
            raise RuntimeError(f"cuDNN: {what} is {tensor.dtype} on {tensor.device}, the input {x.dtype}")
    if not (h.is_contiguous() and c.is_contiguous()):
        raise RuntimeError("rnn: hx is not contiguous")
    if not x.is_contiguous():
        record.fault("cuDNN copies an input that is not contiguous")
    if buffer is None:
        record.fault("cuDNN compacts the weights")
    elif not torch.equal(buffer.inner, torch.cat([weight.inner.reshape(-1) for weight in weights])):
        raise RuntimeError("the weight buffer holds other weights")
    inner = [tensor.inner for tensor in (x, h, c, *weights)]
    with torch.no_grad():
        y, last_h, last_c = _on_cpu(inner, sizes, train=False)
    reserve = torch.empty(int(train), dtype=torch.uint8)
    flat = torch.cat([weight.reshape(-1) for weight in inner[3:]])
    return tuple(GPUTensor(tensor) for tensor in (y, last_h, last_c, reserve, flat))


def flatten(weights: list[Tensor], *rest: Any) -> Tensor:
    """Compute ``aten::_cudnn_rnn_flatten_weight`` for a single layer."""
    return GPUTensor(torch.cat([weight.inner.reshape(-1) for weight in weights]))


def backward(
    x: Tensor, weights: list[Tensor], stride: int, buffer: Tensor | None, h: Tensor, c: Tensor,
    output: Tensor, grad_y: Tensor | None, grad_h: Tensor | None, grad_c: Tensor | None, mode: int,
    units: int, projection: int, layers: int, batch_first: bool, dropout: float, train: bool, both: bool,
    sizes: list[int], dropout_state: Tensor | None, reserve: Tensor, mask: list[bool],
) -> tuple[Any, ...]:  # fmt: skip
    """Compute ``aten::_cudnn_rnn_backward``."""
    if not train:
        raise RuntimeError("cudnn RNN backward can only be called in training mode")

    def run() -> tuple[list[Tensor], tuple[Tensor | None, ...]]:
        inner = [tensor.inner.detach().clone().requires_grad_() for tensor in (x, h, c, *weights)]
        pairs = zip(_on_cpu(inner, sizes, train=True), (grad_y, grad_h, grad_c), strict=True)
        used = [(out, grad.inner) for out, grad in pairs if grad is not None]
        outs, gradients = zip(*used, strict=True)
        return inner, torch.autograd.grad(outs, inner, gradients, allow_unused=True)

    inner, grads = OUTSIDE.submit(run).result()
    out = [
        GPUTensor(torch.zeros_like(tensor) if grad is None else grad)
        for tensor, grad in zip(inner, grads, strict=True)
    ]
    return out[0], out[1], out[2], out[3:]


def _on_cpu(inner: list[Tensor], sizes: list[int], train: bool) -> tuple[Tensor, Tensor, Tensor]:
    x, h, c, *weights = inner
    if len(sizes):
        return CPU_LSTM(x, torch.tensor(sizes), (h, c), weights, True, 1, 0.0, train, False)
    return CPU_LSTM(x, (h, c), weights, True, 1, 0.0, train, False, False)
