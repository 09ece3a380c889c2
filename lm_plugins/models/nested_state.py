"""The state of a layer: a tensor, None, or a tuple, NamedTuple or list of states."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

Nest = Any  # a tensor, None, or a tuple, NamedTuple or list of nests


def map_tensors(function: Callable[[Tensor], Tensor], nest: Nest) -> Nest:
    """Return `nest` with `function` applied to every tensor in it."""
    if nest is None or torch.is_tensor(nest):
        return None if nest is None else function(nest)
    if not isinstance(nest, tuple | list):
        raise TypeError(f"the state of a layer holds a {type(nest).__name__}: it may hold tensors and tuples")
    return _of_type(type(nest), [map_tensors(function, item) for item in nest])


def tensors_of(nest: Nest) -> Iterator[Tensor]:
    """Yield the tensors of `nest` in order."""
    if torch.is_tensor(nest):
        yield nest
    elif nest is not None:
        for item in nest:
            yield from tensors_of(item)


def has_rows(value: Any, rows: int) -> bool:
    """Return whether `value` is a nest of tensors whose first size is `rows`."""
    if torch.is_tensor(value):
        return value.dim() > 0 and value.size(0) == rows
    return value is None or (isinstance(value, tuple | list) and all(has_rows(item, rows) for item in value))


def as_plain(nest: Nest) -> Nest:
    """Return `nest` with tuples in place of NamedTuples, as a checkpoint may hold it."""
    if nest is None or torch.is_tensor(nest):
        return nest
    return (list if isinstance(nest, list) else tuple)(as_plain(item) for item in nest)


def typed_like(pattern: Nest, nest: Nest) -> Nest:
    """Return `nest` with the tuple types of `pattern`."""
    if pattern is None or torch.is_tensor(pattern):
        return nest
    return _of_type(type(pattern), [typed_like(*pair) for pair in zip(pattern, nest, strict=True)])


def _of_type(kind: type, items: list) -> Nest:
    """Return a tuple, NamedTuple or list of `items`."""
    return kind(*items) if hasattr(kind, "_fields") else kind(items)
