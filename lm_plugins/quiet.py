"""Filters the warnings of the stack that a user of this package can do nothing about."""

import logging
import warnings

UNACTIONABLE = [  # fairseq calls torch and hydra in ways that they have deprecated
    r"`torch\.cuda\.amp\.autocast\(args\.\.\.\)` is deprecated",
    r"'pin_memory' argument is set as true but no accelerator",
    r"RNN module weights are not part of single contiguous chunk",  # weight drop: as it must be
    r"Sparse invariant checks are implicitly disabled",  # torch's Adagrad
    r"hydra\.experimental\.\w+\(\) is no longer experimental",
    r"The version_base parameter is not specified",
    r"See https://hydra\.cc/docs/",
]


def filter_warnings():
    for message in UNACTIONABLE:
        warnings.filterwarnings("ignore", message=f"(?s).*{message}")
    for name in ("hydra", "matplotlib"):  # some of fairseq's programs log everything at DEBUG
        logging.getLogger(name).setLevel(logging.WARNING)
