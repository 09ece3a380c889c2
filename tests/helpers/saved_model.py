"""A checkpoint of an untrained model, for tests of code that reads checkpoints."""

from pathlib import Path

import torch
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import OmegaConf

from lm_plugins.completion import complete

FLAGS = ("--batch-size", "2", "--no-save")  # without a lock on the folder "checkpoints"


def save_model(path: Path, data_bin: Path, arch: str, *flags: str) -> Path:
    """Write a checkpoint of `arch` with `flags` for the dictionary of `data_bin`, and return its path."""
    line = complete(["fairseq-train", str(data_bin), "--arch", arch, *FLAGS, *flags])[1:]
    args = options.parse_args_and_arch(options.get_training_parser(), line)
    cfg = convert_namespace_to_omegaconf(args)
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    torch.save({"args": None, "cfg": OmegaConf.to_container(cfg), "model": model.state_dict()}, path)
    return path
