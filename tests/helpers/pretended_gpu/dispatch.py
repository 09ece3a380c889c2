"""Compute the ops of GPU tensors on the CPU, and raise where a GPU raises."""

from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from tests.helpers.pretended_gpu import cudnn
from tests.helpers.pretended_gpu.graphs import Recorder
from tests.helpers.pretended_gpu.memory import Memory
from tests.helpers.pretended_gpu.record import INDEXING, WAITING, Record
from tests.helpers.pretended_gpu.tensors import Device, GPUTensor, SparseGPUTensor

PRODUCTS = ("aten::mm", "aten::addmm")  # occur in forward and backward passes only
# Ops that take tensors of both devices.
MIXED = INDEXING | {
    f"aten::{name}"
    for name in """copy_ _to_copy lift_fresh set_ _unsafe_index _copy_from _cudnn_rnn
    _cudnn_rnn_flatten_weight _foreach_copy_""".split()
}


class PretendedGPU(TorchDispatchMode):
    """Handle every op of the process."""

    def __init__(self, record: Record, memory: Memory, recorder: Recorder) -> None:
        super().__init__()
        self.record, self.memory, self.recorder = record, memory, recorder
        Device.recorder = recorder
        self.generators: dict[int, Generator] = {}  # on the CPU, by the seed of the one that says "cuda"
        Device.handle, Device.record = self.handle, record

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return self.handle(func, args, kwargs or {})

    def handle(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return what `func` returns; a result of GPU tensors, or asked for there, is on the GPU."""
        name = func._schema.name
        flat, structure = tree_flatten((args, kwargs))
        on_gpu = [x for x in flat if isinstance(x, GPUTensor)]
        on_cpu = [x for x in flat if isinstance(x, Tensor) and not isinstance(x, GPUTensor)]
        device = kwargs.get("device")
        to_gpu = bool(on_gpu) if device is None else torch.device(device).type == "cuda"
        if name == "aten::is_pinned":
            return False
        if name == "aten::_pin_memory":
            return args[0] if on_gpu else args[0].clone()
        self._check(name, flat, on_gpu, on_cpu, to_gpu)
        if on_gpu or to_gpu:
            self._count(name, args, kwargs, on_gpu, to_gpu)
        if name == "aten::_cudnn_rnn":
            out = cudnn.forward(self.record, *args)
            self.recorder.add(lambda: cudnn.forward(self.record, *args), out)
            return out
        if name == "aten::_cudnn_rnn_flatten_weight":
            return cudnn.flatten(*args)
        if name == "aten::_cudnn_rnn_backward":
            out = cudnn.backward(*args)
            self.recorder.add(lambda: cudnn.backward(*args), out)
            return out
        wrappers = {id(x.inner): x for x in reversed(on_gpu)}
        real_args, real_kwargs = tree_unflatten([self._unwrap(x) for x in flat], structure)
        if name == "aten::_to_copy" and to_gpu and not on_gpu:
            real_kwargs = {**real_kwargs, "device": torch.device("cpu")}
        if name == "aten::_to_copy" and on_gpu and not to_gpu and kwargs.get("non_blocking"):
            self.record.copy("copy to the CPU")
            return self.record.copy_to_host(on_gpu[0].inner)
        out = func(*real_args, **real_kwargs)
        if on_gpu or to_gpu:
            self.recorder.add(lambda: func(*real_args, **real_kwargs), out)

        def wrap(x: Any) -> Any:
            if not isinstance(x, Tensor) or isinstance(x, GPUTensor) or any(x is one for one in on_cpu):
                return x
            if id(x) in wrappers:  # an op in place returns its argument
                return wrappers[id(x)]
            if not to_gpu:
                return x
            return GPUTensor(x) if x.layout == torch.strided else SparseGPUTensor(x)

        return tree_map(wrap, out)

    def _unwrap(self, x: Any) -> Any:
        if isinstance(x, GPUTensor):
            return x.inner
        if isinstance(x, Generator) and x.device.type == "cuda":
            seed = x.initial_seed()
            return self.generators.setdefault(seed, Generator().manual_seed(seed))
        if isinstance(x, torch.device) and x.type == "cuda":
            return torch.device("cpu")
        return x

    def _check(self, name: str, flat: list, on_gpu: list, on_cpu: list, to_gpu: bool) -> None:
        """Raise RuntimeError for tensors or a generator of another device, as CUDA does."""
        if on_gpu and on_cpu and name not in MIXED and not name.startswith("c10d"):
            wrong = [tuple(x.shape) for x in on_cpu if x.dim() > 0]
            if wrong:
                raise RuntimeError(
                    f"Expected all tensors to be on the same device: {name} has {wrong} on the CPU"
                )
            self.record.fault(f"{name} reads a number on the CPU")
        for x in flat:
            if isinstance(x, Generator) and (x.device.type == "cuda") != to_gpu:
                raise RuntimeError(
                    f"Expected a generator on the device of {name}, but found one on {x.device}"
                )

    def _count(self, name: str, args: tuple, kwargs: dict, on_gpu: list, to_gpu: bool) -> None:
        self.record.op(name)
        if name in PRODUCTS:
            self.memory.use()
        if name in WAITING and on_gpu:
            self.record.wait(name.removeprefix("aten::"))
        if name in INDEXING and on_gpu:
            indices = [index for index in args[1] if index is not None]
            if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
                self.record.wait("index by a mask")
            if any(not isinstance(index, GPUTensor) for index in indices):
                self.record.wait("index on the CPU")
        if name == "aten::_to_copy":
            if on_gpu and not to_gpu and not kwargs.get("non_blocking"):
                self.record.wait("copy to the CPU")
            elif to_gpu and not on_gpu:
                self.record.copy("_to_copy")
        if name == "aten::copy_":
            destination, source = args[0], args[1]
            if isinstance(destination, GPUTensor) and not isinstance(source, GPUTensor):
                self.record.copy("copy_")
            if isinstance(source, GPUTensor) and not isinstance(destination, GPUTensor):
                self.record.wait("copy to the CPU")
