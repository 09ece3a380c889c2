"""One clear sentence for every run that is refused.

:class:`Refused` is raised where going on would give a wrong or meaningless number. On the command
line :func:`report` prints its sentence alone, without the traceback, and the exit status is 1;
in Python it is an ordinary ``ValueError``.
"""

import pickle
import sys
import traceback


class Refused(ValueError):
    """A run that cannot give a right number: what is wrong, where, and what to do."""


def _chain(error):
    """`error` and all that it was raised from, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _checkpoint_path(error):
    """The file that fairseq was reading when `error` was raised, if it was reading one."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "load_checkpoint_to_cpu":
            return frame.f_locals.get("path")
    return None


def sentence(error):
    """The one sentence to show for `error`, or None if it is none of ours to explain."""
    for cause in _chain(error):
        if isinstance(cause, Refused):
            return str(cause)
        if isinstance(cause, FloatingPointError):
            return (
                f"training stopped, {cause}: the loss or its gradient is no longer a finite number; "
                "no checkpoint was replaced, lower --lr or --clip-norm and start again from the last one"
            )
        if isinstance(cause, OverflowError) and cause is not error:
            return (
                "a gradient overflowed float16, from which fairseq recovers on a GPU alone: give a lower "
                "--fp16-init-scale, or --autocast bf16"
            )
        if isinstance(cause, OSError) and str(cause).startswith("Model file not found"):
            return f"{cause}: give the path of a checkpoint that exists"
        path = _checkpoint_path(cause)
        if path is not None and isinstance(cause, pickle.UnpicklingError):
            return (
                f"checkpoint {path} holds Python objects other than tensors and plain values, which "
                "could run code when loaded; it was not loaded: use a checkpoint written by lm_plugins"
            )
        if path is not None and isinstance(cause, RuntimeError | EOFError | OSError):
            return (
                f"checkpoint {path} cannot be read, it is cut short or is no checkpoint; "
                "use another one of its folder (checkpoint_best.pt, checkpoint_last.pt, checkpointN.pt)"
            )
    return None


def report(kind, error, trace, *, default=sys.excepthook):
    """``sys.excepthook`` that shows :func:`sentence` where there is one."""
    text = sentence(error)
    if text is None:
        default(kind, error, trace)
    else:
        print(f"lm_plugins: error: {text}", file=sys.stderr, flush=True)
