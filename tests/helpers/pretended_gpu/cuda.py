"""The functions of ``torch.cuda`` that fairseq and the plug-in call, for the pretended GPU."""

import os
import types
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo  # before the replacements: it maps the functions of torch.cuda to rules
import torch.optim.optimizer as optimizers
from torch import Tensor

from tests.helpers.pretended_gpu import cudnn
from tests.helpers.pretended_gpu.dispatch import PretendedGPU
from tests.helpers.pretended_gpu.graphs import Graph, Recorder
from tests.helpers.pretended_gpu.memory import Memory
from tests.helpers.pretended_gpu.record import Event, Record
from tests.helpers.pretended_gpu.tensors import Device, GPUTensor

NAME, MEMORY = "Pretended GPU", 80 << 30
TYPES = {
    "DoubleTensor": torch.float64,
    "FloatTensor": torch.float32,
    "ByteTensor": torch.uint8,
    "LongTensor": torch.int64,
    "IntTensor": torch.int32,
}


def set_device(device: Any) -> None:
    """Make `device`, a number or a torch.device, the current one."""
    Device.index = device if isinstance(device, int) else torch.device(device).index or 0
    torch._C._accelerator_setDeviceIndex(Device.index)


def typed(dtype: torch.dtype) -> Callable[..., Tensor]:
    """Return ``torch.cuda.FloatTensor`` and its like."""

    def make(*args: Any) -> Tensor:
        if args and isinstance(args[0], list | tuple | bytes):
            return torch.tensor(args[0], dtype=dtype, device="cuda")
        return torch.empty(*args, dtype=dtype, device="cuda")

    return make


def install(gpus: int) -> tuple[Record, Memory]:
    """Give this process `gpus` pretended GPUs, for good."""
    record, memory = Record(), Memory()
    recorder = Recorder(record)
    properties = types.SimpleNamespace(
        name=NAME, major=9, minor=0, total_memory=MEMORY, multi_processor_count=132
    )

    def nothing(*args: Any, **named: Any) -> None:
        return None

    def visible() -> int:
        return 0 if os.environ.get("CUDA_VISIBLE_DEVICES") == "" else gpus

    replacements = {
        "is_available": lambda: visible() > 0,
        "is_initialized": lambda: True,
        "device_count": visible,
        "current_device": lambda: Device.index,
        "set_device": set_device,
        "is_bf16_supported": lambda *args, **named: True,
        "get_device_name": lambda *args: NAME,
        "get_device_capability": lambda *args: (9, 0),
        "get_device_properties": lambda *args: properties,
        "max_memory_allocated": lambda *args: memory.peak,
        "memory_allocated": lambda *args: memory.allocated,
        "max_memory_reserved": lambda *args: memory.peak,
        "memory_reserved": lambda *args: memory.allocated,
        "reset_peak_memory_stats": memory.reset,
        "reset_max_memory_allocated": memory.reset,
        "empty_cache": nothing,
        "CUDAGraph": Graph,
        "graph": recorder.recording,
        "graph_pool_handle": nothing,
        "Event": lambda *args, **named: Event(record),
        "mem_get_info": lambda *args: (MEMORY - memory.allocated, MEMORY),
        "memory_summary": lambda *args, **named: "",
        "synchronize": lambda *args: record.wait("synchronize"),
        "manual_seed": nothing,
        "manual_seed_all": nothing,
        "get_rng_state": lambda *args: torch.get_rng_state(),
        "set_rng_state": nothing,
        "_lazy_init": nothing,
        "_exchange_device": lambda device: 0,
        "_maybe_exchange_device": lambda device: 0,
        **{name: typed(dtype) for name, dtype in TYPES.items()},
    }
    for name, replacement in replacements.items():
        setattr(torch.cuda, name, replacement)
    torch.cuda.random.get_rng_state = replacements["get_rng_state"]
    torch.cuda.memory.memory_stats_as_nested_dict = memory.nested
    torch.backends.cudnn.is_acceptable = lambda tensor: tensor.is_cuda
    torch.lstm = cudnn.lstm
    torch._VF.lstm = cudnn.lstm
    torch.utils.swap_tensors = keeping_attributes(torch.utils.swap_tensors)
    torch._C._set_only_lift_cpu_tensors(True)
    optimizers._foreach_supported_types.append(GPUTensor)
    PretendedGPU(record, memory, recorder).__enter__()
    return record, memory


def keeping_attributes(swap: Callable[[Tensor, Tensor], None]) -> Callable[[Tensor, Tensor], None]:
    """Return `swap` that leaves a parameter its attributes, as assigning to ``.data`` does on a GPU."""

    def swap_tensors(a: Tensor, b: Tensor) -> None:
        attributes = dict(a.__dict__)
        swap(a, b)
        for name, value in attributes.items():
            a.__dict__.setdefault(name, value)

    return swap_tensors
