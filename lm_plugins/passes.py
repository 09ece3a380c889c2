"""Convert passes over the corpus to the epochs of fairseq, each of which trains on one data folder.

A corpus may be in several data folders, ``a:b:c``. The flags that a user types, and those of an architecture,
count passes over all of them. fairseq counts folders. This is the only place that converts, after the command
line was completed, so a completed command still counts passes and can be repeated.

| setting                          | of fairseq                                                           |
|----------------------------------|----------------------------------------------------------------------|
| an option of epochs              | times the number of folders                                          |
| a list with a value for an epoch | each value as often as there are folders                             |
| --lr-scheduler fixed             | ``fixed_by_pass``, which counts passes itself                        |
| validation                       | after the last folder of a pass: --validate-interval                 |

An option counts epochs if the metadata of its dataclass field say so, ``metadata={"unit": "epochs"}``, in a
plug-in too. Options that count validations, such as --patience and --nonmono, then count passes by
themselves. Two things keep fairseq's meaning, so that a long pass can be resumed: --save-interval counts
folders, and the names of checkpoints have the number of the folder.
"""

import logging
import os
from collections.abc import Iterator

from lm_plugins.command_line import program_name, typed_flags
from lm_plugins.completion import is_recurrent_task
from lm_plugins.data_folders import data_folders
from lm_plugins.errors import Refused
from lm_plugins.flags import Flags, flag_of
from lm_plugins.registered_options import options_of

logger = logging.getLogger(__name__)

UNIT = ("unit", "epochs")  # in the metadata of an option
EPOCHS = ("--max-epoch", "--validate-interval")  # options of fairseq
A_VALUE_EACH = ("--update-freq",)  # options of fairseq that list a value for each epoch
SCHEDULE, FIXED, BY_PASS = "--lr-scheduler", "fixed", "fixed_by_pass"
OF_SCHEDULES = ("--force-anneal", "--epoch2lr")  # of fairseq's schedules, in epochs


def count_folders(argv: list[str]) -> list[str]:
    """Return the completed command `argv` with its epochs in folders, and log the conversion.

    Nothing is changed if there is only one folder, or if another task is trained.

    Raises:
        Refused: a schedule of fairseq would count folders.
    """
    typed = typed_flags(argv[1:])
    if program_name(argv[0]) != "train" or not is_recurrent_task(typed.get("--task")):
        return argv
    folders = len(data_folders(argv[1:]))
    if folders < 2:
        return argv
    added = [word for pair in converted(typed, folders) for word in pair]
    if os.environ.get("RANK", "0") == "0":
        logger.info(
            f"{folders} data folders: fairseq counts each of them as an epoch, so passes over all of them "
            f"are converted to {' '.join(added)}"
        )
    return [*argv, *added]


def converted(typed: Flags, folders: int) -> Iterator[tuple[str, str]]:
    """Yield the flags that differ when the epochs of `typed` are counted in folders."""
    schedule = typed.get(SCHEDULE) or FIXED
    if schedule in (FIXED, BY_PASS):
        yield SCHEDULE, BY_PASS
    elif flag := next((flag for flag in OF_SCHEDULES if flag in typed), None):
        raise Refused(
            f"{flag} of --lr-scheduler {schedule} would count data folders instead of passes over all "
            f"{folders}: use --lr-scheduler fixed or multi_step"
        )
    for flag in (*EPOCHS, *epochs_of_schedule(schedule)):
        values = typed.get(flag) or ("1" if flag == "--validate-interval" else None)
        if values:
            yield flag, ",".join(str(folders * int(value)) for value in values.strip("[]()").split(","))
    for flag in A_VALUE_EACH:
        values = (typed.get(flag) or "").strip("[]()").split(",")
        if len(values) > 1:
            yield flag, ",".join(value for value in values for _ in range(folders))


def epochs_of_schedule(name: str) -> list[str]:
    """Return the flags of a learning-rate schedule whose fields declare that they count epochs."""
    unit, epochs = UNIT
    options = options_of("lr_scheduler", name)
    return [flag_of(option) for option, field in options.items() if field.metadata.get(unit) == epochs]
