"""Write a checkpoint that fairseq's programs, lm_plugins.hub and --finetune-from-model read."""

import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
from fairseq.dataclass.configs import FairseqConfig
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from lm_plugins.checkpoint_contents import TASK, check_sizes
from lm_plugins.converting.own import DIGEST, Own, model_class
from lm_plugins.errors import Refused
from lm_plugins.models.heads import default_criterion
from lm_plugins.ranges import check_config

CHECKPOINT = "checkpoint_best.pt"


def build(own: Own, data: str) -> dict[str, Any]:
    """Return the content of a checkpoint of `own`.

    Args:
        data: the folder that the checkpoint will name for its dictionary

    Raises:
        Refused: the options or the weights do not belong to a model of ours
    """
    cfg = configuration(own, data)
    check_sizes(data, own.options, own.weights)
    model = model_class(own.model).build_model(cfg.model, SimpleNamespace(source_dictionary=own.dictionary))
    expected = model.state_dict()
    for name in sorted({*own.weights, DIGEST} ^ {*expected}):
        raise Refused(f"the weight {name} is missing, or does not belong to the model {own.model}")
    for name, tensor in own.weights.items():
        if tensor.shape != expected[name].shape:
            raise Refused(
                f"the weight {name} has the shape {list(tensor.shape)}, but the options of the model require "
                f"{list(expected[name].shape)}"
            )
    return content(cfg, {**own.weights, DIGEST: expected[DIGEST]})


def write_checkpoint(built: dict[str, Any], folder: str) -> None:
    """Write what :func:`build` returned into `folder`."""
    torch.save(built, os.path.join(folder, CHECKPOINT))


def configuration(own: Own, data: str) -> DictConfig:
    """Return fairseq's configuration for training `own` on the folder `data`, with its defaults.

    Raises:
        Refused: an option has a value that it cannot have
    """
    options = model_class(own.model).config
    criterion = default_criterion(own.options.get("output_layer", "softmax")) or "lm_cross_entropy"
    cfg = OmegaConf.structured(FairseqConfig)
    cfg.task = _section(TASK, TASK_DATACLASS_REGISTRY[TASK])
    cfg.task.data = data
    cfg.criterion = _section(criterion, CRITERION_DATACLASS_REGISTRY[criterion])
    cfg.model = _section(own.model, options)
    for name, value in own.options.items():
        try:
            cfg.model[name] = value
        except OmegaConfBaseException as error:
            raise Refused(
                f"the model {own.model} cannot have {name} = {value!r:.40}: the file was altered"
            ) from error
    check_config(cfg.model, options)
    return cfg


def _section(name: str, options: type) -> DictConfig:
    section = OmegaConf.structured(options)
    OmegaConf.set_struct(section, False)
    section["_name"] = name
    return section


def content(cfg: DictConfig, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what fairseq saves before the first update, without an optimizer."""
    history = {"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}
    return {
        "args": None,
        "cfg": OmegaConf.to_container(cfg, resolve=True, enum_to_str=True),
        "model": weights,
        "criterion": None,
        "optimizer_history": [history],
        "task_state": {},
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}},
        "last_optimizer_state": None,
    }
