"""Models of salesforce/awd-lstm-lm: ``torch.save([model, criterion, optimizer])``, or a state_dict.

LSTM, QRNN and GRU are converted, with a full or a split softmax. The splits are in the criterion; a
state_dict of the model lacks them, so a model of a large vocabulary needs its criterion.
"""

from lm_plugins.converting.foreign import Foreign
from lm_plugins.converting.translated import Translated, translate
from lm_plugins.errors import Refused

SPLIT = 75_000  # main.py gives a model of more words a split softmax


def recognises(foreign: Foreign) -> bool:
    """Return whether `foreign` has the layout of awd-lstm-lm."""
    names = {*foreign.weights}
    return {"encoder.weight", "decoder.bias"} <= names and any(name.startswith("rnns.") for name in names)


def convert(foreign: Foreign) -> Translated:
    """Return the model in our terms.

    The i-th tail of SplitCrossEntropyLoss has the i-th vector from the end; ours has the i-th one.

    Raises:
        Refused: we have no such model
    """
    model = translate(foreign, foreign.weights)
    if foreign.layers and not all(layer.get("output_gate", True) for layer in foreign.layers):
        raise Refused(f"{foreign.path} has QRNN layers without an output gate: lm_plugins has no such model")
    if model.size > SPLIT and not foreign.criterion:
        raise Refused(
            f"{foreign.path} has no criterion, in which a model of {model.size:,} words has its split "
            "softmax: give the file of --save, which holds both"
        )
    cutoffs = list(foreign.criterion.get("splits", ()))[1:-1]
    if not cutoffs:
        return model
    if model.output is not None or cutoffs[-1] >= model.size:
        raise Refused(
            f"{foreign.path} has a split softmax that is not tied to the embedding, or a split without "
            "words: lm_plugins has no such model"
        )
    head = {
        "tail_vectors": foreign.criterion["tail_vectors"].flip(0),
        "tail_bias": foreign.criterion["tail_bias"].flip(0),
    }
    options = {**model.options, "output_layer": "adaptive_softmax"}
    return model._replace(options=options, head=head, cutoffs=cutoffs)
