"""Large tables: gradients that hold the looked-up rows alone, and tables split over the processes."""

import torch
import torch.distributed as dist
from fairseq.utils import apply_to_sample

from lm_plugins.errors import Refused


def own_rows(parameter, table):
    """Of a saved `table` the rows of this process, if `parameter` is split (SplitVocabulary)."""
    split = getattr(parameter, "split_vocabulary", None)
    return table if split is None or table.dim() == 0 else split.own(table)


class LargeTables:
    """For an optimizer of fairseq: what its base class cannot do with such tables.

    Optimizers that work row by row need nothing else: they are SGD, its average, and Adagrad.
    """

    takes_large_tables = True

    @torch.no_grad()
    def multiply_grads(self, c):
        """All gradients times `c`; fairseq's own leaves sparse ones as they are."""
        for p in self.params:
            if p.grad is not None:
                p.grad = p.grad.coalesce() * c if p.grad.is_sparse else p.grad.mul_(c)

    @torch.no_grad()
    def clip_grad_norm(self, max_norm, aggregate_norm_fn=None):
        """Scales all gradients to a norm of at most `max_norm`, if that is positive.

        Returns:
            their norm before, over the rows of all processes
        """
        params = [p for p in self.params if p.grad is not None]
        sparse, split = (
            any(p.grad.is_sparse for p in params),
            [p for p in params if hasattr(p, "split_vocabulary")],
        )
        if not sparse and not split:
            return super().clip_grad_norm(max_norm, aggregate_norm_fn)
        if sparse and self.optimizer_config["weight_decay"]:
            raise Refused(
                "--weight-decay would change every row of a table at each update, which sparse gradients are "
                "meant to avoid: give --weight-decay 0, or leave out --sparse-embedding-grad"
            )
        norm = _norm([p for p in params if not hasattr(p, "split_vocabulary")])
        if split:
            squared = _norm(split).square()
            if split[0].split_vocabulary.world > 1:
                dist.all_reduce(squared)
            norm = (norm.to(squared).square() + squared).sqrt()
        if max_norm > 0:
            self.multiply_grads((max_norm / (norm + 1e-6)).clamp(max=1))
        return norm

    def split_parts(self):
        """What this process holds of split tables: their rows, and the optimizer's state of them."""
        inner, parts = self.optimizer, []
        hidden = getattr(inner, "other", None) or [None] * len(list(self.params))
        for p, behind in zip(self.params, hidden, strict=True):
            if hasattr(p, "split_vocabulary"):
                state = [part for part in inner.state.get(p, {}).values() if part.shape == p.shape]
                parts += [p.data, *state] if behind is None else [p.data, behind, *state]
        return parts

    def state_dict(self):
        """That of all processes, once the split tables were gathered."""
        state = super().state_dict()
        for split in {p.split_vocabulary for p in self.params if hasattr(p, "split_vocabulary")}:
            state = apply_to_sample(split.whole, state)
        return state


def _norm(params):
    grads = [p.grad.coalesce().values() if p.grad.is_sparse else p.grad for p in params]
    return torch.nn.utils.get_total_norm([grad.float() for grad in grads])
