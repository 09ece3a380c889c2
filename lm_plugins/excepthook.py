"""Print one clear sentence for a run that is refused, in place of a traceback."""

import math
import multiprocessing
import re
import signal
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch
from fairseq.checkpoint_utils import (
    load_checkpoint_to_cpu,
    save_checkpoint,
    verify_checkpoint_directory,
)
from fairseq.trainer import Trainer
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from lm_plugins.checkpoints import UNREADABLE, why_unreadable
from lm_plugins.errors import Refused
from lm_plugins.out_of_memory import is_out_of_memory
from lm_plugins.stop_signals import STOP_SIGNALS, end_by

# fairseq's errors about flags of an optimizer or a schedule.
OF_FLAGS = (AssertionError, ImportError, ValueError, ZeroDivisionError)
NORM_OF_RANK = re.compile(r"^rank +\d+ = (\S+)$", re.MULTILINE)  # in fairseq's error about gradients
# Exceptions of a spawned process, by the name that its traceback gives them.
OF_PROCESSES = {
    "lm_plugins.errors.Refused": Refused,
    "lm_plugins.out_of_memory.OutOfMemory": Refused,
    "FloatingPointError": FloatingPointError,
    "torch.OutOfMemoryError": torch.OutOfMemoryError,
}


def excepthook(
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    *,
    default: Callable = sys.__excepthook__,
) -> None:
    """Print the sentence of `error` to stderr, as ``sys.excepthook``; call `default` if it has none.

    If a stop signal ended a spawned process, end this one by the same signal. If this process was
    interrupted, kill those that it has spawned, because it would wait for them to end.
    """
    if isinstance(error, ProcessExitedException) and -error.exit_code in STOP_SIGNALS:
        end_by(signal.Signals(-error.exit_code))
    text = sentence(error)
    if isinstance(error, KeyboardInterrupt):  # after which Python ends with status 130
        for child in multiprocessing.active_children():
            child.kill()
        print("lm_plugins: interrupted", file=sys.stderr, flush=True)
    elif text is None:
        default(kind, error, trace)
    else:
        print(f"lm_plugins: error: {text}", file=sys.stderr, flush=True)


@contextmanager
def refusals_exit_with_2() -> Iterator[None]:
    """Print the sentence of an error that leaves the block, and exit with status 2, as argparse does.

    Raises:
        Exception: an error without a sentence
    """
    try:
        yield
    except Exception as error:
        text = sentence(error)
        if text is None:
            raise
        print(f"lm_plugins: error: {text}", file=sys.stderr, flush=True)
        sys.exit(2)


def sentence(error: BaseException) -> str | None:
    """Return the sentence that explains `error` or one of its causes, or None."""
    for cause in _with_causes(error):
        if isinstance(cause, Refused):
            return str(cause)
        if isinstance(cause, FloatingPointError):
            return _of_gradients(str(cause))
        if is_out_of_memory(cause):
            return "memory ran out: lower --batch-size or --tokens-per-sample, or use a smaller model"
        if isinstance(cause, OverflowError) and cause is not error:  # fairseq failed to handle it
            return (
                "a gradient overflowed float16, from which fairseq recovers only on a GPU: give a lower "
                "--fp16-init-scale, or --autocast bf16"
            )
        if isinstance(cause, OSError) and str(cause).startswith("Model file not found"):
            return f"{cause}: give the path of a checkpoint that exists"
        if isinstance(cause, RuntimeError) and str(cause).startswith("Neither args nor cfg exist"):
            return "the checkpoint was not written by fairseq: use a checkpoint written by lm_plugins"
        if isinstance(cause, ProcessExitedException):
            return f"{cause}, and the other processes were stopped: see its output above"
        if isinstance(cause, ProcessRaisedException):
            return _sentence_of_process(cause)
        if isinstance(cause, ValueError) and str(cause).startswith("Unsupported optimizer"):
            return (
                "--memory-efficient-fp16 and -bf16 need an optimizer that updates such weights: give "
                "--optimizer adam or adafactor, or --fp16 or --autocast bf16 in place of them"
            )
        folder = _locals_of(verify_checkpoint_directory, cause)
        if folder is not None and isinstance(cause, OSError):
            return (
                f"--save-dir {folder['save_dir']} cannot be written ({cause.strerror}): give another folder"
            )
        folder = _folder_being_written(cause)
        if folder is not None and isinstance(cause, OSError):
            return (
                f"a checkpoint could not be written to {folder} ({cause.strerror}): fix that, and the same "
                "command continues from the newest whole checkpoint in that folder"
            )
        values = _locals_of(Trainer.load_checkpoint, cause)
        if values is not None and "Error(s) in loading state_dict" in str(cause):
            first = textwrap.shorten(str(cause).splitlines()[1], 200, placeholder=" ...").rstrip(".")
            return (
                f"the weights in {values['filename']} do not fit the model ({first}): give the --arch and "
                "the sizes that they were trained with"
            )
        path = _path_being_read(cause)
        if path is not None and isinstance(cause, UNREADABLE):
            return why_unreadable(path, cause)
        if isinstance(cause, OF_FLAGS) and _is_about_optimizer(cause):
            return f"fairseq does not accept these flags: {_what_failed(cause)}"
    return None


