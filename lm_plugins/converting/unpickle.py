"""Read a pickle without running any code that it names.

A pickle may name any function or class of Python, and call it. Here each name stands for an empty class of
this file alone, a stand-in, so that nothing is imported and no code of the file is run. An object becomes an
instance of a stand-in that holds its attributes, and a tensor becomes a :class:`PickledTensor`. A pickle that
calls anything but the constructors of CALLS is refused.
"""

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple


class Unsafe(Exception):
    """A pickle asks for more than a file of weights needs. The message says what it asks for."""


class PickledStorage(NamedTuple):
    """A storage of torch: its type, such as "FloatStorage", and its key in the file."""

    kind: str
    key: str
    view: tuple[int, int] | None  # (offset, elements) of a view of it, in files of torch < 1.6


class PickledTensor(NamedTuple):
    """A tensor whose elements have not been read."""

    storage: PickledStorage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Mapping(dict):
    """Any dictionary of the module collections; the factory of a defaultdict is left out."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(arguments[0] if arguments and isinstance(arguments[0], dict | list) else ())


class StandIn:
    """The base class of all stand-ins; `vars` of an instance are the attributes of the pickled object."""

    def __new__(cls, *_: Any) -> "StandIn":
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        for attributes in state if isinstance(state, tuple) else (state,):
            if isinstance(attributes, dict):
                vars(self).update(attributes)


class Uncallable(type):
    """The type of the stand-ins that a pickle may instantiate, but not call."""

    def __call__(cls, *_: Any) -> None:
        raise Unsafe(f"it calls {cls.__name__}, which a file of weights does not need")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> PickledTensor:
    return PickledTensor(storage, offset, size, stride)


def _first(data: Any = None, *_: Any) -> Any:
    return data


def _object(*_: Any) -> StandIn:
    return StandIn()


def _method(owner: Any, *_: Any) -> StandIn:
    """Ignore a bound method, such as the one that awd-lstm-lm's WeightDrop stores in an LSTM."""
    if not isinstance(owner, StandIn):
        raise Unsafe("it looks up an attribute, which a file of weights does not need")
    return StandIn()


CALLS: dict[str, Callable] = {  # what a pickle may call, and what is called in its place
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch.nn.parameter.Parameter": _first,
    "torch.Size": _first,
    "torch.device": _object,
    "torch.nn.backends.thnn._get_thnn_function_backend": _object,
    "builtins.getattr": _method,
    "builtins.set": _object,
    "copyreg._reconstructor": _object,
    "numpy.dtype": _object,
    "numpy.core.multiarray.scalar": _object,
    "numpy._core.multiarray.scalar": _object,
}
MAPPINGS = ("collections.OrderedDict", "collections.Counter", "collections.defaultdict")
OF_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class Unpickler(pickle.Unpickler):
    """An unpickler that knows no class and no function of Python."""

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.stand_ins: dict[str, type] = {}
        self.storages: dict[str, PickledStorage] = {}

    def find_class(self, module: str, name: str) -> type:
        """Return the stand-in for the class or function `name` of `module`, one for each file."""
        name = f"{OF_PYTHON_2.get(module, module)}.{name}"
        if name not in self.stand_ins:
            if name in MAPPINGS:
                kind = type(name, (Mapping,), {})
            elif name in CALLS:
                call = CALLS[name]
                kind = type(name, (), {"__new__": lambda _, *arguments: call(*arguments)})
            else:
                kind = Uncallable(name, (StandIn,), {})
            self.stand_ins[name] = kind
        return self.stand_ins[name]

    def persistent_load(self, identity: Any) -> Any:
        """Return a storage, or the class of a module, which torch < 1.6 saved with its source code."""
        if identity[0] == "module":
            return identity[1]
        _, kind, key, _, _, *view = identity
        view = tuple(view[0][1:]) if view and view[0] else None
        storage = PickledStorage(kind.__name__.rpartition(".")[2], str(key), view)
        self.storages[storage.key] = storage
        return storage
