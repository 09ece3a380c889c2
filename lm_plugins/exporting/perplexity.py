"""The perplexity of an exported model."""

import numpy as np
from tqdm import tqdm

from lm_plugins import metrics
from lm_plugins.exporting.session import Session

STREAMS, WINDOW = 8, 35  # read at a time


def perplexity(session: Session, tokens: np.ndarray, title: str) -> float:
    """Return the perplexity of a text, read as STREAMS streams that each start from a zero state.

    Args:
        tokens: ids [N]; the last ones are left out if the streams would have different lengths
        title: of the progress bar
    """
    eos = session.symbols.index("</s>")
    streams = min(STREAMS, len(tokens))
    targets = tokens[: len(tokens) // streams * streams]
    source = np.concatenate([[eos], targets[:-1]]).reshape(streams, -1)
    targets = targets.reshape(streams, -1)
    state, total = session.initial_state(streams), 0.0
    starts = range(0, targets.shape[1], WINDOW)
    for start in tqdm(starts, title, leave=False, disable=None):
        window = slice(start, start + WINDOW)
        log_prob, state = session.score(source[:, window], targets[:, window], state)
        total += float(log_prob.sum(dtype=np.float64))
    return metrics.perplexity(-total, targets.size)
