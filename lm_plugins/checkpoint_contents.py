"""Decide by type whether a model may be built from what its checkpoint says.

Many models, tasks and criterions of fairseq evaluate strings of their configuration as Python code. So a
checkpoint of plain values can run code through them, though it was loaded safely. Only the classes of this
package, and those that a plug-in derives from them, are built.
"""

import os
from collections.abc import Mapping
from typing import Any

from fairseq.criterions import CRITERION_REGISTRY
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from fairseq.tasks import TASK_REGISTRY

from lm_plugins.checkpoints import read_checkpoint
from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy
from lm_plugins.errors import Refused
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel
from lm_plugins.tasks.recurrent_language_modeling import RecurrentLanguageModelingTask

SIZES = ("_dim", "_size", "_layers", "_experts")  # how the options end that set the size of a model


def read_own_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """Return the checkpoint `path`, from which a model may be built.

    Raises:
        Refused: it cannot be read safely, names a model, task or criterion of other classes, or gives sizes
            that its weights do not have.
    """
    checkpoint = read_checkpoint(path)
    cfg = checkpoint.get("cfg")
    if checkpoint.get("args") is not None or not isinstance(cfg, Mapping):
        raise Refused(f"{path} has no configuration: use a checkpoint written by lm_plugins")
    models = {**MODEL_REGISTRY, **ARCH_MODEL_REGISTRY}
    for kind, registry, base in (
        ("task", TASK_REGISTRY, RecurrentLanguageModelingTask),
        ("model", models, RecurrentLanguageModel),
        ("criterion", CRITERION_REGISTRY, LMCrossEntropy),
    ):
        name = _name(cfg.get(kind))
        if not _derives(registry, name, base):
            raise Refused(
                f"{path} names the {kind} '{name}', which is none of lm_plugins nor of a plug-in derived "
                "from it; nothing was built: use a checkpoint written by lm_plugins, give the --user-dir of "
                "its plug-in, or leave out --user-dir to load it with fairseq alone"
            )
    check_sizes(path, cfg["model"], checkpoint["model"])
    return checkpoint


def _name(options: Any) -> Any:
    """Return the name that fairseq builds from: of a task, the key "task" comes before "_name"."""
    return options.get("task", options.get("_name")) if isinstance(options, Mapping) else None


def _derives(registry: Mapping[str, type], name: Any, base: type) -> bool:
    return isinstance(name, str) and name in registry and issubclass(registry[name], base)


def check_sizes(path: str | os.PathLike, options: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Refuse `options` of a model that are larger than the saved `weights` can be.

    A layer has at least one tensor, and a dimension is one of some tensor, alone or together with others.
    """
    longest = max((size for tensor in weights.values() for size in tensor.shape), default=0)
    for name, value in options.items():
        limit = len(weights) if str(name).endswith("_layers") else longest
        if str(name).endswith(SIZES) and isinstance(value, int) and value > limit:
            raise Refused(
                f"{path} says {name} = {value}, but its weights have no such size; nothing was built: the "
                "file was altered, use another checkpoint"
            )
