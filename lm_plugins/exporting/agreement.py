"""Compare an exported model with the model in torch."""

from collections.abc import Iterator

import numpy as np
import torch

from lm_plugins.errors import Refused
from lm_plugins.exporting.forms import STEP, flat, form_of
from lm_plugins.exporting.session import Session
from lm_plugins.models.recurrent_decoder import RecurrentDecoder

TOLERANCE = 1e-5  # of ln p in nats and of the state, relative to values above 1
STREAMS = (1, 2)
LENGTHS = (7, 1, 20)  # of windows
SEED = 1


@torch.no_grad()
def check_agreement(decoder: RecurrentDecoder, session: Session) -> float:
    """Compare ln p and the states of random texts, carried from window to window or from step to step.

    Returns:
        the largest difference; see TOLERANCE for its units

    Raises:
        Refused: it is larger than TOLERANCE, or not a number.
    """
    largest = max(_differences(decoder, session))
    if not largest <= TOLERANCE:  # also true for a NaN
        raise Refused(
            f"the exported model differs from the one in torch by {largest:.1e} (allowed: {TOLERANCE:g}), so "
            "the file was not written: report this with your versions of torch, onnxscript and onnxruntime"
        )
    return largest


def _differences(decoder: RecurrentDecoder, session: Session) -> Iterator[float]:
    module, draw = form_of(decoder, session.form).module, np.random.default_rng(SEED)
    special = decoder.dictionary.nspecial
    for streams in STREAMS:
        state = session.initial_state(streams)
        in_torch = flat([layer.initial_state(streams) for layer in decoder.layers])
        for length in LENGTHS:
            shape = (streams, length)
            ids, targets = draw.integers(special, len(decoder.dictionary), (2, *shape))
            ids[draw.random(shape) < 0.2] = decoder.dictionary.eos()  # which may reset the state
            windows = [(ids[:, t],) for t in range(length)] if session.form == STEP else [(ids, targets)]
            for tokens in windows:
                log_prob, state = session.run(tokens, state)
                expected, in_torch = module(*map(torch.from_numpy, tokens), in_torch)
                yield _difference(log_prob, expected)
            tensors = [tensor for of_layer in in_torch for tensor in of_layer]
            yield from (_difference(*pair) for pair in zip(state, tensors, strict=True))


def _difference(result: np.ndarray, expected: torch.Tensor) -> float:
    expected = expected.numpy()
    difference = np.abs(result - expected) / np.maximum(1, np.abs(expected))
    return float("inf") if np.isnan(difference).any() else float(difference.max())
