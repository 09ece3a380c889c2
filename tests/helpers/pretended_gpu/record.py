"""Record what a real GPU would notice: kernels, copies to the device, and waits of the host."""

import sys
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

HERE = str(Path(__file__).parent)
PACKAGES = ("lm_plugins", "fairseq", "fairseq_cli")  # whose code may be named as a place

# Ops that make no kernel: views, and memory that is not initialised.
FREE = {
    f"aten::{name}"
    for name in """detach view _unsafe_view t transpose slice select unsqueeze squeeze expand permute
    as_strided alias unbind split chunk split_with_sizes lift_fresh diagonal _reshape_alias empty empty_like
    new_empty empty_strided new_empty_strided is_pinned unfold _values _indices is_same_size resize_ set_
    unsqueeze_ squeeze_ t_ transpose_ detach_ view_as _sparse_coo_tensor_with_dims_and_tensors""".split()
}
# Ops whose result the host needs before it can continue.
WAITING = {
    f"aten::{name}"
    for name in """_local_scalar_dense nonzero masked_select is_nonzero equal bincount _unique2 unique_dim
    unique_consecutive repeat_interleave _coalesce coalesce allclose nonzero_static""".split()
}
INDEXING = {"aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::index_put"}
# Kernels of ops that launch more or less than one, read from torch's CUDA sources. cuDNN's are not counted.
KERNELS = {
    "logsumexp": 7, "embedding_dense_backward": 8, "index_put": 8, "index_put_": 8, "_index_put_impl_": 8,
    "argsort": 4, "sort": 4, "bincount": 5, "_cudnn_rnn": 0, "_cudnn_rnn_backward": 0, "cumsum": 2,
    "_local_scalar_dense": 0, "var": 2, "linalg_vector_norm": 1.5, "mean": 1.5, "sum": 1.2, "multinomial": 4,
    "_coalesce": 12,
}  # fmt: skip


def place(line: bool = False) -> str:
    """Return "file:function" of the innermost caller in lm_plugins or fairseq, perhaps with its `line`.

    In a backward pass in C++ there is none; the result is then "backward:NODE".
    """
    frame = sys._getframe()
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(HERE):
            for package in PACKAGES:
                if f"/{package}/" in path:
                    name = path.rsplit(f"/{package}/", 1)[1]
                    number = f":{frame.f_lineno}" if line else ""
                    return f"{package}/{name}:{frame.f_code.co_name}{number}"
        frame = frame.f_back
    node = torch._C._current_autograd_node()
    return "elsewhere" if node is None else f"backward:{node.name()}"


class Record:
    """Counters of one process; `updates` has the counts of each call of fairseq's ``Trainer.train_step``."""

    def __init__(self) -> None:
        self.kernels: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.passed = 0  # waits so far
        self.arriving: list[tuple[Tensor, Tensor]] = []  # copies to the host, and what they will hold
        self.updates: list[dict[str, dict[str, int]]] = []

    def counters(self) -> dict[str, Counter[str]]:
        return {"kernels": self.kernels, "copies": self.copies, "waits": self.waits, "faults": self.faults}

    def op(self, name: str) -> None:
        """Count the kernels of an op on the device."""
        if name not in FREE:
            short = name.removeprefix("aten::")
            self.kernels[f"{short} {place(line=True)}"] += KERNELS.get(short, 1)

    def wait(self, what: str) -> None:
        """Count a wait of the host for the device, after which all copies to the host have arrived."""
        for copy, source in self.arriving:
            copy.copy_(source)
        self.arriving.clear()
        self.passed += 1
        self.waits[f"{what} {place()}"] += 1

    def copy(self, what: str) -> None:
        """Count a copy from the host to the device."""
        self.copies[f"{what} {place()}"] += 1

    def fault(self, what: str) -> None:
        """Count something that works here and is slow or wrong on a GPU."""
        self.faults[f"{what} {place()}"] += 1

    def copy_to_host(self, source: Tensor) -> Tensor:
        """Return a copy of `source` that arrives with the next wait; until then it holds NaN."""
        copy = torch.full_like(source, float("nan"))
        self.arriving.append((copy, source.clone()))
        return copy

    def watch(self, trainer: type) -> None:
        """Record each update of fairseq's `trainer` on its own."""
        step = trainer.train_step

        def train_step(*args: object, **named: object) -> object:
            before = {name: Counter(counter) for name, counter in self.counters().items()}
            try:
                return step(*args, **named)
            finally:
                after = self.counters()
                self.updates.append({name: dict(after[name] - before[name]) for name in after})

        trainer.train_step = train_step


class Event:
    """A place in the stream of the device's work, as ``torch.cuda.Event``."""

    def __init__(self, record: Record) -> None:
        self.of, self.passed = record, None

    def record(self, stream: object = None) -> None:
        self.passed = self.of.passed

    def synchronize(self) -> None:
        """Wait, unless the host has waited for later work already."""
        if self.passed == self.of.passed:
            self.of.wait("event")
