"""Recurrent language models for fairseq: ``fairseq-train DATA --user-dir lm_plugins --arch ...``.

Importing this package registers its models, tasks, criterions, optimizers and schedules with fairseq. It
changes nothing else in a process, except in fairseq's own programs (:func:`lm_plugins.program.prepare`).
"""

# fairseq itself imports only the models/ and tasks/ of a --user-dir.
from lm_plugins import architectures, program  # noqa: F401
from lm_plugins.criterions import adaptive_softmax, lm_cross_entropy, mos, nce  # noqa: F401
from lm_plugins.models import awd_gru, awd_lstm, cifg, qrnn, simple_rnn  # noqa: F401
from lm_plugins.optim import nt_asgd, sparse_adagrad, torch_adam  # noqa: F401
from lm_plugins.optim.lr_scheduler import (  # noqa: F401
    exponential_range,
    fixed_by_pass,
    linear_decay,
    multi_step,
    plateau,
    rollback,
)
from lm_plugins.tasks import recurrent_language_modeling  # noqa: F401

program.prepare()
