"""Models of zihangdai/mos: ``torch.save(model)``, or its state_dict.

Its probabilities are ln(p + 1e-8). Ours are ln p, which differ where p is small.
"""

from lm_plugins.converting.foreign import Foreign
from lm_plugins.converting.translated import Translated, translate


def recognises(foreign: Foreign) -> bool:
    """Return whether `foreign` has the layout of mos."""
    return {"encoder.weight", "prior.weight", "latent.0.weight"} <= {*foreign.weights}


def convert(foreign: Foreign) -> Translated:
    """Return the model in our terms, a mixture of softmaxes.

    Raises:
        Refused: we have no such model
    """
    model, weights = translate(foreign, foreign.weights), foreign.weights
    head = {
        "prior.weight": weights["prior.weight"],
        "latent.weight": weights["latent.0.weight"],
        "latent.bias": weights["latent.0.bias"],
    }
    experts = len(weights["prior.weight"])
    return model._replace(options={**model.options, "output_layer": "mos", "n_experts": experts}, head=head)
