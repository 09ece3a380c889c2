"""The parts of ``python -m lm_plugins.convert``: models of other projects, and plain tensors."""
