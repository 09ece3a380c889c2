"""Scorers that wrap each other, what they count, and the report: evaluation beyond the model itself."""
