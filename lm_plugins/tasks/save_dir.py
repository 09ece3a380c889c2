"""Lock the folder that training saves to, and repair its last checkpoint."""

import logging
import os
from typing import Any, Optional, TextIO

from lm_plugins.damage import INCOMPLETE, damage
from lm_plugins.errors import Refused
from lm_plugins.ranks import on_first_rank
from lm_plugins.recovery import newest_whole, remove_unfinished, restore_last
from lm_plugins.tasks.starting_point import LAST, last_checkpoint, restored_file
from lm_plugins.writer_lock import lock_folder

logger = logging.getLogger(__name__)


def prepare_save_dir(cfg: Any) -> Optional[TextIO]:
    """Lock --save-dir, and make sure that training starts from a whole checkpoint. All ranks call this.

    Args:
        cfg: the configuration of the task, which has fairseq's options of checkpoints

    Returns:
        on the first rank the lock of --save-dir, to be kept for as long as training may save

    Raises:
        Refused: another run saves to that folder, or the checkpoint is damaged
    """
    return on_first_rank(lambda: _prepare_folder(cfg))


def _prepare_folder(cfg: Any) -> Optional[TextIO]:
    lock, saves = None, not cfg.no_save and os.path.isdir(cfg.save_dir)  # fairseq-train has made the folder
    if saves:
        lock = lock_folder(cfg.save_dir)
        if lock is not None:
            remove_unfinished(cfg.save_dir)
    suffix, last = cfg.checkpoint_suffix or "", last_checkpoint(cfg)
    if cfg.restore_file != LAST:
        start = restored_file(cfg)
        check_whole(start)
        if saves and os.path.exists(last) and not (os.path.exists(start) and os.path.samefile(start, last)):
            logger.warning(
                f"{last} will be replaced, because --restore-file starts from another checkpoint: leave "
                "--restore-file out to continue it"
            )
        return lock
    base = cfg.continue_once or cfg.finetune_from_model
    if os.path.exists(last) and not saves:
        check_whole(last)
    elif os.path.exists(last):
        check_last(last, cfg.save_dir, suffix, cfg.finetune_from_model)
    else:
        newest = None
        if saves and not cfg.no_last_checkpoints and cfg.continue_once is None:
            newest = restore_last(cfg.save_dir, suffix, cfg.finetune_from_model)
        if newest is not None:
            logger.warning(
                f"there is no {last}: training continues from {newest.path} ({newest.updates} updates); to "
                "start over, give an empty --save-dir"
            )
        elif base is not None:
            check_whole(base)
    return lock


def check_last(last: str, folder: str, suffix: str, base: Optional[str] = None) -> None:
    """Replace the checkpoint `last` of `folder` with the newest whole one if it was not fully written.

    Args:
        suffix, base: see :func:`lm_plugins.recovery.newest_whole`; fine-tuning keeps a copy of its base

    Raises:
        Refused: no other one is whole, or `last` is damaged in another way
    """
    wrong = damage(last)
    if wrong in INCOMPLETE:
        newest = restore_last(folder, suffix, base)
        if newest is None:
            raise Refused(
                f"checkpoint {last} {wrong}, and no other checkpoint in its folder is complete: start over "
                "with an empty --save-dir"
            )
        logger.warning(
            f"checkpoint {last} {wrong}: training continues from {newest.path} ({newest.updates} updates)"
        )
    elif wrong:
        newest = newest_whole(folder, suffix, base)
        raise Refused(
            f"checkpoint {last} {wrong}: "
            + (
                "start over with an empty --save-dir"
                if newest is None
                else f"remove it to continue from {newest.path} ({newest.updates} updates)"
            )
        )


def check_whole(path: str) -> None:
    """Refuse a damaged checkpoint; fairseq reports one that does not exist.

    Raises:
        Refused: the file `path` is damaged
    """
    wrong = damage(path) if os.path.exists(path) else None
    if wrong:
        raise Refused(f"checkpoint {path} {wrong}: give another checkpoint to start from")
