"""Functions on tensors; torch only. A naive reference stands beside each faster form."""
