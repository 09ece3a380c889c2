"""What the model shows: the iterate to training, the average to validation and checkpoints.

Both functions take any of fairseq's optimizers, None too, and do nothing where there is no average.
"""

from lm_plugins.optim.averaged_sgd import AveragedSGD


def show_average(optimizer):
    _show(optimizer, average=True)


def show_iterate(optimizer):
    _show(optimizer, average=False)


def is_averaging(optimizer):
    """True or False; None for an optimizer that never averages."""
    inner = getattr(optimizer, "optimizer", None)
    return inner.averaged is not None if isinstance(inner, AveragedSGD) else None


def _show(optimizer, average):
    inner = getattr(optimizer, "optimizer", None)
    if isinstance(inner, AveragedSGD) and inner.show(average):
        if hasattr(optimizer, "_sync_fp32_params_to_fp16"):
            optimizer._sync_fp32_params_to_fp16()  # the model holds a half-precision copy
