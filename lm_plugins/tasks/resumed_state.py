"""What a checkpoint must hold for a run to resume, besides the same options."""

import logging
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from fairseq import checkpoint_utils

from lm_plugins.errors import Refused
from lm_plugins.flags import flag_of
from lm_plugins.tasks.starting_point import StartingPoint

logger = logging.getLogger(__name__)

VALID_TEXT = "valid_text"  # the fingerprint of the first validation subset, in the state of the task
BEST = ("best_checkpoint_metric", "maximize_best_checkpoint_metric")


class ValidText(NamedTuple):
    """The validation text of a checkpoint, with whose losses those of this run are compared."""

    path: str  # of the checkpoint
    fingerprint: dict[str, int]


def check_optimizer_state(start: StartingPoint) -> None:
    """Refuse a checkpoint of --no-save-optimizer-state, from which fairseq counts updates from 0 again.

    Raises:
        Refused: see above
    """
    history = start.checkpoint.get("optimizer_history") or [{}]
    updates = history[-1].get("num_updates", 0)
    if updates and start.checkpoint.get("last_optimizer_state") is None:
        raise Refused(
            f"cannot resume {start.path}, which was saved with --no-save-optimizer-state: the state of the "
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


def resumed_text(start: StartingPoint, task: str, cfg: Any) -> Optional[ValidText]:
    """Return the validation text of the resumed checkpoint, or None if no loss of it counts in this run.

    A checkpoint of an earlier version does not name its text.

    Args:
        task: the name under which a checkpoint has the state of the task
        cfg: the configuration of the task
    """
    if not start.is_resumed or (cfg.reset_optimizer and not keeps_best(start.path, cfg)):
        return None
    saved = start.checkpoint.get("extra_state", {}).get(task, {}).get(VALID_TEXT)
    return None if saved is None else ValidText(start.path, saved)


def check_valid_text(text: Mapping[str, int], resumed: ValidText, cfg: Any) -> None:
    """Refuse another validation text than that of the resumed checkpoint, whose losses would be compared.

    These are the best value so far, which --reset-meters forgets, and those of the rules that the optimizer
    and the schedule apply.

    Args:
        text: the fingerprint of the first validation subset
        resumed: what :func:`resumed_text` returned
        cfg: the configuration of the task; with --accept-changes and --reset-meters, only warn

    Raises:
        Refused: see above
    """
    if text == resumed.fingerprint:
        return
    difference = (
        f"another validation text than the {resumed.fingerprint['tokens']:,} tokens of {resumed.path}"
    )
    if not (cfg.accept_changes and cfg.reset_meters):
        raise Refused(
            f"cannot resume with {difference}, because the losses of two texts cannot be compared: use the "
            "data folder of the checkpoint, give another --save-dir, or accept it with --accept-changes "
            "--reset-meters, which makes the next validation the best so far"
        )
    logger.warning(
        f"training continues with {difference}: rules such as --nonmono still compare the losses of the two"
    )
