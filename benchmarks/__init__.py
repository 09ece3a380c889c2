"""Benchmarks of speed and memory against other implementations of the same work: ``python -m benchmarks``.

Each file here with a function `groups(quick)` is found automatically; see :class:`benchmarks.measure.Group`.
"""
