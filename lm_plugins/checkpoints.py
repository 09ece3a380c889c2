"""Read checkpoints without running code that they may hold.

``torch.load`` unpickles, and a pickle can run any code. PyTorch's safe form refuses all objects but tensors
and plain types. It is the default of torch >= 2.6, but fairseq's main branch asks for the unsafe form. Here
the safe form is enforced, and the few plain containers that fairseq writes are allowed: its configuration
(omegaconf), and the placeholders with which rank 0 sends a checkpoint to the other ranks on resume.
"""

import argparse
import collections
import os
import pickle
import re
import threading
import typing
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from fairseq.distributed.utils import _TensorPlaceholder
from omegaconf import DictConfig, ListConfig
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode

from lm_plugins.damage import damage
from lm_plugins.errors import Refused

FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch.load reads this environment variable at each call
PLAIN_TYPES = [
    argparse.Namespace,
    collections.defaultdict,
    collections.OrderedDict,
    dict,
    int,
    list,
    typing.Any,
    DictConfig,
    ListConfig,
    ContainerMetadata,
    Metadata,
    AnyNode,
    _TensorPlaceholder,
]
_one_thread = threading.RLock()

# What torch.load and fairseq raise on a file that is not a checkpoint.
UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
# In torch's message on an object that is not allowed.
OTHER_OBJECTS = re.compile("unsupported (global|class)|unrecognized function", re.IGNORECASE)


def read_checkpoint(path: str) -> dict:
    """Return the checkpoint in the file `path`, on the CPU; tensors are read when they are used.

    Raises:
        Refused: there is no such file, it is damaged, or it is not a checkpoint that can be loaded safely.
    """
    if not os.path.exists(path):
        raise Refused(f"there is no checkpoint {path}: give the path of one that exists")
    try:
        if damage(path):
            raise TypeError("the file is not whole")
        with safe_loading():
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if not isinstance(checkpoint, dict) or "model" not in checkpoint:
            raise TypeError("the file holds no model of fairseq")
        return checkpoint
    except UNREADABLE as error:
        raise Refused(why_unreadable(path, error)) from error


def version(path: str | os.PathLike) -> tuple[int, ...] | None:
    """Return what changes when the file `path` is replaced or written to; None if it cannot be found."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def check_unchanged(path: str | os.PathLike, before: tuple[int, ...] | None) -> None:
    """Refuse a checkpoint that training has replaced since its version was `before`.

    Its tensors are read when they are used, so they could be those of two models.
    """
    if version(path) != before:
        raise Refused(f"{path} was replaced while it was read: run the same command again")


def why_unreadable(path: str, error: Exception) -> str:
    """Return a sentence for the `error` of reading the checkpoint `path`, one of UNREADABLE."""
    if os.path.isdir(path):
        return f"{path} is a folder: give the path of a checkpoint in it, such as {path}/checkpoint_best.pt"
    try:
        wrong = damage(path)
    except OSError as unreadable:
        wrong = f"cannot be read ({unreadable.strerror})"
    if wrong:
        return (
            f"checkpoint {path} {wrong}; use another checkpoint in its folder (checkpoint_best.pt, "
            "checkpoint_last.pt, checkpointN.pt)"
        )
    if isinstance(error, OSError):
        return f"checkpoint {path} cannot be read ({error.strerror}): fix that; the file itself is complete"
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return f"checkpoint {path} does not fit in memory: free some, or use a larger machine"
    if isinstance(error, pickle.UnpicklingError) and OTHER_OBJECTS.search(str(error)):
        return (
            f"checkpoint {path} holds Python objects other than tensors and plain values, which "
            "could run code when loaded; it was not loaded: use a checkpoint written by lm_plugins"
        )
    return f"{path} is not a checkpoint, as it was not written by fairseq: use one written by lm_plugins"


@contextmanager
def safe_loading() -> Iterator[None]:
    """Within this context, make every ``torch.load`` refuse objects that are not in :data:`PLAIN_TYPES`.

    The settings of torch are those of the process, so threads enter one after another.
    """
    with _one_thread:
        forced, allowed = os.environ.get(FORCE), torch.serialization.get_safe_globals()
        force_safe_loading()
        try:
            yield
        finally:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(allowed)
            if forced is None:
                del os.environ[FORCE]
            else:
                os.environ[FORCE] = forced


def force_safe_loading() -> None:
    """Make every ``torch.load`` of this process refuse objects that are not in :data:`PLAIN_TYPES`."""
    os.environ[FORCE] = "1"
    torch.serialization.add_safe_globals(PLAIN_TYPES)
