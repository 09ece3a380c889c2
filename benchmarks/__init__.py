"""Speed and memory against the way in which others do the same work: ``python -m benchmarks``.

Each file here with a function `groups(quick)` is found by itself; see :class:`benchmarks.measure.Group`.
"""
