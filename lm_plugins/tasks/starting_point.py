"""The checkpoint that training starts from."""

import os
from typing import Any, Optional

from lm_plugins.errors import Refused

LAST = "checkpoint_last.pt"  # fairseq's default of --restore-file, in --save-dir
RESETS = ("reset_optimizer", "reset_lr_scheduler", "reset_meters", "reset_dataloader")


def resumed_checkpoint(cfg: Any) -> Optional[str]:
    """Return the checkpoint that fairseq resumes, or None if it starts a training.

    Args:
        cfg: the configuration of the task, which has these options of fairseq's
    """
    path = cfg.restore_file
    if path == LAST:
        path = os.path.join(cfg.save_dir, LAST)
        if not os.path.exists(path):
            path = cfg.continue_once
    return path if path and os.path.exists(path) else None


def check_starting_point(cfg: Any) -> None:
    """Refuse a checkpoint that does not exist, without which fairseq would train from scratch.

    Args:
        cfg: the configuration of the task, which has these options of fairseq's

    Raises:
        Refused: a file does not exist, or the options contradict each other
    """
    for name in ("restore_file", "finetune_from_model", "continue_once"):
        flag, path = "--" + name.replace("_", "-"), getattr(cfg, name)
        if path is None or path == LAST or "://" in path:
            continue
        if not os.path.exists(path):
            raise Refused(
                f"{flag} {path or '(empty)'} does not exist: give the path of a checkpoint, or leave it out"
            )
    if cfg.finetune_from_model is None:
        return
    if cfg.restore_file != LAST:
        raise Refused("--finetune-from-model and --restore-file exclude each other: give one of them")
    for name in RESETS:
        if getattr(cfg, name):
            raise Refused(f"--finetune-from-model implies --{name.replace('_', '-')}: leave that out")
