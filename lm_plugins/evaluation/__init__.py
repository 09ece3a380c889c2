"""What fairseq-eval-lm does beyond the model: cache, its tuning, dynamic evaluation, the report."""
