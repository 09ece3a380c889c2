"""Training losses. They have no parameters, and see a model only through its output and its head."""
