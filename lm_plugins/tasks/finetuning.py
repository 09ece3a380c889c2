"""Keep the loaded model as the best one until fine-tuning finds a better one.

finetune.py of awd-lstm-lm validates the loaded model first, and overwrites it only with a better one. Here
the loaded checkpoint is copied to ``checkpoint_best.pt``, and its loss, or its value of another
--best-checkpoint-metric, is the one to beat.
"""

import logging
import os
import shutil
from typing import Any

from fairseq import checkpoint_utils
from fairseq.criterions import FairseqCriterion
from fairseq.file_io import PathManager
from fairseq.models import BaseFairseqModel

from lm_plugins.errors import Refused
from lm_plugins.files import atomically
from lm_plugins.ranks import rank_and_world
from lm_plugins.tasks.starting_point import last_checkpoint

logger = logging.getLogger(__name__)


class FinetuningMixin:
    """Validate the loaded model before it is fine-tuned.

    For a task with a `cfg` and `validation_meters` (:class:`ValidationMixin`).
    """

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> FairseqCriterion:
        self.criterion = super().build_criterion(cfg, from_checkpoint)
        return self.criterion

    def begin_epoch(self, epoch: int, model: BaseFairseqModel) -> None:
        """Validate a loaded model before it is fine-tuned, and keep it as the best one.

        A resumed run has already done so: its checkpoints hold the best value.

        Raises:
            Refused: a validation does not log --best-checkpoint-metric
        """
        super().begin_epoch(epoch, model)
        cfg = self.cfg
        started = os.path.exists(last_checkpoint(cfg))
        if epoch > 1 or cfg.finetune_from_model is None or started or cfg.disable_validation:
            return
        name = f"checkpoint_best{cfg.checkpoint_suffix or ''}.pt"
        logged, metric = self.validation_meters(model), cfg.best_checkpoint_metric
        loss = float(logged["loss"].avg)
        values = {**logged.get_smoothed_values(), "loss": loss}  # unrounded, and so is the perplexity
        if {"ppl", "nll_loss"} <= logged.keys():
            values["ppl"] = 2 ** float(logged["nll_loss"].avg)
        if metric not in values:
            raise Refused(
                f"a validation does not log --best-checkpoint-metric {metric}: choose from "
                f"{', '.join(sorted(values))}"
            )
        logger.info(
            f"the loaded model has a validation loss of {loss:.6f} bits: only a better model replaces {name}"
        )
        # fairseq keeps the best value in this attribute of its function, and sets it when it resumes.
        checkpoint_utils.save_checkpoint.best = values[metric]
        if rank_and_world()[0] == 0 and not cfg.no_save:
            with atomically(os.path.join(cfg.save_dir, name)) as path:
                shutil.copyfile(PathManager.get_local_path(cfg.finetune_from_model), path)
