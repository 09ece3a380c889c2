"""Decide by type whether a model may be built from what its checkpoint says.

Many models, tasks and criterions of fairseq evaluate strings of their configuration as Python code. A
checkpoint of plain values can therefore run code through them, even if it was loaded safely. Only the classes
of this package, and those that a plug-in derives from them, are built.
"""

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.models import (
    ARCH_MODEL_NAME_REGISTRY,
    ARCH_MODEL_REGISTRY,
    MODEL_DATACLASS_REGISTRY,
    MODEL_REGISTRY,
)
from fairseq.tasks import TASK_REGISTRY

from lm_plugins.checkpoints import read_checkpoint
from lm_plugins.errors import Refused
from lm_plugins.ranges import check_config

TASK = "recurrent_language_modeling"  # the registered task that the tasks of plug-ins derive from
LITERALS = (  # the parts of a Python expression that only states a value
    ast.Expression, ast.Constant, ast.Tuple, ast.List, ast.Load, ast.BinOp, ast.UnaryOp, ast.operator,
    ast.unaryop,
)  # fmt: skip
# The options of this package that set the sizes of weights. Those of a plug-in may mean something else.
SIZES = ("decoder_embed_dim", "decoder_hidden_size", "decoder_last_size", "decoder_layers", "n_experts")


def read_own_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """Return the checkpoint `path`, from which a model may be built.

    Raises:
        Refused: it cannot be read safely, names a model, task or criterion of other classes, or gives sizes
            that its weights do not have.
    """
    checkpoint = read_checkpoint(path)
    cfg = _configuration(path, checkpoint)
    task, models = TASK_REGISTRY[TASK], {**MODEL_REGISTRY, **ARCH_MODEL_REGISTRY}
    for kind, registry, base in (
        ("task", TASK_REGISTRY, task),
        ("model", models, task.model_base),
        ("criterion", CRITERION_REGISTRY, task.criterion_base),
    ):
        name = _name(cfg.get(kind))
        if not _derives(registry, name, base):
            raise Refused(
                f"{path} names the {kind} '{name}', which belongs neither to lm_plugins nor to a plug-in "
                "derived from it; nothing was built: use a checkpoint written by lm_plugins, give the "
                "--user-dir of its plug-in (in Python, import it first), or leave out --user-dir to load it "
                "with fairseq alone"
            )
    weights = checkpoint["model"]
    if not isinstance(weights, Mapping) or not all(torch.is_tensor(weight) for weight in weights.values()):
        raise Refused(f"{path} does not hold the weights of a model: use a checkpoint written by lm_plugins")
    check_sizes(path, cfg["model"], weights)
    check_ranges(path, cfg["model"])
    return checkpoint


def check_foreign_checkpoint(path: str | os.PathLike, task: str) -> None:
    """Check the checkpoint of another package's model, for which the user typed --task `task`.

    Raises:
        Refused: it cannot be read safely, names another task, or holds a string in which Python code could
            call something
    """
    cfg = _configuration(path, read_checkpoint(path))
    name = _name(cfg.get("task"))
    if name != task:
        raise Refused(
            f"{path} was trained with a task other than --task {task}: give --task {name}, or leave it out"
        )
    for text in _strings([cfg.get(kind) for kind in ("task", "model", "criterion", "bpe", "tokenizer")]):
        if not _only_states_a_value(text):
            raise Refused(
                f"{path} holds '{text:.60}', which fairseq could run as Python code; nothing was built: use "
                "a checkpoint that you trust, and leave out --user-dir to load it with fairseq alone"
            )


def _configuration(path: str | os.PathLike, checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    cfg = checkpoint.get("cfg")
    if checkpoint.get("args") is not None or not isinstance(cfg, Mapping):
        raise Refused(f"{path} has no configuration: use a checkpoint written by lm_plugins")
    return cfg


def _strings(value: Any) -> Iterator[str]:
    """Yield all strings in nested containers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings(list(value.values()))
    elif isinstance(value, Sequence):
        for item in value:
            yield from _strings(item)


def _only_states_a_value(text: str) -> bool:
    """Return whether `text`, evaluated as Python code, calls nothing."""
    if "(" not in text:
        return True
    try:
        return all(isinstance(node, LITERALS) for node in ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _name(options: Any) -> Any:
    """Return the name that fairseq builds from: for a task, the key "task" comes before "_name"."""
    return options.get("task", options.get("_name")) if isinstance(options, Mapping) else None


def _derives(registry: Mapping[str, type], name: Any, base: type) -> bool:
    return isinstance(name, str) and name in registry and issubclass(registry[name], base)


def check_sizes(path: str | os.PathLike, options: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Refuse `options` of a model that are larger than the saved `weights` can be.

    Each layer has at least one tensor, and each size is at most a dimension of some tensor.
    """
    longest = max((size for tensor in weights.values() for size in tensor.shape), default=0)
    for name in SIZES:
        value, limit = options.get(name), len(weights) if name == "decoder_layers" else longest
        if isinstance(value, int) and value > limit:
            raise Refused(
                f"{path} says {name} = {value}, but its weights have no such size; nothing was built: the "
                "file was altered, use another checkpoint"
            )


def check_ranges(path: str | os.PathLike, options: Mapping[str, Any]) -> None:
    """Refuse `options` of a model that are not numbers, or are out of the ranges that it declares.

    Raises:
        Refused: the message names the option and its value
    """
    name = ARCH_MODEL_NAME_REGISTRY.get(options["_name"], options["_name"])
    if declared := MODEL_DATACLASS_REGISTRY.get(name):
        try:
            check_config(SimpleNamespace(**options), declared)
        except Refused as error:
            raise Refused(f"{path} was altered, use another checkpoint: {error}") from None
