"""Pass the validation loss to the optimizer and to the learning-rate schedule.

fairseq passes the loss to its schedules after the checkpoint is written (fairseq_cli/train.py:210), rounded,
and not after a validation within an epoch. A resumed run could then decide differently. Here the task passes
the unrounded loss on before the checkpoint is written. The task knows only the optimizer, so a schedule
subscribes under the optimizer that it drives.
"""

from collections.abc import Callable
from typing import Optional
from weakref import WeakKeyDictionary, WeakMethod

from fairseq.optim import FairseqOptimizer

# References are weak, because fairseq builds a second optimizer and schedule when it loads a checkpoint.
_listeners: WeakKeyDictionary[FairseqOptimizer, list[WeakMethod]] = WeakKeyDictionary()


def on_validation(optimizer: FairseqOptimizer, listener: Callable[[float], None]) -> None:
    """Have ``listener(loss)`` called after each scheduled validation in training with `optimizer`.

    Args:
        optimizer: the optimizer that is trained with, also where a schedule subscribes
        listener: a method of the optimizer or of a schedule, and not a function: it is forgotten together
            with its object. `loss` is in bits per token, and the same on all processes.
    """
    _listeners.setdefault(optimizer, []).append(WeakMethod(listener))


def tell_validation(optimizer: Optional[FairseqOptimizer], loss: float) -> None:
    """Call the listeners of `optimizer`, and of the one inside it if it is a mixed-precision wrapper."""
    for subject in with_inner(optimizer):
        for reference in _listeners.get(subject, ()):
            listener = reference()
            if listener is not None:
                listener(loss)


def with_inner(optimizer: Optional[FairseqOptimizer]) -> list[FairseqOptimizer]:
    """Return `optimizer`, and the one inside it if it is a mixed-precision wrapper; nothing for None."""
    inner = (getattr(optimizer, name, None) for name in ("fp32_optimizer", "wrapped_optimizer"))
    return [subject for subject in (optimizer, *inner) if subject is not None]
