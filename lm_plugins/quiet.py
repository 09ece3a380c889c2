"""Filters the warnings of the stack that a user of this package can do nothing about."""

import warnings

UNACTIONABLE = [
    r".*torch\.cuda\.amp\.autocast.*is deprecated",  # fairseq_task.py
    r".*'pin_memory' argument is set as true but no accelerator",  # fairseq's iterators.py
    r".*RNN module weights are not part of single contiguous chunk",  # weight drop: meant
    r".*version_base parameter is not specified",  # hydra
    r".*See https://hydra\.cc/docs.*",  # hydra
]


def filter_warnings():
    for message in UNACTIONABLE:
        warnings.filterwarnings("ignore", message=message)
