"""Checkpoints: the states of all ranks, the average of the iterates, and whole tables.

fairseq calls its hooks in this order. "All" are all ranks, "first" is rank 0 alone.

| hook                          | ranks | what happens here                                            |
|-------------------------------|-------|--------------------------------------------------------------|
| task.train_step               | all   | put the iterate into the model, free the whole tables        |
| task.begin_valid_epoch        | all   | choose the average (two-tailed) and put it into the model    |
| task.post_validate            | all   | pass on the loss (tasks/validation.py)                       |
| trainer.consolidate_optimizer | all   | put the average in, gather states and whole tables           |
| task.get_checkpoint_dict      | first | put the average in, return the states of all ranks           |
| model.state_dict              | first | return whole tables (modules/split_vocabulary.py)            |
| optimizer.state_dict          | first | return iterates, averages and whole tables (optim/)          |
| task.set_checkpoint_dict      | all   | restore the state of this rank, on resume                    |

A checkpoint without a validation before it skips two of them, and --no-save-optimizer-state skips
consolidate_optimizer. Carried states are then not saved, and sharded tables are refused at set-up.

If an exception other than a RuntimeError leaves train_step, fairseq calls consolidate_optimizer on the
failing rank alone to write crash.pt, and on the first rank then model.state_dict. The other ranks do not
answer, so nothing can be gathered. If gradients are NaN, all ranks do this together, and crash.pt holds whole
tables.
"""

import ast
import logging
from typing import Any, Optional

from fairseq.criterions import FairseqCriterion
from fairseq.models import BaseFairseqModel
from fairseq.optim import FairseqOptimizer

from lm_plugins.models.carried_state import stream_name
from lm_plugins.optim.averaged_sgd import show_average, show_iterate
from lm_plugins.optim.consolidation import before_each_checkpoint
from lm_plugins.optim.half_precision import half_precision_state, load_half_precision_state
from lm_plugins.optim.own_options import take_own_options
from lm_plugins.optim.two_tailed import choose_average
from lm_plugins.ranks import from_all_ranks, rank_and_world
from lm_plugins.tasks.large_tables import check_optimizer
from lm_plugins.tasks.resumed_state import VALID_TEXT
from lm_plugins.tasks.written_once import WrittenOnce

logger = logging.getLogger(__name__)


class CheckpointingMixin:
    """Save and restore what a training run needs to resume.

    For a task with a `cfg`, a `decoder`, and what :class:`ValidationMixin` counts and computes.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.optimizer: Optional[FairseqOptimizer] = None  # of the last training step
        self.criterion: Optional[FairseqCriterion] = None  # of the last training step
        self.failure: Optional[Exception] = None  # raised by the last training step
        self.rank_states: Optional[list[Any]] = None  # gathered for the next checkpoint
        self.half_precision: dict[str, Any] = {}  # of a checkpoint, for the optimizer of the first step

    def train_step(
        self,
        sample: dict[str, Any],
        model: BaseFairseqModel,
        criterion: FairseqCriterion,
        optimizer: FairseqOptimizer,
        update_num: int,
        ignore_grad: bool = False,
    ) -> tuple[Any, Any, Any]:
        if self.cfg.accept_changes and optimizer is not self.optimizer:
            take_own_options(optimizer, ast.literal_eval(self.cfg.optimizer_overrides))
        load_half_precision_state(optimizer, self.half_precision)
        self.half_precision = {}
        self.optimizer, self.criterion, self.failure = optimizer, criterion, None
        if rank_and_world()[1] > 1:
            before_each_checkpoint(optimizer, self.gather)
        try:
            self.prepare_update(optimizer)
            return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        except RuntimeError:
            raise  # fairseq writes no crash.pt
        except Exception as error:
            self.failure = error
            raise

    def prepare_update(self, optimizer: FairseqOptimizer) -> None:
        table = self.decoder.embed_tokens
        check_optimizer(optimizer, table)
        show_iterate(optimizer)
        if table.split is not None:
            optimizer.set_split(table.split)
            table.split.release()

    def begin_valid_epoch(self, epoch: int, model: BaseFairseqModel) -> None:
        super().begin_valid_epoch(epoch, model)
        if self.is_counted:
            choose_average(self.optimizer, lambda: self.validation_loss(model))
        show_average(self.optimizer)

    def gather(self) -> None:
        """Gather on the first rank what a checkpoint holds of all ranks.

        Raises:
            Exception: the failure for which fairseq wants to write crash.pt, if tables are sharded. fairseq
                then writes no crash.pt, since it would hold only part of them.
        """
        show_average(self.optimizer)
        split = self.decoder.embed_tokens.split
        if self.failure is not None:
            if split is None:
                return
            logger.warning(
                "no crash.pt is written: the vocabulary is sharded across processes, and cannot be gathered "
                "after one of them has failed"
            )
            raise self.failure
        self.rank_states = from_all_ranks(self.carried_state())
        if split is not None:
            split.gather(self.optimizer.shards())

    def carried_state(self) -> Optional[dict[str, Any]]:
        return self.decoder.carried.state_dict(stream_name(self.cfg.train_subset, True))

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """Return the carried states of all ranks, and what else continues after a restart.

        These are counts, the validation text that they belong to and, with the state of the optimizer, what
        fairseq does not save of half precision.
        On a single process, also put the average into the model.
        """
        show_average(self.optimizer)
        if rank_and_world()[1] == 1:
            states = [self.carried_state()]
        else:
            states, self.rank_states = self.rank_states, None
        counts = {"above_uniform": self.above_uniform, "patience": self.patience.state_dict()}
        counts[VALID_TEXT] = self.valid_text()
        saved = {"rank_states": states, **counts} if states else {}
        half_precision = half_precision_state(self.optimizer)
        if saved and half_precision and not self.cfg.no_save_optimizer_state:
            saved["half_precision"] = half_precision
        return {type(self).__name__: WrittenOnce(saved)}

    def set_checkpoint_dict(self, saved: dict[str, Any]) -> None:
        """Restore the carried state of this rank, and the rest, which older checkpoints do not have.

        With --reset-optimizer, another optimizer continues from the weights, and the counts start again. The
        state of half precision is removed from `saved`, which fairseq keeps in memory.
        """
        half_precision = saved.pop("half_precision", {})
        if not self.cfg.reset_optimizer:
            self.above_uniform = saved.get("above_uniform", 0)
            self.half_precision = half_precision
        if "patience" in saved and not (self.cfg.reset_optimizer or self.cfg.reset_meters):
            self.patience.load_state_dict(saved["patience"])
            self.patience.tell_fairseq()
        state = saved["rank_states"][rank_and_world()[0]]
        self.decoder.carried.load_state_dict(stream_name(self.cfg.train_subset, True), state)
