"""The definition, word by word with a one-hot history, as awd-lstm-lm's pointer.py has it."""

import torch
from torch.nn import functional as F


def neural_cache(query, keys, words, theta, window, vocabulary):
    """The whole distribution p, [T, B, V]; zero throughout where nothing was seen.

    Args:
        query: h_t, [T, B, C]
        keys, words: [M + T, B, C] and [M + T, B]: the pairs before the queries, and those of the queries
        window: W; None: all pairs
    """
    past = len(keys) - len(query)
    found = query.new_zeros(*query.shape[:2], vocabulary)
    for t in range(len(query)):
        first = 0 if window is None else max(0, past + t - window)
        for b in range(query.size(1)):
            states, history = keys[first : past + t, b], F.one_hot(words[first : past + t, b], vocabulary)
            if len(states):
                attention = torch.softmax(theta * (states @ query[t, b]), dim=0)
                found[t, b] = (attention.unsqueeze(1) * history).sum(0)
    return found
