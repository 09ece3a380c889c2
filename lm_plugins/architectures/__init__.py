"""Architectures, one module for each paper: sizes, training, recipes and published results.

Importing this package registers them. A plug-in adds one by declaring an :class:`Architecture`.
"""

from lm_plugins.architectures import (  # noqa: F401
    awd_lstm,
    cifg,
    mos,
    openseq2seq,
    qrnn,
    small,
    torch_gbw,
    zaremba,
    zhang,
    zhang_baselines,
)
from lm_plugins.architectures.architecture import (
    ARCHITECTURES,
    PUBLISHED,
    Architecture,
    Published,
    Recipe,
)
from lm_plugins.flags import Flags

__all__ = ["ARCHITECTURES", "PUBLISHED", "Architecture", "Flags", "Published", "Recipe"]
