"""Telling the optimizer and the learning-rate schedule the validation loss.

fairseq tells its schedules after the checkpoint is written (fairseq_cli/train.py:210), rounded, and
not after a validation within an epoch: a resumed run would decide otherwise. Here the task tells the
listeners of the optimizer, which both of them hold, before the checkpoint is written.
"""


def on_validation(optimizer, listener):
    """Has ``listener(loss)`` called after each validation."""
    optimizer.validation_listeners = [*getattr(optimizer, "validation_listeners", ()), listener]


def tell_validation(optimizer, loss):
    """Calls the listeners of `optimizer`, and of the one in it if it is a mixed-precision wrapper."""
    for holder in (optimizer, getattr(optimizer, "fp32_optimizer", None)):
        for listener in getattr(holder, "validation_listeners", ()):
            listener(loss)
