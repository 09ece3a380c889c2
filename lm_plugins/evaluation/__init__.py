"""Evaluation: scorers that wrap each other, the tally of what they score, and the report."""
