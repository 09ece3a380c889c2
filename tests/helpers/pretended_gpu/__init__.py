"""A GPU for a CPU-only torch: tensors that say "cuda", compute on the CPU, and refuse what a GPU refuses.

:mod:`.guard` must be loaded before torch is imported; :mod:`.server` does both.
"""
