"""Compute the flags of training with one cycle of the learning rate, fitted to the size of the corpus.

The learning rate rises linearly in the first tenth of the updates and then falls along a cosine to a
thousandth of its peak. This is the one cycle of Smith and Topin (2017, arXiv:1708.07120) in the form of
fairseq's `cosine` schedule. That schedule needs the number of updates, which is computed here before fairseq
parses the command line. The number is part of the completed command.
"""

import math
from pathlib import Path

from fairseq.data import data_utils

from lm_plugins.data_folders import data_folders
from lm_plugins.errors import Refused
from lm_plugins.flags import Flags

SCHEDULE = "cosine"
WARM_UP = 0.1  # share of the updates
LAST = 1e-3  # learning rate at the end, as a share of the peak


def training_tokens(arguments: list[str], subset: str = "train") -> int:
    """Return the number of tokens of `subset` in all data folders that the command line names.

    If it names none, the result is 1,000,000: flags can then be checked without a corpus.

    Args:
        arguments: of the command line
        subset: name of the training set

    Raises:
        Refused: a data folder has no `subset`.
    """
    folders = data_folders(arguments)
    if not folders:
        return 1_000_000
    # As in fairseq-train, the subsets train1, train2, ... are further parts of train.
    loaded = [data_utils.load_indexed_dataset(str(Path(folder, subset)), combine=True) for folder in folders]
    if None in loaded:
        raise Refused(
            f"the length of training depends on the size of the corpus, but {folders[loaded.index(None)]} "
            f"has no subset '{subset}': give a folder written by preprocess.text or fairseq-preprocess"
        )
    return max(1, sum(int(dataset.sizes.sum()) for dataset in loaded))


def one_cycle(
    typed: Flags,
    tokens: int,
    world: int,
    *,
    epochs: int,
    peak: float,
    streams: int,
    window: int,
    mean_share: float = 1.0,
) -> Flags:
    """Return the flags of one cycle over `epochs` passes through `tokens`.

    Args:
        typed: flags that the user typed, which take precedence: --max-epoch, --max-update, --batch-size,
            --update-freq and --tokens-per-sample change the length of the cycle, and --lr its peak. As in
            fairseq, a --max-epoch of 0 is no limit.
        tokens: number of training tokens
        world: number of processes
        epochs: passes through the corpus, or more where the typed --max-update needs them
        peak: highest learning rate
        streams: parallel streams of all processes together, which is rounded up to a multiple of `world`
        window: length of a window in tokens
        mean_share: mean length of the windows as a share of it

    Raises:
        Refused: one of these flags is not a single number, or the training would not end with the cycle.
    """
    try:
        last_epoch, last_update = (int(typed.get(flag) or 0) for flag in ("--max-epoch", "--max-update"))
        peak = float(typed.get("--lr") or peak)
        length = max(1.0, float(typed.get("--tokens-per-sample") or window))  # the task refuses a smaller one
        own = int(typed.get("--batch-size") or 0) or math.ceil(streams / world)  # of each process
        streams = max(1, own * world)
        windows = math.ceil(math.ceil(tokens / streams) / (length * mean_share))
        per_epoch = math.ceil(windows / max(1, int(typed.get("--update-freq") or 1)))
    except ValueError as error:
        raise Refused(
            f"a one-cycle schedule needs a single number for each of --max-epoch, --max-update, --lr, "
            f"--batch-size, --update-freq and --tokens-per-sample: {error}"
        ) from error
    epochs = last_epoch or max(epochs, math.ceil(last_update / per_epoch))
    if typed.get("--lr-scheduler", SCHEDULE) == SCHEDULE and "--lr-period-updates" not in typed:
        if "--max-epoch" in typed and not last_epoch and not last_update:
            raise Refused("a one-cycle schedule needs an end: give --max-update, or a --max-epoch above 0")
        if last_update > epochs * per_epoch:
            raise Refused(
                f"--max-epoch {epochs} ends the training after about {epochs * per_epoch:,} updates, before "
                f"the learning rate completes its cycle of --max-update {last_update:,}: leave one out"
            )
    updates = last_update or epochs * per_epoch
    warm_up = min(max(1, round(WARM_UP * updates)), updates - 1)  # fairseq divides by the length of the rest
    return {
        "--lr": f"{peak:g}",
        "--lr-scheduler": SCHEDULE,
        "--warmup-updates": str(warm_up),
        "--min-lr": f"{LAST * peak:g}",
        "--max-update": str(updates),
        "--max-epoch": str(epochs),
    }
