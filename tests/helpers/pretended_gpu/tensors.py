"""Tensors that say "cuda" and hold a CPU tensor."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

NUMPY = (
    "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory."
)


class Device:
    """The current device of this process, and what handles the ops of its tensors."""

    index = 0
    handle: Callable[[Any, tuple, dict], Any]  # set by dispatch.py
    record: Any  # a Record
    recorder: Any  # a Recorder of graphs


class GPUTensor(Tensor):
    """A tensor "on" the GPU `index`: a wrapper of the CPU tensor `inner`."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "GPUTensor":
        made = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=torch.device("cuda", Device.index),
        )  # fmt: skip
        made.inner = inner
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return Device.handle(func, args, kwargs or {})

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], meta: None, size: Any, stride: Any) -> "GPUTensor":
        return GPUTensor(inner["inner"])

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *args: Any, **named: Any) -> Any:
        raise TypeError(NUMPY)

    __array__ = numpy

    def __reduce_ex__(self, protocol: int) -> Any:
        Device.record.fault("a tensor on the GPU is pickled")
        return self.inner.__reduce_ex__(protocol)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"GPUTensor({self.inner!r})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return self.item().__format__(spec) if self.dim() == 0 else repr(self)


def _sparse(name: str) -> Callable[..., Any]:
    def method(self: "SparseGPUTensor", *args: Any) -> Any:
        if name.endswith("coalesce") and not self.inner.is_coalesced():
            Device.record.wait(name)
        with _disable_current_modes():
            out = getattr(self.inner, name)(*args)
        if not isinstance(out, Tensor):
            return out
        return SparseGPUTensor(out) if out.is_sparse else GPUTensor(out)

    return method


class SparseGPUTensor(GPUTensor):
    """A sparse tensor "on" the GPU, which autograd's C++ code takes for a dense one."""

    @staticmethod
    def __new__(cls, inner: Tensor) -> "SparseGPUTensor":
        device = torch.device("cuda", Device.index)
        made = Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, device=device)
        made.inner = inner
        return made

    is_sparse = property(lambda self: True)
    coalesce, _coalesce = _sparse("coalesce"), _sparse("coalesce")
    values, _values = _sparse("values"), _sparse("_values")
    indices, _indices = _sparse("indices"), _sparse("_indices")
    is_coalesced, _nnz = _sparse("is_coalesced"), _sparse("_nnz")
