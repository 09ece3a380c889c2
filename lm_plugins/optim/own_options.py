"""Give an optimizer the options of this run in place of those in its checkpoint.

torch keeps the options of an optimizer, such as the weight decay, with its parameters, and a checkpoint
brings those that it was saved with. fairseq's optimizers name the options that should win
(``optimizer_config``), but fairseq replaces only what --optimizer-overrides has.
"""

from collections.abc import Mapping
from typing import Any

from fairseq.optim import FairseqOptimizer


def take_own_options(optimizer: FairseqOptimizer, overrides: Mapping[str, Any]) -> None:
    """Set the options of `optimizer` as this run has them. The learning rate is left to the schedule.

    Args:
        overrides: options of --optimizer-overrides, which win
    """
    options = {**optimizer.optimizer_config, **overrides}
    for group in optimizer.param_groups:
        group.update({name: value for name, value in options.items() if name in group and name != "lr"})
