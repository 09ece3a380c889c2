"""A log as fairseq-train writes it, made by hand."""

import json
from datetime import datetime, timedelta

START = datetime(2026, 1, 1, 10)
COMMAND = "$ fairseq-train data --user-dir lm_plugins --arch qrnn_ptb\n"
BEGIN = "Start iterating over samples"


def line(seconds, name, message, level="INFO"):
    """A record `seconds` after the start."""
    stamp = (START + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
    return f"{stamp} | {level} | {name} | {message}\n"


def inner(seconds, update, updates, **more):
    values = {"loss": "5", "wps": "1000", "num_updates": str(updates), **more}
    return line(seconds, "train_inner", json.dumps({"epoch": int(update) + 1, "update": update, **values}))


def epoch(seconds, number, train=200.0, valid=100.0, loss_only=False):
    """What is logged at the end of an epoch."""
    quantity = ("loss", train) if loss_only else ("ppl", train)
    trained = {f"train_{quantity[0]}": str(quantity[1]), "train_wps": "2000", "train_num_updates": "50"}
    validated = {"valid_ppl": str(valid), "valid_loss": "6"}
    return line(seconds, "valid", json.dumps({"epoch": number, **validated})) + line(
        seconds, "train", json.dumps({"epoch": number, **trained})
    )
