"""Complete the command line with the flags that an architecture needs and the user did not type.

A typed flag always wins, even if it equals fairseq's default. Nothing is changed unless the classes of the
task and the architecture are those of this package, or are derived from them. Completing a completed command
changes nothing.
"""

import logging
import os
import shlex
from collections.abc import Mapping

from fairseq.checkpoint_utils import get_maybe_sharded_checkpoint_filename
from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.tasks import TASK_REGISTRY
from fairseq.utils import split_paths

from lm_plugins.architectures.shared import COMMON
from lm_plugins.checkpoint_contents import check_foreign_checkpoint, read_own_checkpoint
from lm_plugins.command_line import (
    ADDED_OPTIONS,
    missing_arguments,
    program_name,
    typed_flags,
    with_added_options,
)
from lm_plugins.errors import Refused
from lm_plugins.flags import Flags
from lm_plugins.process_flags import CONNECTING, process_count, process_flags, streams_per_process
from lm_plugins.tasks.recurrent_language_modeling import RecurrentLanguageModelingTask
from lm_plugins.training_flags import check_arch, is_recurrent, training_flags
from lm_plugins.typed_checks import (
    check_evaluation,
    check_numbers,
    check_required,
    check_training,
    warn_of_decoupled_decay,
)
from lm_plugins.unsupported import check_supported

logger = logging.getLogger(__name__)

EVALUATING = ("eval-lm", "validate", "generate", "interactive")


def complete(argv: list[str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return `argv` with the missing flags appended, and log the completed command.

    Every --user-dir must have been imported: the typed names are looked up in fairseq's registries.

    Raises:
        Refused: an unknown architecture, a number out of range, or flags that would train something
            other than intended.
    """
    program = program_name(argv[0])
    if program == "train":
        argv = with_added_options(argv, environ.get(ADDED_OPTIONS, ""))
    typed = typed_flags(argv[1:])
    if "--task" in typed and not is_recurrent_task(typed["--task"]):
        check_task(program, typed)
        for path in checkpoint_files(typed) if program in EVALUATING else ():
            check_foreign_checkpoint(path, typed["--task"])
        return argv
    flags = {}
    if program == "train":
        flags = flags_of_training(typed, argv[1:], environ)
    elif program in EVALUATING:
        flags = flags_of_evaluation(program, typed)
    added = missing_arguments(flags, typed)
    if added and environ.get("RANK", "0") == "0":
        repeatable = {flag: value for flag, value in flags.items() if flag not in CONNECTING}
        shown = [*argv[1:], *missing_arguments(repeatable, typed)]
        logger.info("completed command: %s", shlex.join([f"fairseq-{program}", *shown]))
    return [*argv, *added]


def check_arch_is_typed(argv: list[str]) -> None:
    """Refuse fairseq-train without --arch, for which fairseq raises an error without a message.

    Raises:
        Refused: see above
    """
    if program_name(argv[0]) == "train":
        typed = typed_flags(with_added_options(argv, os.environ.get(ADDED_OPTIONS, ""))[1:])
        if "--arch" not in typed:
            check_arch(None)


def is_recurrent_task(name: str | None) -> bool:
    """Return whether `name` is registered as a RecurrentLanguageModelingTask."""
    return issubclass(TASK_REGISTRY.get(name, object), RecurrentLanguageModelingTask)


def check_task(program: str | None, typed: Flags) -> None:
    """Refuse to train a recurrent architecture with a task that does not carry its state.

    Raises:
        Refused: the architecture is recurrent, but the task is another one
    """
    arch = typed.get("--arch")
    if program == "train" and arch in ARCH_MODEL_REGISTRY and is_recurrent(arch):
        raise Refused(
            f"--task {typed['--task']} does not carry the recurrent state of --arch {arch}: leave out --task"
        )


def flags_of_training(typed: Flags, arguments: list[str], environ: Mapping[str, str]) -> Flags:
    """Return the flags that fairseq-train needs for the typed architecture, if it is a recurrent one."""
    if "--arch" not in typed:
        return {}
    check_arch(typed["--arch"])
    if not is_recurrent(typed["--arch"]):
        return {}
    check_supported(typed)
    check_numbers({**COMMON, **typed})  # the flags of an architecture may depend on them
    world = process_count(typed, environ)
    flags = training_flags(typed, arguments, world) | process_flags(typed, environ)
    for flag in ("--batch-size", "--batch-size-valid"):
        if flag in flags and flag not in typed:
            flags[flag] = streams_per_process(flags[flag], world)
    check_numbers({**flags, **typed})
    check_required({**flags, **typed})
    check_training({**flags, **typed})
    if environ.get("RANK", "0") == "0":
        warn_of_decoupled_decay({**flags, **typed})
    return flags


def flags_of_evaluation(program: str, typed: Flags) -> Flags:
    """Return the task of the typed checkpoints, and the other flags that `program` needs for it.

    Raises:
        Refused: no checkpoint was typed, or no model may be built from one of them.
    """
    if not typed.get("--path"):
        raise Refused(f"fairseq-{program} needs a checkpoint: give its path with --path")
    tasks = [read_own_checkpoint(path)["cfg"]["task"]["_name"] for path in checkpoint_files(typed)]
    task = typed.get("--task") or (tasks or [COMMON["--task"]])[0]
    check_numbers({**typed, "--task": task})
    check_supported(typed)
    check_evaluation(program, typed)
    return {"--task": task} | ({"--batch-size": "1"} if program == "validate" else {})


def checkpoint_files(typed: Flags) -> list[str]:
    """Return the files that fairseq reads models from, if they exist; it reports those that do not."""
    suffix, shards = typed.get("--checkpoint-suffix") or "", int(typed.get("--checkpoint-shard-count") or 1)
    whole = typed.get("--path") or ""  # some programs read an ensemble, others one file of this name
    files = [
        get_maybe_sharded_checkpoint_filename(path, suffix, shard, shards)
        for path in dict.fromkeys([*split_paths(whole), whole])
        for shard in range(shards)
    ]
    if typed.get("--lm-path"):
        files.append(get_maybe_sharded_checkpoint_filename(typed["--lm-path"], "", 0, 1))
    return [file for file in files if os.path.exists(file)]
