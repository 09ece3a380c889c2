"""What --stop-time-hours means for a run that starts from a checkpoint.

fairseq adds the hours that a checkpoint was trained to those of this run, also where it only provides the
first weights, and compares the sum after each update.
"""

import logging
from typing import Any

from lm_plugins.errors import Refused
from lm_plugins.tasks.starting_point import StartingPoint, last_checkpoint

logger = logging.getLogger(__name__)


def check_time_limit(start: StartingPoint, cfg: Any) -> None:
    """End with status 0 if a resumed training has reached --stop-time-hours; fairseq would make an update.

    Args:
        cfg: the configuration of the task, which has fairseq's options

    Raises:
        Refused: the hours of another checkpoint would end this training after one update
    """
    path, limit = start.path, cfg.stop_time_hours
    if limit <= 0:
        return
    hours = start.checkpoint.get("extra_state", {}).get("previous_training_time", 0) / 3600
    if path == last_checkpoint(cfg):
        if hours > limit:
            logger.info(
                f"training is complete: it took {hours:.2f} hours, and --stop-time-hours is {limit:g}"
            )
            raise SystemExit(0)
    elif hours > limit:
        raise Refused(
            f"--stop-time-hours {limit:g} would end training at once, because fairseq adds the {hours:.2f} "
            f"hours of {path}: give a larger number than these"
        )
    elif hours:
        logger.warning(f"--stop-time-hours {limit:g} includes the {hours:.2f} hours of {path}")
