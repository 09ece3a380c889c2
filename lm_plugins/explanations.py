"""Explain in one sentence why a run ended: its own refusals, and known errors of fairseq, torch and files."""

import math
import re
import textwrap
import traceback
from collections.abc import Callable, Iterator
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


def sentence(error: BaseException) -> str | None:
    """Return the sentence that explains `error` or one of its causes, or None."""
    for cause in _with_causes(error):
        if cause is error and isinstance(error, OverflowError):
            continue  # only fairseq's failure to handle it has a sentence
        for explain in (of_training, of_processes, of_files, of_flags):
            if text := explain(cause):
                return text
    return None


def of_training(error: BaseException) -> str | None:
    """Explain a refusal, and what ends training: numbers that are not finite, and memory that runs out."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, FloatingPointError):
        return _of_gradients(str(error))
    if is_out_of_memory(error):
        return "memory ran out: lower --batch-size or --tokens-per-sample, or use a smaller model"
    if isinstance(error, OverflowError):
        return (
            "a gradient overflowed float16, from which fairseq recovers only on a GPU: give a lower "
            "--fp16-init-scale, or --autocast bf16"
        )
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
        "longer a finite number; no checkpoint was replaced; to continue from the last one, lower --lr or "
        "--clip-norm and add --accept-changes"
    )


def of_processes(error: BaseException) -> str | None:
    """Explain the end of a process that fairseq spawned."""
    if isinstance(error, ProcessExitedException):
        return f"{error}, and the other processes were stopped: see its output above"
    if isinstance(error, ProcessRaisedException):
        return _of_spawned_process(error)
    return None


def _of_spawned_process(error: ProcessRaisedException) -> str | None:
    """Return the sentence that explains the failure of a spawned process, which is known only as text."""
    lines = error.msg.splitlines()
    for number, line in reversed(list(enumerate(lines))):
        name, _, message = line.partition(": ")
        if name == "FloatingPointError":  # its message has a line for each process
            message = "\n".join([message, *lines[number + 1 :]]).strip()
        if name in OF_PROCESSES:
            return sentence(OF_PROCESSES[name](message))
    return None


def of_files(error: BaseException) -> str | None:
    """Explain why a checkpoint cannot be read or written, or does not fit the model."""
    if isinstance(error, OSError) and str(error).startswith("Model file not found"):
        return f"{error}: give the path of a checkpoint that exists"
    if isinstance(error, RuntimeError) and str(error).startswith("Neither args nor cfg exist"):
        return "the checkpoint was not written by fairseq: use a checkpoint written by lm_plugins"
    checked = _locals_of(verify_checkpoint_directory, error)
    if checked is not None and isinstance(error, OSError):
        return f"--save-dir {checked['save_dir']} cannot be written ({error.strerror}): give another folder"
    saving = _locals_of(save_checkpoint, error)
    if saving is not None and isinstance(error, OSError):
        return (
            f"a checkpoint could not be written to {saving['cfg'].save_dir} ({error.strerror}): fix that, "
            "and the same command continues from the newest complete checkpoint in that folder"
        )
    loading = _locals_of(Trainer.load_checkpoint, error)
    if loading is not None and "Error(s) in loading state_dict" in str(error):
        first = textwrap.shorten(str(error).splitlines()[1], 200, placeholder=" ...").rstrip(".")
        return (
            f"the weights in {loading['filename']} do not fit the model ({first}): give the --arch and the "
            "sizes that they were trained with"
        )
    reading = _locals_of(load_checkpoint_to_cpu, error)  # its errors do not name the file
    if reading is not None and isinstance(error, UNREADABLE):
        return why_unreadable(reading["path"], error)
    if isinstance(error, PermissionError) and error.filename is not None:
        return (
            f"{error.filename} cannot be read or written by this user ({error.strerror}): change its "
            "permissions, or give another path"
        )
    return None


def of_flags(error: BaseException) -> str | None:
    """Explain an error of fairseq or torch about the flags of an optimizer or a schedule."""
    if isinstance(error, ValueError) and str(error).startswith("Unsupported optimizer"):
        return (
            "--memory-efficient-fp16 and -bf16 need an optimizer that updates such weights: give "
            "--optimizer adam or adafactor, or --fp16 or --autocast bf16 in place of them"
        )
    if isinstance(error, OF_FLAGS) and _is_about_optimizer(error):
        return f"fairseq does not accept these flags: {_what_failed(error)}"
    return None


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


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error` and all that it was raised from, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _locals_of(function: Callable, error: BaseException) -> dict[str, Any] | None:
    """Return the local variables of the call of `function` that raised `error`, or None."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is function.__code__:
            return frame.f_locals
    return None
