"""Tasks: how a corpus is read, trained on and evaluated."""
