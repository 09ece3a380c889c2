"""neural_cache: the neural or continuous cache (Grave, Joulin and Usunier 2016, arXiv:1612.04426).

    p_t(w) = sum_j [w = y_j] exp(theta h_t . h_j) / sum_j exp(theta h_t . h_j)

where j runs over the last W pairs before t of a state h_j and the word y_j that followed it.
"""

from lm_plugins.ops.neural_cache.torch import BLOCK, neural_cache

__all__ = ["BLOCK", "neural_cache"]
