"""Test and measure on a real GPU, and write one report: ``python -m benchmarks.gpu``."""
