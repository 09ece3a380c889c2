"""Load the decoder of a checkpoint for a data folder, without running code from the checkpoint."""

import os

import torch
from fairseq import tasks
from fairseq.tasks import FairseqTask
from omegaconf import OmegaConf

from lm_plugins.checkpoint_contents import read_own_checkpoint
from lm_plugins.checkpoints import check_unchanged, version
from lm_plugins.data_folders import saved_folders
from lm_plugins.models.recurrent_decoder import RecurrentDecoder


def load_decoder(
    path: str | os.PathLike, data: str | os.PathLike | None = None
) -> tuple[RecurrentDecoder, FairseqTask]:
    """Return the decoder of a checkpoint, in evaluation on the CPU, and its task.

    Args:
        path: a checkpoint
        data: folder with the dict.txt of the training data; None: the folder that the checkpoint names

    Raises:
        Refused: there is no such checkpoint or data folder, the checkpoint holds another model, was trained
            with another dictionary, or was replaced meanwhile
    """
    before = version(path)
    checkpoint = read_own_checkpoint(path)
    cfg = OmegaConf.create(checkpoint["cfg"], flags={"allow_objects": True})
    cfg.task.data = saved_folders(cfg.task.data) if data is None else os.fspath(data)
    task = tasks.setup_task(cfg.task, from_checkpoint=True)
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn here are replaced below
        model = task.build_model(cfg.model, from_checkpoint=True)
    model.load_state_dict(checkpoint["model"], strict=True, model_cfg=cfg.model)
    check_unchanged(path, before)
    return model.decoder.eval(), task