def _of_gradients(message: str) -> str:
    """Return the sentence for fairseq's error about gradients.

    It compares the norms of several GPUs, and calls them inconsistent if they differ or are not finite.
    """
    norms = NORM_OF_RANK.findall(message)
    if norms and all(math.isfinite(float(norm)) for norm in norms):
        return (
            f"training stopped, because the gradients of the processes differ (norms {', '.join(norms)}): no "
            "checkpoint was replaced; use the same kind of GPU and the same versions for all processes, or "
            "give --ddp-backend legacy_ddp, and start again from the last one"
        )
    return (
        f"training stopped, {'gradients are Nan/Inf' if norms else message}: the loss or its gradient is no "
        "longer a finite number; no checkpoint was replaced; lower --lr or --clip-norm, and start again from "
        "the last one"
    )


def _sentence_of_process(error: ProcessRaisedException) -> str | None:
    """Return the sentence that explains the failure of a spawned process, which is known only as text."""
    lines = error.msg.splitlines()
    for number, line in reversed(list(enumerate(lines))):
        name, _, message = line.partition(": ")
        if name == "FloatingPointError":  # its message has a line for each process
            message = "\n".join([message, *lines[number + 1 :]]).strip()
        if name in OF_PROCESSES:
            return sentence(OF_PROCESSES[name](message))
    return None


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error` and all that it was raised from, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _path_being_read(error: BaseException) -> str | None:
    """Return the checkpoint that fairseq was reading when it raised `error`.

    Its errors do not name the file; only its call of ``load_checkpoint_to_cpu`` does.
    """
    return (_locals_of(load_checkpoint_to_cpu, error) or {}).get("path")


def _folder_being_written(error: BaseException) -> str | None:
    """Return the --save-dir to which fairseq was saving when it raised `error`."""
    values = _locals_of(save_checkpoint, error)
    return None if values is None else values["cfg"].save_dir


def _is_about_optimizer(error: BaseException) -> bool:
    """Return whether fairseq or torch raised `error` while fairseq built the optimizer.

    An error in the code of a plug-in is not about flags, and keeps its traceback.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    package = frames[-1].f_globals.get("__name__", "").partition(".")[0] if frames else None
    return package in ("fairseq", "torch") and _locals_of(Trainer._build_optimizer, error) is not None


def _what_failed(error: BaseException) -> str:
    """Return the message of `error`, with the line that raised it where the message does not say enough."""
    message, line = " ".join(str(error).split()), traceback.extract_tb(error.__traceback__)[-1].line
    if isinstance(error, ZeroDivisionError):
        return f"{message} in {line}"
    return message or str(line)


def _locals_of(function: Callable, error: BaseException) -> dict[str, Any] | None:
    """Return the local variables of the call of `function` that raised `error`, or None."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is function.__code__:
            return frame.f_locals
    return None
