"""One clear sentence for every run that is refused.

:class:`Refused` is raised where going on would give a wrong or meaningless number. On the command
line :func:`report` prints its sentence alone, without the traceback, and the exit status is 1;
in Python it is an ordinary ``ValueError``.
"""

import os
import pickle
import re
import sys
import traceback

# What torch's safe loader says of an object that it does not make.
OTHER_OBJECTS = re.compile("global", re.IGNORECASE)

# What torch and fairseq raise on a file that is no checkpoint.
UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


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


def _unread(path, error):
    """Return the sentence for a checkpoint that raised `error` while it was read, or None."""
    if os.path.isdir(path):
        return f"{path} is a folder: give the path of a checkpoint in it, such as {path}/checkpoint_best.pt"
    if isinstance(error, pickle.UnpicklingError) and OTHER_OBJECTS.search(str(error)):
        return (
            f"checkpoint {path} holds Python objects other than tensors and plain values, which "
            "could run code when loaded; it was not loaded: use a checkpoint written by lm_plugins"
        )
    if isinstance(error, UNREADABLE):
        return (
            f"checkpoint {path} cannot be read: it is cut short, or was not written by fairseq; "
            "use another one of its folder (checkpoint_best.pt, checkpoint_last.pt, checkpointN.pt)"
        )
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
        if isinstance(cause, RuntimeError) and str(cause).startswith("Neither args nor cfg exist"):
            return "the checkpoint was not written by fairseq: use a checkpoint written by lm_plugins"
        path = _checkpoint_path(cause)
        if path is not None and (text := _unread(path, cause)):
            return text
    return None


def report(kind, error, trace, *, default=sys.excepthook):
    """``sys.excepthook`` that shows :func:`sentence` where there is one."""
    text = sentence(error)
    if text is None:
        default(kind, error, trace)
    else:
        print(f"lm_plugins: error: {text}", file=sys.stderr, flush=True)
