"""The validation metrics of the current model, computed during training."""

from collections.abc import Iterable
from typing import Any

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion
from fairseq.distributed.utils import all_reduce_dict
from fairseq.logging import metrics
from fairseq.logging.meters import MetersDict
from fairseq.models import BaseFairseqModel
from fairseq.tasks import FairseqTask

from lm_plugins.ranks import rank_and_world


@torch.no_grad()
def validation_meters(
    task: FairseqTask, model: BaseFairseqModel, criterion: FairseqCriterion, windows: Iterable[dict[str, Any]]
) -> MetersDict:
    """Return the metrics that a validation over `windows` logs, such as the loss in bits; all ranks call it.

    Nothing is logged, and the model is left in evaluation mode.
    """
    model.eval()
    criterion.eval()
    device = next(model.parameters()).device
    total: dict[str, Any] = {}
    for sample in windows:
        if device.type == "cuda":
            sample = utils.move_to_cuda(sample)
        logged = task.valid_step(sample, model, criterion)[2]
        total = {name: total.get(name, 0) + value for name, value in logged.items()}
    if rank_and_world()[1] > 1:
        total = all_reduce_dict(total, device, group=None)
    with metrics.aggregate(new_root=True) as meters:
        task.reduce_metrics([total], criterion)
    return meters
