"""Recurrent language models and their architectures."""
