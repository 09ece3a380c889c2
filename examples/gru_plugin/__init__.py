"""A plug-in for fairseq that builds on lm_plugins: a GRU language model with a sigsoftmax.

    fairseq-train DATA --user-dir examples/gru_plugin --arch gru_ptb

docs/extending.md explains it step by step.
"""

import lm_plugins  # noqa: F401  registers its task, heads, optimizers and schedules
from gru_plugin import architectures, inverse_time, self_normalised  # noqa: F401
