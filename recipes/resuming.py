"""Decide whether a training run may continue what an earlier one left in its folder.

The flags of the completed command and the data are compared, because all numbers of an experiment must belong
to one command. Flags that only say how long to train, or what to log, may differ.
"""

from pathlib import Path

from recipes.logs import epochs
from recipes.stages import Inputs, differences, record, record_path

FREE = (
    "--max-epoch", "--max-update", "--stop-time-hours", "--patience", "--cpu", "--num-workers",
    "--log-interval", "--save-interval", "--keep-last-epochs", "--keep-best-checkpoints",
)  # fmt: skip
LENGTHS = {"--max-epoch": "epoch", "--max-update": "train_num_updates"}  # {flag: what the log counts}
# Schedules of a known length, whose learning rates --max-epoch and --max-update change from the start.
OF_LENGTH = ("cosine", "polynomial_decay", "linear_decay", "triangular", "tri_stage", "exponential_range")


def has_begun(folder: Path) -> bool:
    """Return whether a training run left a checkpoint in `folder`."""
    return any(folder.glob("checkpoint*.pt"))


def check_resumable(experiment: Path, stage: str, folder: Path, inputs: Inputs, settings: Inputs) -> None:
    """Refuse to continue a training run with other settings.

    Args:
        folder: folder of its checkpoints
        inputs: :func:`recipes.stages.inputs_of` of the typed command
        settings: the same of the completed command; these decide

    Raises:
        SystemExit: the message names the differences.
    """
    cure = f"give another folder as --exp FOLDER, or remove {folder} to start over"
    known = record(experiment, stage)
    before = known.get("settings")
    if not isinstance(before, dict):
        raise SystemExit(
            f"error: {folder} holds a training run whose flags are unknown, because there is no "
            f"{record_path(experiment, stage)}: {cure}"
        )
    fixed = LENGTHS if settings.get("--lr-scheduler") in OF_LENGTH else ()
    free = {flag for flag in FREE if flag not in fixed}
    compared = [{k: v for k, v in one.items() if k not in free} for one in (before, settings)]
    if different := differences(*compared):
        different = differences(known.get("inputs") or {}, inputs) or different  # the typed ones explain them
        raise SystemExit(f"error: {folder} was trained {', '.join(different)}: {cure}")
    check_length(experiment / "logs" / f"{stage}.log", folder, settings, cure)


def check_trained_with(experiment: Path, typed: Inputs) -> None:
    """Refuse to evaluate models with flags of training that none of them was trained with.

    Args:
        typed: :func:`recipes.stages.inputs_of` of the typed flags

    Raises:
        SystemExit: the message names what differs from the first training run.
    """
    flags = {flag: value for flag, value in typed.items() if flag not in FREE}
    known = [record(experiment, stage).get("settings") for stage in ("train", "finetune")]
    trained = [settings for settings in known if isinstance(settings, dict)]
    if trained and not any(flags.items() <= settings.items() for settings in trained):
        before = {flag: value for flag, value in trained[0].items() if flag in flags}
        raise SystemExit(
            f"error: {experiment} was trained {', '.join(differences(before, flags))}, and these stages do "
            "not train it: leave out what differs, or begin with --stage 2 and another --exp"
        )


def check_length(log: Path, folder: Path, settings: Inputs, cure: str) -> None:
    """Refuse a training run that is to be shorter than what has already been trained.

    Raises:
        SystemExit: see above
    """
    logged = epochs(log, "train")
    for flag, key in LENGTHS.items():
        done = int(float(logged[-1].get(key, 0))) if logged else 0
        limit = settings.get(flag) or "0"
        if limit.isdecimal() and 0 < int(limit) < done:
            unit = "epochs" if key == "epoch" else "updates"
            raise SystemExit(
                f"error: {folder} was trained for {done} {unit}, more than {flag} {limit}: {cure}"
            )
