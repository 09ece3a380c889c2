"""The definition, word by word with a one-hot history, as in awd-lstm-lm's pointer.py."""

import torch
from torch import Tensor
from torch.nn import functional as F


def neural_cache(
    query: Tensor, keys: Tensor, words: Tensor, theta: float, window: int | None, vocabulary: int
) -> Tensor:
    """Return the whole distribution p_t, [T, B, V]; it is zero where the cache is empty.

    Args:
        query: h_t, [T, B, C]
        keys: M past states followed by the queries, [M + T, B, C]
        words: the word that followed each of `keys`, [M + T, B]
        theta: flatness
        window: W; None: all pairs
        vocabulary: V
    """
    past = len(keys) - len(query)
    p = query.new_zeros(*query.shape[:2], vocabulary)
    for t in range(len(query)):
        first = 0 if window is None else max(0, past + t - window)
        for b in range(query.size(1)):
            states, history = keys[first : past + t, b], F.one_hot(words[first : past + t, b], vocabulary)
            if len(states):
                attention = torch.softmax(theta * (states @ query[t, b]), dim=0)
                p[t, b] = (attention.unsqueeze(1) * history).sum(0)
    return p
