"""Recurrent language models for fairseq: ``fairseq-train DATA --user-dir lm_plugins --arch ...``."""

import sys

from lm_plugins import errors, quiet

if any(argument.startswith("--user-dir") for argument in sys.argv):
    sys.excepthook = errors.report
quiet.filter_warnings()
quiet.filter_configuration()

from lm_plugins import checkpoints  # noqa: E402

checkpoints.force_safe_loading()

# fairseq scans models/ and tasks/ of a --user-dir only: import every kind here.
from lm_plugins import command_line  # noqa: E402
from lm_plugins.criterions import adaptive_softmax, lm_cross_entropy, mos, nce  # noqa: E402, F401
from lm_plugins.models import awd_lstm, qrnn  # noqa: E402, F401
from lm_plugins.optim import nt_asgd, sparse_adagrad, torch_adam  # noqa: E402, F401
from lm_plugins.optim.lr_scheduler import linear_decay, multi_step, plateau  # noqa: E402, F401
from lm_plugins.tasks import recurrent_language_modeling  # noqa: E402, F401

sys.argv[:] = command_line.complete(sys.argv)
