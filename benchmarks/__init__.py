"""Speed and memory compared with the way others do the same work: ``python -m benchmarks``.

Each file here with a function `groups(quick)` is found automatically; see :class:`benchmarks.measure.Group`.
"""
