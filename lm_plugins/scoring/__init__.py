"""Score texts with a trained model: lines in batches, streams token by token, and hypotheses of a search."""
