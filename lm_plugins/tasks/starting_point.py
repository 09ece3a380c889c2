"""The checkpoint that training starts from."""

import os
from dataclasses import dataclass
from typing import Any, Optional

from lm_plugins.checkpoints import read_checkpoint
from lm_plugins.errors import Refused
from lm_plugins.flags import flag_of

LAST = "checkpoint_last.pt"  # fairseq's default of --restore-file, in --save-dir
RESETS = ("reset_optimizer", "reset_lr_scheduler", "reset_meters", "reset_dataloader")


def last_checkpoint(cfg: Any) -> str:
    """Return the path of the last checkpoint of --save-dir."""
    return os.path.join(cfg.save_dir, f"checkpoint_last{cfg.checkpoint_suffix or ''}.pt")


def restored_file(cfg: Any) -> str:
    """Return the path that --restore-file names, to which fairseq adds --checkpoint-suffix."""
    return cfg.restore_file.replace(".pt", f"{cfg.checkpoint_suffix or ''}.pt")


def resumed_checkpoint(cfg: Any) -> Optional[str]:
    """Return the checkpoint that fairseq resumes, or None if it starts a new run.

    Args:
        cfg: the configuration of the task, which has these options of fairseq's
    """
    path = restored_file(cfg)
    if cfg.restore_file == LAST:
        path = last_checkpoint(cfg)
        if not os.path.exists(path):
            path = cfg.continue_once
    return path if path and os.path.exists(path) else None


@dataclass(frozen=True)
class StartingPoint:
    """The checkpoint that training starts from, which is read once for all comparisons."""

    path: str
    checkpoint: dict[str, Any]  # its content; keep no reference, because its file is mapped to memory
    is_resumed: bool  # else it only provides the first weights

    @classmethod
    def read(cls, cfg: Any) -> "Optional[StartingPoint]":
        """Return the one of the task's options `cfg`, or None if training starts from scratch.

        Raises:
            Refused: see :func:`lm_plugins.checkpoints.read_checkpoint`
        """
        resumed = resumed_checkpoint(cfg)
        path = resumed or cfg.finetune_from_model
        if not path or not os.path.exists(path):
            return None
        return cls(path, read_checkpoint(path), is_resumed=resumed is not None)


def check_starting_point(cfg: Any) -> None:
    """Refuse a checkpoint that does not exist, without which fairseq would train from scratch.

    Args:
        cfg: the configuration of the task, which has these options of fairseq's

    Raises:
        Refused: a file does not exist, or the options contradict each other
    """
    for name in ("restore_file", "finetune_from_model", "continue_once"):
        flag, path = flag_of(name), getattr(cfg, name)
        if path is None or path == LAST or "://" in path:
            continue
        if name == "restore_file":
            path = restored_file(cfg)
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
            raise Refused(f"--finetune-from-model implies {flag_of(name)}: leave it out")


def what_continues(cfg: Any) -> str:
    """Say which command continues a run that has been stopped and saved.

    Args:
        cfg: the configuration of the task, which has fairseq's options of checkpoints
    """
    if cfg.no_save or cfg.no_last_checkpoints:
        return "and is not saved"
    if cfg.no_save_optimizer_state:
        return "and cannot be resumed, because of --no-save-optimizer-state"
    names = ["restore_file"] * (cfg.restore_file != LAST) + [name for name in RESETS if getattr(cfg, name)]
    without = " and ".join(map(flag_of, names))
    return f"and the same command{f' without {without}' if names else ''} continues from there"
