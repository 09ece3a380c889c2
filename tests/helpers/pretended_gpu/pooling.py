"""Launch the Triton kernels of fo_pooling on pretended GPU tensors: the CPU's kernels compute them.

Triton's interpreter computes the same kernels in tests/ops/test_fo_pooling.py, which takes a thousand
times longer.
"""

import types
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from lm_plugins.ops.fo_pooling import cpu
from tests.helpers.pretended_gpu.record import Record
from tests.helpers.pretended_gpu.tensors import Device, GPUTensor


def kernels(record: Record) -> types.SimpleNamespace:
    """Return what :func:`lm_plugins.ops.fo_pooling.self_test.triton_kernels` returns on a GPU."""

    def inside(*tensors: Tensor | None) -> list[Tensor | None]:
        for tensor in tensors:
            if tensor is not None and not (isinstance(tensor, GPUTensor) and tensor.is_contiguous()):
                raise RuntimeError(f"a Triton kernel got strides {tensor.stride()} on {tensor.device}")
        return [None if tensor is None else tensor.inner for tensor in tensors]

    def prepare(gates: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
        return gates, c0

    def forward(
        gates: Tensor, c0: Tensor, mask: Tensor | None, factor: float, reset: Tensor | None, save: bool,
        overwrite: bool,
    ) -> tuple[Any, ...]:  # fmt: skip
        record.op("forward_kernel")
        tensors = inside(gates, c0, mask, reset)
        with _disable_current_modes():
            gates, c0, mask, reset = tensors
            wide = torch.promote_types(c0.dtype, torch.float32)

            def compute() -> tuple[Tensor | None, ...]:
                inputs = gates.to(wide, copy=True), c0.to(wide)
                out = cpu.forward(*inputs, mask, factor, reset, save, False)
                return tuple(None if one is None else one.to(c0.dtype) for one in out)

            out = compute()
            Device.recorder.add(compute, out)
            return tuple(None if one is None else GPUTensor(one) for one in out)

    def backward(
        gates: Tensor, c0: Tensor, mask: Tensor | None, factor: float, reset: Tensor | None, c: Tensor,
        grad_h: Tensor, grad_last: Tensor, grad_gates: Tensor,
    ) -> Tensor:  # fmt: skip
        record.op("backward_kernel")
        tensors = inside(gates, c0, mask, reset, c, grad_h, grad_last, grad_gates)
        with _disable_current_modes():
            gates, c0, mask, reset, c, grad_h, grad_last, grad_gates = tensors
            wide = torch.promote_types(c0.dtype, torch.float32)

            def compute() -> Tensor:
                inputs = gates.to(wide, copy=True), c0.to(wide)
                grads = c.to(wide), grad_h.to(wide), grad_last.to(wide)
                out = torch.empty_like(inputs[0])
                grad_c0 = cpu.backward(*inputs, mask, factor, reset, *grads, out)
                grad_gates.copy_(out)
                return grad_c0.to(c0.dtype)

            out = compute()
            Device.recorder.add(compute, out)
            return GPUTensor(out)

    return types.SimpleNamespace(prepare=prepare, forward=forward, backward=backward)
