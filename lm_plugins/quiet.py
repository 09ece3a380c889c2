"""Filter warnings and log messages of other packages that a user of this package cannot act on."""

import logging
import os
import warnings

from omegaconf import DictConfig

UNACTIONABLE = [  # fairseq calls torch and hydra in ways that they have deprecated
    r"`torch\.cuda\.amp\.autocast\(args\.\.\.\)` is deprecated",
    r"'pin_memory' argument is set as true but no accelerator",
    r"amp_C fused kernels unavailable",  # of apex, which fairseq's own clipping would use
    r"RNN module weights are not part of single contiguous chunk",  # unavoidable with weight dropout
    r"Sparse invariant checks are implicitly disabled",  # torch's Adagrad
    r"LSTM with projections is not supported with oneDNN",  # ATen computes it instead
    r"hydra\.experimental\.\w+\(\) is no longer experimental",
    r"The version_base parameter is not specified",
    r"See https://hydra\.cc/docs/",
]

# Each logs the whole configuration, some 6,000 characters, as it starts.
DUMPING = (
    "fairseq_cli.train",
    "fairseq_cli.validate",
    "fairseq_cli.eval_lm",
    "fairseq_cli.generate",
    "fairseq_cli.interactive",
    "fairseq.models.fairseq_model",  # from_pretrained
)


def filter_warnings() -> None:
    """Ignore the warnings in UNACTIONABLE, and the debug messages of hydra and matplotlib."""
    for message in UNACTIONABLE:
        warnings.filterwarnings("ignore", message=f"(?s).*{message}")
    for name in ("hydra", "matplotlib"):  # some of fairseq's programs log everything at DEBUG
        logging.getLogger(name).setLevel(logging.WARNING)


def filter_configuration() -> None:
    """Keep the dump of the configuration off the screen unless LOGLEVEL is DEBUG."""
    for name in DUMPING:
        logging.getLogger(name).addFilter(_is_no_configuration)  # adding it again changes nothing


def filter_tracebacks() -> None:
    """Keep the traceback of a failed save out of fairseq's log: the error that it raises is reported."""
    logging.getLogger("fairseq.checkpoint_utils").addFilter(_is_no_traceback)


def _is_no_traceback(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Traceback")


def _is_no_configuration(record: logging.LogRecord) -> bool:
    """Return whether `record` goes to the screen; send a configuration to the log file only."""
    if not isinstance(record.msg, DictConfig) or os.environ.get("LOGLEVEL", "").upper() == "DEBUG":
        return True
    for handler in logging.getLogger(record.name).handlers:  # the file of --log-file
        handler.handle(record)
    return False
