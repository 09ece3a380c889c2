"""Models of fastai's AWD_LSTM 0.7, 1 and 2, with LSTM or QRNN layers: the file of ``learn.save``.

The first module of fastai's model, `0`, is the encoder, and the second, `1`, the output layer. Version 0.7
has no bias there.
"""

from lm_plugins.converting.foreign import Foreign
from lm_plugins.converting.translated import Translated, translate

MODULES = ("0.", "1.")


def recognises(foreign: Foreign) -> bool:
    """Return whether `foreign` has the layout of fastai's language models."""
    return "0.encoder.weight" in foreign.weights


def convert(foreign: Foreign) -> Translated:
    """Return the model in our terms.

    Raises:
        Refused: we have no such model
    """
    weights = {name[2:]: tensor for name, tensor in foreign.weights.items() if name.startswith(MODULES)}
    return translate(foreign, weights)
