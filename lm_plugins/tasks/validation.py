"""Act on a validation loss during training, and log metrics."""

from typing import Any, Optional

from fairseq.criterions import FairseqCriterion
from fairseq.logging import meters, metrics
from fairseq.logging.meters import MetersDict
from fairseq.models import BaseFairseqModel
from fairseq.optim import FairseqOptimizer

from lm_plugins.data.level import OF_ONE_CHARACTER
from lm_plugins.optim.averaged_sgd import is_averaging
from lm_plugins.optim.validation import tell_validation
from lm_plugins.out_of_memory import naming_window
from lm_plugins.peak_memory import PeakMemory
from lm_plugins.tasks.divergence import check_training_loss, check_validation_loss, count_above_uniform
from lm_plugins.tasks.patience import Patience
from lm_plugins.tasks.resumed_state import ValidText, check_valid_text
from lm_plugins.tasks.validation_loss import validation_meters
from lm_plugins.tasks.validation_schedule import is_scheduled


class ValidationMixin:
    """Count validations, pass on their losses, and log metrics.

    For a task with a `cfg`, a `level`, `unknown_characters`, an `optimizer` and a `criterion`.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.peak = PeakMemory()
        self.validated = 0  # number of subsets in the current validation
        self.is_counted = True  # the current validation is a scheduled one
        self.counted: Optional[int] = None  # number of updates at the last validation that was counted
        self.updates = 0  # of the training so far
        self.above_uniform = 0  # epochs in a row with a validation loss above that of guessing
        self.patience = Patience()
        self.resumed_text: Optional[ValidText] = None  # of the checkpoint that this run resumes

    def begin_epoch(self, epoch: int, model: BaseFairseqModel) -> None:
        """Check, before the first update of a resumed run, that it is validated on the same text."""
        super().begin_epoch(epoch, model)
        text = self.valid_text()
        if text is not None and self.resumed_text is not None:
            check_valid_text(text, self.resumed_text, self.cfg)
            self.resumed_text = None  # it is compared once

    def valid_text(self) -> Optional[dict[str, int]]:
        """Return the fingerprint of the first validation subset; None if there is no validation."""
        dataset = self.datasets.get(self.cfg.valid_subset.split(",")[0])
        return None if dataset is None else dataset.fingerprint()

    def begin_valid_epoch(self, epoch: int, model: BaseFairseqModel) -> None:
        super().begin_valid_epoch(epoch, model)
        self.validated = 0
        # An update that overflows float16 is not made, and fairseq then repeats the validation before it.
        is_new = self.updates != self.counted
        self.is_counted = is_new and is_scheduled(self.cfg, epoch, self.updates, self.ends_epoch)
        if self.is_counted:
            self.counted = self.updates

    def validation_loss(self, model: BaseFairseqModel) -> float:
        """Return the loss of the model as it is on the first validation subset, in bits per token."""
        return float(self.validation_meters(model)["loss"].avg)

    def validation_meters(self, model: BaseFairseqModel) -> MetersDict:
        """Return all metrics of the model as it is on the first validation subset."""
        dataset = self.dataset(self.cfg.valid_subset.split(",")[0])
        windows = self.get_batch_iterator(dataset, max_sentences=self.cfg.batch_size_valid)
        return validation_meters(self, model, self.criterion, windows.next_epoch_itr(shuffle=False))

    def post_validate(self, model: BaseFairseqModel, stats: dict[str, Any], agg: Any) -> None:
        """Pass the unrounded loss of the first subset to the optimizer and the learning-rate schedule.

        They see only scheduled validations (:mod:`lm_plugins.tasks.validation_schedule`), and so does the
        count for --patience, which takes the rounded value that fairseq takes. fairseq calls this for each
        subset, before it saves a checkpoint.

        Raises:
            Refused: training has diverged (:mod:`lm_plugins.tasks.divergence`).
        """
        loss = float(agg["loss"].avg)
        check_validation_loss(loss)
        if self.validated == 0 and self.is_counted:
            if self.ends_epoch:
                self.above_uniform = count_above_uniform(self.above_uniform, loss, len(self.dictionary))
            metric, maximize = self.cfg.best_checkpoint_metric, self.cfg.maximize_best_checkpoint_metric
            self.patience.count(stats[metric], maximize)
            tell_validation(self.optimizer, loss)
        self.validated += 1

    def valid_step(
        self, sample: dict[str, Any], model: BaseFairseqModel, criterion: FairseqCriterion
    ) -> tuple[Any, Any, Any]:
        with naming_window(sample["target"], "--batch-size-valid or --tokens-per-sample"):
            return super().valid_step(sample, model, criterion)

    def optimizer_step(self, optimizer: FairseqOptimizer, model: BaseFairseqModel, update_num: int) -> None:
        super().optimizer_step(optimizer, model, update_num)
        self.updates = update_num + 1
        self.peak.update()  # fairseq resets the statistics of a GPU after this

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: FairseqCriterion) -> None:
        """Log peak memory, whether averaging has started, and bits per character where they are defined.

        Raises:
            Refused: the training loss is not finite. It is checked here, where fairseq waits for it anyway.
        """
        with metrics.aggregate() as logged:
            super().reduce_metrics(logging_outputs, criterion)
        if criterion.training:
            loss = sum(float(logged[name].avg) for name in ("loss", "reg") if name in logged)
            check_training_loss(loss, self.updates)
        metrics.log_scalar("peak_gib", self.peak.update(), weight=0, round=3)
        averaging = is_averaging(self.optimizer)
        if averaging is not None:
            metrics.log_scalar("averaging", int(averaging), weight=0)
        exact = "nll_loss" in logging_outputs[0]
        if exact and self.level in OF_ONE_CHARACTER and not self.reads_unknown(criterion.training):
            metrics.log_derived("bpc", lambda values: meters.safe_round(values["nll_loss"].avg, 5))

    def reads_unknown(self, training: bool) -> bool:
        """Return whether the training text has unknown characters; in validation, whether any text has."""
        return self.cfg.train_subset in self.unknown_characters if training else bool(self.unknown_characters)
