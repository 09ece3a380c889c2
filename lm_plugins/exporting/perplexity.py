"""The perplexity of an exported model."""

import numpy as np
from tqdm import tqdm

from lm_plugins import metrics
from lm_plugins.exporting.session import Session

STREAMS, WINDOW = 8, 35  # read at a time


def equal_streams(tokens: np.ndarray) -> np.ndarray:
    """Return a text as STREAMS streams of equal length, or one per token if there are fewer tokens.

    Args:
        tokens: ids [N], at least 1; up to STREAMS - 1 of the last ones are left out

    Returns:
        ids [streams, N / streams]
    """
    streams = min(STREAMS, len(tokens))
    return tokens[: len(tokens) // streams * streams].reshape(streams, -1)


def perplexity(session: Session, targets: np.ndarray, title: str) -> float:
    """Return the perplexity of streams of text that each start from a zero state.

    Args:
        targets: ids [streams, N / streams]
        title: of the progress bar
    """
    streams, eos = len(targets), session.symbols.index("</s>")
    source = np.concatenate([[eos], targets.flatten()[:-1]]).reshape(streams, -1)
    state, total = session.initial_state(streams), 0.0
    starts = range(0, targets.shape[1], WINDOW)
    for start in tqdm(starts, title, leave=False, disable=None):
        window = slice(start, start + WINDOW)
        log_prob, state = session.score(source[:, window], targets[:, window], state)
        total += float(log_prob.sum(dtype=np.float64))
    return metrics.perplexity(-total, targets.size)
