"""Recover a folder of checkpoints after training was killed or the disk was full.

fairseq writes one whole file and copies it over checkpoint_best.pt and checkpoint_last.pt in place. If it is
stopped while copying, the copy is cut short, and the file that it was copied from is whole.
"""

import errno
import filecmp
import logging
import os
import re
import shutil
from typing import Any, NamedTuple, Optional

from lm_plugins.checkpoints import read_checkpoint
from lm_plugins.damage import damage
from lm_plugins.errors import Refused
from lm_plugins.files import atomically

logger = logging.getLogger(__name__)

UNFINISHED = re.compile(r"(checkpoint.*|crash)\.pt\.(.*\.)?(tmp|part)")


class Newest(NamedTuple):
    """The newest whole checkpoint of a folder."""

    path: str
    updates: int
    is_best: bool  # its validation loss is the lowest one so far
    is_finetuned: bool  # a run with --finetune-from-model saved it


def remove_unfinished(folder: str) -> None:
    """Remove the files in which checkpoints were being written when training was stopped."""
    for name in os.listdir(folder):
        if UNFINISHED.fullmatch(name):
            os.remove(os.path.join(folder, name))
            logger.info(f"removed {name} from {folder}: a checkpoint that was only partly written")


def newest_whole(folder: str, suffix: str = "", base: Optional[str] = None) -> Optional[Newest]:
    """Return the checkpoint with the most updates in `folder`, except checkpoint_last; None if none is whole.

    Args:
        suffix: what --checkpoint-suffix adds to the names
        base: of a fine-tuning run; copies of this or another base do not count, because their updates are
            those of another run
    """
    names = re.compile(rf"checkpoint(\d+|_\d+_\d+|_best|\.best_.+){re.escape(suffix)}\.pt")
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if names.fullmatch(name)]
    whole = [newest for newest in map(_describe, paths) if newest is not None]
    if base is not None:
        whole = [newest for newest in whole if newest.is_finetuned and not _is_copy(newest.path, base)]
    return max(whole, key=lambda newest: newest.updates, default=None)


def _is_copy(path: str, base: str) -> bool:
    return os.path.exists(base) and filecmp.cmp(path, base, shallow=False)


def _describe(path: str) -> Optional[Newest]:
    """Return the facts of the checkpoint `path`, or None if training cannot continue from it."""
    try:
        checkpoint: dict[str, Any] = read_checkpoint(path)
        extra = checkpoint["extra_state"]
        updates = checkpoint["optimizer_history"][-1]["num_updates"]
        is_best = extra.get("val_loss") is not None and extra["val_loss"] == extra.get("best")
        options = (checkpoint.get("cfg") or {}).get("checkpoint") or {}
        is_finetuned = options.get("finetune_from_model") is not None
        return Newest(path, int(updates), is_best, is_finetuned)
    except (Refused, LookupError, TypeError, ValueError, AttributeError):
        return None


def restore_last(folder: str, suffix: str = "", base: Optional[str] = None) -> Optional[Newest]:
    """Copy the newest whole checkpoint of `folder` to checkpoint_last, and return it; None if there is none.

    A checkpoint_best that is not whole is restored too, if the newest checkpoint is the best one.

    Args:
        suffix, base: see :func:`newest_whole`

    Raises:
        Refused: the disk is full
    """
    newest = newest_whole(folder, suffix, base)
    if newest is None:
        return None
    last, best = (os.path.join(folder, f"checkpoint_{name}{suffix}.pt") for name in ("last", "best"))
    copies = [last]
    if newest.is_best and newest.path != best and os.path.exists(best) and damage(best):
        copies.append(best)
    for copy in copies:
        try:
            with atomically(copy) as unfinished:
                shutil.copyfile(newest.path, unfinished)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise Refused(
                f"{newest.path} cannot be copied to {copy} ({error.strerror}): free some space, and start "
                "again"
            ) from error
    return newest
