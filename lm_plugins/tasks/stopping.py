"""Save and end after the update in which a stop signal arrives, so that training resumes exactly.

All processes have to stop after the same update. Each one reports whether a signal has reached it in the
metrics of an update, which fairseq sums over processes anyway.
"""

import atexit
import logging
import signal
from typing import Any

from fairseq.criterions import FairseqCriterion
from fairseq.models import BaseFairseqModel
from fairseq.optim import FairseqOptimizer
from omegaconf import DictConfig, OmegaConf

from lm_plugins.optim.nt_asgd import has_finished
from lm_plugins.ranks import rank_and_world
from lm_plugins.stop_signals import StopSignals, end_by
from lm_plugins.tasks.starting_point import what_continues
from lm_plugins.tasks.validation_schedule import is_scheduled

logger = logging.getLogger(__name__)

STOP = "stop"  # the metric: number of processes that a signal has reached


class StoppingMixin:
    """Save and end training after a stop signal.

    For a task with `updates`, `ends_epoch`, `patience`, and a `cfg` within fairseq's configuration.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.signals = StopSignals()
        self.epoch = 0
        self.reported = False  # a signal had reached a process by the last update
        self.replaced: dict[tuple[str, str], Any] = {}  # typed values of the options that are changed to stop

    def begin_epoch(self, epoch: int, model: BaseFairseqModel) -> None:
        super().begin_epoch(epoch, model)
        self.epoch = epoch
        self.signals.listen()

    def train_step(
        self,
        sample: dict[str, Any],
        model: BaseFairseqModel,
        criterion: FairseqCriterion,
        optimizer: FairseqOptimizer,
        update_num: int,
        ignore_grad: bool = False,
    ) -> tuple[Any, Any, Any]:
        self.end_if_complete(update_num, sample.get("begins_epoch", False) and has_finished(optimizer))
        loss, size, log = super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        return loss, size, {**log, STOP: int(self.signals.received is not None)}

    def end_if_complete(self, update_num: int, is_tuned: bool) -> None:
        """End with status 0 if fine-tuning has ended, also in an earlier process.

        Likewise if a resumed training has made all its updates, or has run out of patience. fairseq compares
        them with --max-update and --patience after each update, so it would make one more and save. For
        fine-tuning it has no such limit: its --stop-min-lr would end a resumed run within an epoch.

        Args:
            update_num: number of updates so far
            is_tuned: the optimizer ended fine-tuning in an earlier epoch
        """
        limit, patience = self.options("optimization").max_update, self.cfg.patience
        if is_tuned:
            reason = "fine-tuning has ended"
        elif 0 < limit <= update_num:
            reason = f"it has made {update_num} updates, and --max-update is {limit}"
        elif 0 < patience <= self.patience.stale:
            reason = f"{self.patience.stale} validations gave no new best, and --patience is {patience}"
        else:
            return
        logger.info(f"training is complete: {reason}")
        raise SystemExit(0)

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: FairseqCriterion) -> None:
        """Log metrics. If a signal has reached any process, have training end after this update.

        The criterion has just waited for the sums of this update, so reading one more does not wait.
        """
        super().reduce_metrics(logging_outputs, criterion)
        if self.replaced or STOP not in logging_outputs[0]:
            return
        limits = self.options("optimization")
        if 0 < limits.max_update <= self.updates or (self.ends_epoch and 0 < limits.max_epoch <= self.epoch):
            return  # training ends here by itself, with a validation
        was_reported, self.reported = self.reported, sum(float(log[STOP]) for log in logging_outputs) > 0
        # At the end of an epoch, validation decides what is saved: stop after the next update instead, unless
        # that one ends an epoch too.
        if self.reported and (was_reported or not self.ends_epoch):
            self.stop_after_this_update()

    def stop_after_this_update(self) -> None:
        """Have fairseq's loop save and end, without a validation that an uninterrupted run would not make.

        The loop reads its options after each update.
        """
        number = self.signals.received or signal.SIGTERM
        checkpoint = self.options("checkpoint")
        interval = checkpoint.save_interval_updates
        is_saved = not self.ends_epoch and interval > 0 and self.updates % interval == 0  # with a validation
        self.replace("optimization", "max_update", self.updates)
        if not is_saved and not is_scheduled(self.cfg, self.epoch, self.updates, self.ends_epoch):
            self.replace("dataset", "disable_validation", True)
        rank, _ = rank_and_world()
        saves = not checkpoint.no_save and not checkpoint.no_last_checkpoints
        if rank == 0:
            end = what_continues(self.cfg)
            logger.warning(f"{number.name}: training ends after update {self.updates}, {end}")
        if rank != 0 or not saves:
            atexit.register(end_by, number)

    def post_save(self, path: str, num_updates: int) -> None:
        """End by the signal once the checkpoint is whole. fairseq calls this on the first rank."""
        if self.replaced:
            atexit.register(end_by, self.signals.received or signal.SIGTERM)

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """Return the state of the task, after restoring the typed options, which the checkpoint holds."""
        for (group, name), value in self.replaced.items():
            self.options(group)[name] = value
        return super().get_checkpoint_dict()

    def options(self, group: str) -> DictConfig:
        """Return a group of fairseq's options, which is next to that of the task."""
        return OmegaConf.select(self.cfg, f"..{group}")

    def replace(self, group: str, name: str, value: Any) -> None:
        options = self.options(group)
        self.replaced[group, name] = options[name]
        options[name] = value
