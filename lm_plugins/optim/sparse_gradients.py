"""Gradients of large tables that hold the looked-up rows alone (--sparse-embedding-grad)."""

import torch

from lm_plugins.errors import Refused


def has_sparse_gradients(params):
    return any(p.grad is not None and p.grad.is_sparse for p in params)


class SparseGradients:
    """For an optimizer of fairseq: what its base class cannot do with sparse gradients."""

    takes_sparse_gradients = True

    @torch.no_grad()
    def multiply_grads(self, c):
        """All gradients times `c`; fairseq's own leaves sparse ones as they are."""
        if not has_sparse_gradients(self.params):
            return super().multiply_grads(c)
        for p in self.params:
            if p.grad is not None:
                p.grad = p.grad.coalesce() * c if p.grad.is_sparse else p.grad.mul_(c)

    @torch.no_grad()
    def clip_grad_norm(self, max_norm, aggregate_norm_fn=None):
        """Scales all gradients to a norm of at most `max_norm`, if that is positive.

        Returns:
            their norm before
        """
        if not has_sparse_gradients(self.params):
            return super().clip_grad_norm(max_norm, aggregate_norm_fn)
        if self.optimizer_config["weight_decay"]:
            raise Refused(
                "--weight-decay changes every row of a table at each update, which a sparse gradient is "
                "there to avoid: give --weight-decay 0, or leave out --sparse-embedding-grad"
            )
        grads = [p.grad for p in self.params if p.grad is not None]
        grads = [grad.coalesce().values() if grad.is_sparse else grad for grad in grads]
        norm = torch.nn.utils.get_total_norm([grad.float() for grad in grads])
        if aggregate_norm_fn is not None:
            norm = aggregate_norm_fn(norm)
        if max_norm > 0:
            self.multiply_grads((max_norm / (norm + 1e-6)).clamp(max=1))
        return norm
