"""Corpora as parallel token streams, cut into windows."""
