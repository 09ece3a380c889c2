"""Write a log like that of fairseq-train."""

import json
from datetime import datetime, timedelta

START = datetime(2026, 1, 1, 10)
COMMAND = "$ fairseq-train data --user-dir lm_plugins --arch qrnn_ptb\n"


def line(seconds: float, name: str, message: str, level: str = "INFO") -> str:
    """Return a record `seconds` after the start."""
    stamp = (START + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
    return f"{stamp} | {level} | {name} | {message}\n"


def started(seconds: float, first: int = 1) -> str:
    """Return what is logged before the epoch `first`, in which a run starts."""
    return (
        line(seconds, "fairseq_cli.train", "num. shared model params: 12,345 (num. trained: 12,345)")
        + line(seconds, "fairseq_cli.train", "num. expert model params: 0 (num. trained: 0)")
        + line(seconds, "fairseq_cli.train", "training on 1 devices (GPUs/TPUs)")
        + line(seconds, "fairseq.trainer", f"begin training epoch {first}")
        + line(seconds, "fairseq_cli.train", "Start iterating over samples")
    )


def folders(seconds: float, count: int, max_epoch: int) -> str:
    """Return what is logged of several data folders; `max_epoch` counts passes over all of them."""
    return line(
        seconds,
        "lm_plugins.passes",
        f"{count} data folders: fairseq counts each of them as an epoch, so passes over all of them are "
        f"converted to --lr-scheduler fixed_by_pass --max-epoch {count * max_epoch} "
        f"--validate-interval {count}",
    )


def inner(seconds: float, update: float, updates: int, **more: str) -> str:
    """Return what is logged within an epoch; `update` counts epochs, `updates` updates."""
    values = {"loss": "5", "wps": "1000", "num_updates": str(updates), **more}
    return line(seconds, "train_inner", json.dumps({"epoch": int(update) + 1, "update": update, **values}))


def epoch(
    seconds: float, number: int, train: float = 200.0, valid: float = 100.0, loss_only: bool = False
) -> str:
    """Return what is logged at the end of an epoch."""
    quantity = ("loss", train) if loss_only else ("ppl", train)
    trained = {f"train_{quantity[0]}": str(quantity[1]), "train_wps": "2000", "train_num_updates": "50"}
    validated = {"valid_ppl": str(valid), "valid_loss": "6"}
    return line(seconds, "valid", json.dumps({"epoch": number, **validated})) + line(
        seconds, "train", json.dumps({"epoch": number, **trained})
    )
