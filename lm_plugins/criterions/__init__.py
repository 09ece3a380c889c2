"""Training losses, without parameters: they see a model through its output and its head only."""
