"""Rescoring of n-best lists: the lists, the scores of the model, the search for weights, and the outputs."""
