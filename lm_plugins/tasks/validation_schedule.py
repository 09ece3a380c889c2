"""Decide which validations a training run counts.

fairseq also validates when it saves within an epoch (--save-interval-updates) and when it stops
(--max-update, --stop-time-hours). How often a training is saved must not change what it learns. Rules that
depend on validation losses, such as --nonmono, two-tailed averaging and the plateau schedule, therefore count
only the validations of --validate-interval and --validate-interval-updates.
"""

from typing import Any

from lm_plugins.errors import Refused


def is_scheduled(cfg: Any, epoch: int, updates: int, ends_epoch: bool) -> bool:
    """Return whether a validation is one of --validate-interval or --validate-interval-updates.

    Args:
        cfg: has both options, in epochs and in updates
        epoch: the current epoch, from 1
        updates: number of updates so far
        ends_epoch: all windows of the epoch have been read
    """
    if ends_epoch and epoch % cfg.validate_interval == 0:
        return True
    interval = cfg.validate_interval_updates
    return interval > 0 and updates > 0 and updates % interval == 0


def check_patience(cfg: Any) -> None:
    """Refuse --patience where it would count saves, because fairseq counts every validation.

    Raises:
        Refused: fairseq also validates when it saves within an epoch.
    """
    saves, interval = cfg.save_interval_updates, cfg.validate_interval_updates
    if cfg.patience > 0 and saves > 0 and (interval <= 0 or saves % interval):
        raise Refused(
            "--patience would also count the validations that --save-interval-updates causes: leave out one "
            "of them, or give --validate-interval-updates a divisor of --save-interval-updates"
        )
