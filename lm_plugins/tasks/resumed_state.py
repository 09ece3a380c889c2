"""What a checkpoint must hold for a run to resume, besides the same options."""

import logging
import os
from collections.abc import Mapping
from typing import Any

from fairseq import checkpoint_utils

from lm_plugins.checkpoints import read_checkpoint
from lm_plugins.errors import Refused
from lm_plugins.flags import flag_of
from lm_plugins.tasks.starting_point import resumed_checkpoint

logger = logging.getLogger(__name__)

VALID_TEXT = "valid_text"  # the fingerprint of the first validation subset, in the state of the task
BEST = ("best_checkpoint_metric", "maximize_best_checkpoint_metric")


def check_optimizer_state(checkpoint: Mapping[str, Any], path: str) -> None:
    """Refuse a checkpoint of --no-save-optimizer-state, from which fairseq counts updates from 0 again.

    Args:
        checkpoint: its content
        path: its file

    Raises:
        Refused: see above
    """
    history = checkpoint.get("optimizer_history") or [{}]
    updates = history[-1].get("num_updates", 0)
    if updates and checkpoint.get("last_optimizer_state") is None:
        raise Refused(
            f"cannot resume {path}, which was saved with --no-save-optimizer-state: the state of the "
            f"optimizer and of the schedule after {updates} updates is lost: give --reset-optimizer to "
            "continue from its weights with new ones"
        )


def keeps_best(path: str, cfg: Any) -> bool:
    """Return whether the best value in the checkpoint `path` is the one to beat.

    With --reset-optimizer it is if checkpoint_best.pt of the same folder would be replaced.
    """
    own_folder = os.path.realpath(os.path.dirname(path)) == os.path.realpath(cfg.save_dir)
    return not cfg.reset_meters and (own_folder or not cfg.reset_optimizer)


def restore_best(checkpoint: Mapping[str, Any]) -> None:
    """Have fairseq compare with the best value in `checkpoint`, which it forgets with --reset-optimizer.

    It keeps the value in this attribute of its function, and sets it when it resumes.
    """
    best = checkpoint.get("extra_state", {}).get("best")
    if best is not None:
        checkpoint_utils.save_checkpoint.best = best


def check_best(saved: Mapping[str, Any], cfg: Any) -> None:
    """Refuse another metric than that of the best value in the checkpoint, with which it would be compared.

    Args:
        saved: fairseq's options of checkpoints, as they were
        cfg: the configuration of the task, which has them as they are

    Raises:
        Refused: see above
    """
    for name in BEST:
        if name in saved and saved[name] != getattr(cfg, name):
            raise Refused(
                f"cannot resume with a different {flag_of(name)} ({saved[name]} -> {getattr(cfg, name)}), "
                "because its best value so far is unknown: restore it, or give --reset-meters, which makes "
                "the next validation the best so far"
            )


def check_valid_text(text: Mapping[str, int], task: str, cfg: Any) -> None:
    """Refuse another validation text than that of the resumed checkpoint, whose losses would be compared.

    These are the best value so far, and those of the rules that the optimizer and the schedule apply. A
    checkpoint of an earlier version does not name its text, and nothing is resumed in a new run.

    Args:
        text: the fingerprint of the first validation subset
        task: the name under which a checkpoint has the state of the task
        cfg: the configuration of the task

    Raises:
        Refused: see above, without --accept-changes
    """
    path = resumed_checkpoint(cfg)
    if path is None or (cfg.reset_optimizer and not keeps_best(path, cfg)):
        return
    saved = read_checkpoint(path).get("extra_state", {}).get(task, {}).get(VALID_TEXT)
    if saved is None or saved == text:
        return
    difference = f"another validation text than the {saved['tokens']:,} tokens of {path}"
    if not cfg.accept_changes:
        raise Refused(
            f"cannot resume with {difference}, because the losses of two texts cannot be compared: use the "
            "data folder of the checkpoint, give another --save-dir, or accept it with --accept-changes"
        )
    logger.warning(f"training continues with {difference}")
